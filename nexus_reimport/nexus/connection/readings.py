"""Reading what may not be there any more: what cannot be read is told, and the rest is still read.

Verification looks for what is wrong, so that a column, a row or a table that is gone is its
finding and no failure of its own. Only what says nothing about the data (a lost connection, a time
limit, another session's lock) stays an error.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import LiteralString, TypeVar

import psycopg

from nexus_reimport.errors import TargetError
from nexus_reimport.nexus.connection.driver_errors import LOST, code_and_name
from nexus_reimport.nexus.connection.postgres import Connection

T = TypeVar("T")
# Classes of SQLSTATE that tell of the server or the network: operator intervention, resources,
# limits, connection, and a transaction that was not let go on. Syntax and access is class 42.
_OF_THE_SERVER = ("08", "25", "40", "53", "54", "55", "57", "58")
_BEFORE: LiteralString = "before_readings"
_TOO_COMPLEX = "54001"  # a document that is nested too deeply: said of the data
# What a name that is gone, or a value that is another thing, makes of our own code.
NOT_AS_IT_WAS = (
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)


@dataclass(frozen=True, slots=True)
class Unread:
    """What could not be read, since it is not as it was: what it is, and why; never a value."""

    why: str


class Gone(LookupError):
    """A table that the survey saw is not there; the message names it."""


class Readings:
    """What is read in an open transaction, which goes on whatever a reading finds.

    None of them changes anything, so one savepoint before the first serves them all: one for each
    would be a third of the questions that a verification asks.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        connection.execute(f"SAVEPOINT {_BEFORE}")

    def of(self, what: str, read: Callable[[], T]) -> T | Unread:
        """What ``read`` gives.

        Raises:
            psycopg.Error, TargetError: the server or the network failed, which says nothing of the
                data.
        """
        try:
            return read()
        except psycopg.Error as error:
            state = error.sqlstate or ""
            if (isinstance(error, LOST) and not state) or _is_of_the_server(state):
                raise
            named = ", ".join(filter(None, (error.diag.table_name, error.diag.column_name)))
            why = code_and_name(state) if state else type(error).__name__
            unread = f"{what}: cannot be read: {why}" + (f", {named}" if named else "")
        except TargetError as error:
            if not error.sqlstate or _is_of_the_server(error.sqlstate):
                raise
            unread = f"{what}: cannot be read: {error.what}"
        except Gone as error:
            unread = str(error)
        except NOT_AS_IT_WAS as error:
            unread = f"{what}: is not as it was ({type(error).__name__})"
        self._connection.execute(f"ROLLBACK TO SAVEPOINT {_BEFORE}")
        return Unread(unread)


def _is_of_the_server(sqlstate: str) -> bool:
    return sqlstate.startswith(_OF_THE_SERVER) and sqlstate != _TOO_COMPLEX
