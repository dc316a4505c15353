"""What a refused right (SQLSTATE 42501) was on, from the server's own message and no other text.

The message of a function that people wrote (RAISE ... ERRCODE '42501') may hold anything, and is
not looked at: only messages whose source is the server's own check of rights are.
"""

from __future__ import annotations

import re

import psycopg

from nexus_reimport.errors import Denied

SQLSTATE = "42501"
ADVICE = (
    "give the role that right, then run this again; docs/rights.md lists every right with its"
    " GRANT, and each command prints those that are missing before it starts"
)
# Files of PostgreSQL's source whose messages are only made of names.
_CHECKS = ("aclchk.c", "rls.c", "lockcmds.c", "inv_api.c", "be-fsstubs.c")
_KINDS = (
    "table|view|materialized view|foreign table|column|relation|sequence|schema|database|function"
    "|procedure|routine|type|language|large object|tablespace|index|extension"
)
_ON = re.compile(rf"(?:permission denied for|must be owner of) ((?:{_KINDS}) .+)$")
_ROWS = re.compile(r"row-level security policy for table \"(.+)\"$")
_BY_A_PROGRAM = re.compile(
    rf"^pg_(?:dump|restore): error: .*ERROR:  (permission denied for (?:{_KINDS}) .+"
    r"|query would be affected by row-level security policy for table \".+\")$"
    r"|^pg_dump: error: failed to get data for (sequence) \"(.+)\"; user may lack SELECT",
    re.MULTILINE,
)


def error(refused: psycopg.Error, where: str, state: str) -> Denied:
    """The error for one statement that was refused."""
    diag = refused.diag
    known = diag.source_file in _CHECKS
    text = f": {_object(diag.message_primary or '')}" if known else ""
    what = f"PostgreSQL refused a statement: SQLSTATE {SQLSTATE}, a right is missing{text}"
    return Denied(what, where=where, state=state, next=ADVICE)


def by_program(said: str) -> str:
    """What a program's own words say that a right is missing on; "" where they say no such thing.

    ``said`` may quote rows: only the line of the refusal itself is read.
    """
    found = _BY_A_PROGRAM.search(said)
    if not found:
        return ""
    return _object(found[1]) if found[1] else f"{found[2]} {found[3]}"


def _object(message: str) -> str:
    """The kind of object and its name; of a message in another language, the name alone."""
    if found := _ON.search(message):
        return found[1]
    if found := _ROWS.search(message):
        return f"rows of table {found[1]} are hidden from the role by row level security"
    return message.rstrip(" \"'»“”").rpartition(" ")[2].strip("\"'«»„“”")
