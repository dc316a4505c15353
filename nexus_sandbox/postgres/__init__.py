"""A PostgreSQL server on loopback."""
