"""A complete made-up clinic on loopback: PostgreSQL, S3, and FileMaker's protocols and files.

``stack.lifecycle`` starts it (``up``) and stops it (``down``). It is never used against a real
installation, and uses no server that is installed on the machine.
"""
