"""What comes before any run: one order for the terminal and the page."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum


class FirstThing(StrEnum):
    """What a person must settle before a run can begin."""

    LOST_RECORDS = "records of runs that the database knows are not here"
    UNFINISHED = "a run is unverified or in doubt"
    NO_DATABASE = "the database is not adopted, or could not be asked"


def of(away: Sequence[str], *, is_unfinished: bool, no_database: bool = False) -> FirstThing | None:
    """The first of all; None if a run can begin.

    ``away`` are the runs whose records are not here. They were committed after the one that is
    unfinished here: to finish it would compare it with what they have left. A run that is
    unfinished goes before its database: to adopt another one would settle the run by that.
    """
    if away:
        return FirstThing.LOST_RECORDS
    if is_unfinished:
        return FirstThing.UNFINISHED
    return FirstThing.NO_DATABASE if no_database else None
