"""Nexus: the one way into its PostgreSQL."""
