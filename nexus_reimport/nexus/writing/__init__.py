"""The writing transaction, and what it needs: planned rows, what differs, the way back."""
