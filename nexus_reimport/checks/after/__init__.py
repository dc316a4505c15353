"""Checks after COMMIT, on a fresh connection, every row looked at.

What is looked at is everything that the run could have touched, not only what it meant to. A table,
a column or a row of our own that is gone is a finding of the check concerned; the others go on.
"""

from __future__ import annotations

from nexus_reimport.checks.after import (  # noqa: F401 - each declares its checks
    application,
    database,
    files,
    linking,
    own,
    rows,
)
from nexus_reimport.checks.after.subject import After, Claim

__all__ = ["After", "Claim"]
