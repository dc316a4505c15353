"""The object of a missing right (SQLSTATE 42501), read only from the server's own messages.

The message of a function that people wrote (RAISE ... ERRCODE '42501') may hold a patient's value
and is not read: only messages from the server's own rights checks are.
"""

from __future__ import annotations

import re

import psycopg

from nexus_reimport.errors import Denied

SQLSTATE = "42501"  # insufficient_privilege
ADVICE = (
    "grant the role that right, then run this again; docs/rights.md lists every right with its"
    " GRANT, and each command prints the missing ones before it starts"
)
# Files of PostgreSQL's source whose messages contain only names of objects.
_CHECKS = ("aclchk.c", "rls.c", "lockcmds.c", "inv_api.c", "be-fsstubs.c")
_KINDS = (
    "table|view|materialized view|foreign table|column|relation|sequence|schema|database|function"
    "|procedure|routine|type|language|large object|tablespace|index|extension"
)
# The server names the object in its message alone: no field of the error holds it.
_ON = re.compile(rf"(?:permission denied for|must be owner of) ((?:{_KINDS}) .+)$")
_ROWS = re.compile(r"row-level security policy for table \"(.+)\"$")
# pg_dump and pg_restore give no SQLSTATE, only lines of text.
_BY_A_PROGRAM = re.compile(
    rf"^pg_(?:dump|restore): error: .*ERROR:  (permission denied for (?:{_KINDS}) .+"
    r"|query would be affected by row-level security policy for table \".+\")$"
    r"|^pg_dump: error: failed to get data for (sequence) \"(.+)\"; user may lack SELECT",
    re.MULTILINE,
)


def error(refused: psycopg.Error, where: str, state: str) -> Denied:
    """The error for one refused statement."""
    diag = refused.diag
    is_from_server = diag.source_file in _CHECKS
    text = f": {_object(diag.message_primary or '')}" if is_from_server else ""
    what = f"PostgreSQL refused a statement: SQLSTATE {SQLSTATE}, a right is missing{text}"
    return Denied(what, where=where, state=state, next=ADVICE)


def by_program(output: str) -> str:
    """The object that pg_dump or pg_restore had no right on; "" if it reports no such thing.

    ``output`` may quote rows: only the line of the refusal itself is read.
    """
    refusal = _BY_A_PROGRAM.search(output)
    if not refusal:
        return ""
    return _object(refusal[1]) if refusal[1] else f"{refusal[2]} {refusal[3]}"


def _object(message: str) -> str:
    """The kind of object and its name; only the name if the message is in another language."""
    if match := _ON.search(message):
        return match[1]
    if match := _ROWS.search(message):
        return f"row level security hides rows of table {match[1]} from the role"
    return message.rstrip(" \"'»“”").rpartition(" ")[2].strip("\"'«»„“”")
