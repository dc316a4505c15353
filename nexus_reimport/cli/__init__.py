"""``nexus-reimport …``: the runbook from the command line.

Exit codes: 0 done; 1 stopped by a check or a gate; 2 settings or usage; 3 failed and rolled back;
4 committed but unverified; 5 in doubt.
"""

from nexus_reimport.cli.app import main

__all__ = ["main"]
