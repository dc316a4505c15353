"""What comes before any run: one order for the terminal and the page."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum


class FirstThing(StrEnum):
    """What a person must settle before a run can begin."""

    LOST_RECORDS = "records of runs that the database knows are not here"
    UNFINISHED = "a run is unverified or in doubt"


def of(away: Sequence[str], *, is_unfinished: bool) -> FirstThing | None:
    """The first of both; None if a run can begin.

    ``away`` are the runs whose records are not here. They were committed after the one that is
    unfinished here: to finish it would compare it with what they have left.
    """
    if away:
        return FirstThing.LOST_RECORDS
    return FirstThing.UNFINISHED if is_unfinished else None
