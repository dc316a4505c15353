"""What runs here: as which account of the operating system, and with which libraries."""

from __future__ import annotations

import os
import platform
import pwd
import re
from importlib import metadata

_DISTRIBUTION = "nexus-reimport"
_NAME = re.compile(r"[\w.-]+")


def account() -> str:
    """The account that this process runs as, by its number: a variable cannot name another one."""
    return named(os.geteuid())


def named(number: int) -> str:
    """The account of that number; in a container the system may have no name for it."""
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"uid {number}"


def libraries() -> dict[str, str]:
    """Python and each library that the package names, with the version that is installed."""
    required = metadata.requires(_DISTRIBUTION) or ()
    names = sorted(m[0] for r in required if "extra ==" not in r and (m := _NAME.match(r)))
    return {"python": platform.python_version()} | {n: metadata.version(n) for n in names}
