"""Nexus: everything that knows its PostgreSQL.

``connection`` leads in, ``structure`` is what the catalog says, ``reading`` counts, hashes and
asks, ``writing`` is the one transaction. ``registry`` holds our own tables, and names them for all;
``deployment`` says whose a database is, ``rights`` what the role must be allowed. ``activity`` is
what others do meanwhile, ``changes`` what they have done since a run; ``own_tables`` is what
verification reads of ours.
"""
