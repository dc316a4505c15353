"""A whole clinic on loopback: PostgreSQL, FileMaker's Data API, S3, and made-up people.

``stack.up`` starts it and ``stack.down`` stops it. Nothing here is used against a real
installation, and no server of the machine is used.
"""
