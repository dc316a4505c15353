"""A whole clinic on loopback: PostgreSQL, FileMaker by its protocols and files, S3, made-up people.

``stack.lifecycle`` starts it (``up``) and stops it (``down``). Nothing here is used against a real
installation, and no server of the machine is used.
"""
