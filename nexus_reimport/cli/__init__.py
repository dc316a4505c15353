"""``nexus-reimport …``: the runbook from the command line. ``exit_codes`` has their meaning."""

from nexus_reimport.cli.app import main

__all__ = ["main"]
