"""How a command ends: its exit code, as ``--help`` and README.md tell it, and what it has left.

What is left by one that a signal or an unforeseen error has ended: of a run the runner itself tells
more, as its journal knows it; this is what is known without.
"""

from __future__ import annotations

from collections.abc import Sequence

# Like is like: a wrong password is 2 and a server that does not answer is 3, whichever it is.
EXIT_CODES = {
    0: "done",
    1: "stopped: a check or a gate failed, or another run is at work",
    2: "something to correct: the command line, a file, a login, a name or a right",
    3: "failed or interrupted (Ctrl-C); what was not committed was rolled back",
    4: "committed, not verified: nexus-reimport finish ENV",
    5: "in doubt, it is not known whether COMMIT happened: nexus-reimport settle ENV",
    6: "waiting for an approval; nothing was written",
}
_AGAIN = "run the command again"
_READS = ("nothing was written", _AGAIN)
_AS_LEFT = ("the database is as the run has left it", _AGAIN)
_ROLLED_BACK = (
    "everything that was not committed was rolled back",
    "nexus-reimport record list shows the result of each run",
)
_LEFT = {
    "adopt": (
        "the database's marker may have been written; nothing else was",
        "nexus-reimport status tells whether the environment has adopted it",
    ),
    "demo": (
        "what this command has started is stopped; what was not committed was rolled back",
        _AGAIN,
    ),
    "doctor": _READS,
    "finish": _AS_LEFT,
    "init": ("no file was written", _AGAIN),
    "lab": (
        "JupyterLab is stopped; what was not committed was rolled back",
        "nexus-reimport status shows where each environment stands",
    ),
    "page": (
        "the page is stopped; a run that was started there goes on",
        "nexus-reimport status shows where each environment stands",
    ),
    "purge-private --yes": (
        "private files of older runs may have been deleted, or in part; the register tells which",
        _AGAIN,
    ),
    "purge-private": _READS,
    "purge-undo": (
        "undo data of older runs may have been dropped; nothing else was written",
        _AGAIN,
    ),
    "record": _READS,
    "record archive": (
        "the archive may hold more records than before; the records are unchanged",
        f"{_AGAIN}: it goes on with those that are missing there",
    ),
    "record lost": (
        "the loss may be acknowledged already; nothing else was written",
        f"{_AGAIN}: it shows what is not acknowledged yet",
    ),
    "record redact": (
        "the record is open, and may be redacted in part; the run's private folder has it whole",
        _AGAIN,
    ),
    "record restored": (
        "the restore may be acknowledged already; nothing else was written",
        f"{_AGAIN}: it shows what is not acknowledged yet",
    ),
    "restore": (
        "the live database was not touched; a copy that was not finished is dropped",
        f"{_AGAIN}; if a database of that name exists now, it is restored and compared",
    ),
    "sandbox": (
        "what was started by this command is stopped",
        "nexus-reimport sandbox status shows what runs",
    ),
    "sandbox down": ("the made-up clinic may be stopped, or deleted, in part", _AGAIN),
    "sandbox reset": ("the made-up clinic may be reset in part", _AGAIN),
    "seal": _AS_LEFT,
    "settle": _AS_LEFT,
    "sign": (
        "the register may have the signature, or its withdrawal; nothing else was written",
        "nexus-reimport sign ENV shows the sheet",
    ),
    "status": _READS,
    "verify": _AS_LEFT,
}


def table() -> str:
    """The table, at the end of ``--help``."""
    return "\n".join([" Exit codes", *(f"  {code}  {text}" for code, text in EXIT_CODES.items())])


def of(given: Sequence[str]) -> tuple[str, str]:
    """The state that is left by a command with these words, and what is next."""
    words = [word for word in given if not word.startswith("-")]
    command = next(iter(words), "")
    deletes = f"{command} --yes" if "--yes" in given else command
    for name in (" ".join(words[:2]), deletes, command):
        if name in _LEFT:
            return _LEFT[name]
    return _ROLLED_BACK
