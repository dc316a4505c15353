"""A small stand-in for Nexus's own HTTP API, over one of the made-up clinic's databases."""
