"""The crash matrix: every step of every kind of run, times every fault, on real servers.

``python -m crash`` runs it (``make crash``); ``docs/crash-matrix.md`` is what it wrote last.
Nothing in the product helps it: steps are found by the journal that every run keeps anyway.
"""
