"""What the database holds: counted, hashed and asked about, and never written."""
