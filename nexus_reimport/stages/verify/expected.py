"""What a verification is asked: with what Nexus is compared, how S3 is read, on which copy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from nexus_reimport.checks.after import Claim
from nexus_reimport.checks.memo import Memo
from nexus_reimport.intake import Intake
from nexus_reimport.model import Census, Plan, Sample
from nexus_reimport.nexus.connection.postgres import Connection
from nexus_reimport.nexus.reading.kept_readings import KeptReadings
from nexus_reimport.settings import Postgres


@dataclass(frozen=True, slots=True)
class Expected:
    """What a verification compares Nexus with: what was read, planned and approved."""

    intake: Intake
    plan: Plan
    census: Census
    sample: Sample
    claim: Claim


@dataclass(frozen=True, slots=True)
class Storage:
    """How S3 is asked again: what it lists, and the sample."""

    list: Callable[[], Census]
    read: Callable[[], Sample]

    @classmethod
    def untouched(cls, census: Census, sample: Sample) -> Self:
        """What was read before: of a copy of the database, where nothing can touch S3."""
        return cls(lambda: census, lambda: sample)


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy that is verified in the database's place.

    It is read in ``transaction`` where one is open on it, which is left open. ``is_surveyed``: the
    survey is of the copy itself, so that owners, grants and policies are compared as well.
    ``kept`` and ``memo`` spare what cannot be other than at the verification before.
    """

    place: Postgres
    transaction: Connection | None = None
    is_surveyed: bool = False
    kept: KeptReadings | None = None
    memo: Memo | None = None
