"""``nexus-reimport …``: the runbook from the command line. ``endings`` has its exit codes."""

from nexus_reimport.cli.app import main

__all__ = ["main"]
