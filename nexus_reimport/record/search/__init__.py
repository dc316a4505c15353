"""The search before a seal: what identifies a person, looked for in every file of a record."""
