"""What the database is made of, as the catalog has it, and how two states of it are compared."""
