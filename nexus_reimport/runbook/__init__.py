"""A run as the notebooks call it: opened, step by step, approved, executed, verified, sealed."""
