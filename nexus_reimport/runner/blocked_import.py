"""Blocks an optional import that costs a program 1.4 s and serves no notebook and no page.

``nbformat`` and ``jupyter_server`` bring a checker of JSON schemas, and that, where it is
installed, a grammar of international addresses, which it compiles when it is imported. No schema of
a notebook, or of a server's event, has one.
"""

from __future__ import annotations

import sys

GRAMMAR = "rfc3987_syntax"

sys.modules.setdefault(GRAMMAR, None)  # type: ignore[arg-type] # an import of it fails: they ask
