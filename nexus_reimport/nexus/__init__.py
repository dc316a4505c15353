"""Nexus: everything that knows its PostgreSQL."""
