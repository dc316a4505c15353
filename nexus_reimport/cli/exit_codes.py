"""The exit codes of every command, as ``--help`` and README.md tell them."""

from __future__ import annotations

# Like is like: a wrong password is 2 and a server that does not answer is 3, whichever it is.
EXIT_CODES = {
    0: "done",
    1: "stopped: a check or a gate failed, or another run is at work",
    2: "to correct: the command line, a file, a login, a name or a right",
    3: "failed or interrupted (Ctrl-C); what was not committed was rolled back",
    4: "committed, not verified: nexus-reimport finish ENV",
    5: "in doubt, it is not known whether COMMIT happened: nexus-reimport settle ENV",
    6: "waiting for an approval; nothing was written",
}


def table() -> str:
    """The table, at the end of ``--help``."""
    return "\n".join([" Exit codes", *(f"  {code}  {text}" for code, text in EXIT_CODES.items())])
