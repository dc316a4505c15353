"""What the checks after look at: Nexus read afresh, beside what was planned."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from nexus_reimport.checks import CannotLook
from nexus_reimport.files.rowfile import RowFile
from nexus_reimport.intake import OfIntake
from nexus_reimport.model import Census, Plan, Sample
from nexus_reimport.nexus.connection.readings import Unread
from nexus_reimport.nexus.own_tables import OwnTables
from nexus_reimport.nexus.reading.inventory import Positions
from nexus_reimport.nexus.reading.questions import Answers, Asked, Shown
from nexus_reimport.nexus.structure.fingerprint import Fingerprint
from nexus_reimport.nexus.structure.links import AttachmentState
from nexus_reimport.nexus.structure.sequences import NextKey

if TYPE_CHECKING:
    from pyarrow import ChunkedArray as Column

T = TypeVar("T")


def had(reading: T | Unread) -> T:
    """``reading``, if it could be read.

    Raises:
        CannotLook: it could not; the check that asks has found that.
    """
    if isinstance(reading, Unread):
        raise CannotLook(reading.why)
    return reading


def kept(file: RowFile | None) -> RowFile:
    """A row file of the survey; one of an older version of this package has it not.

    Raises:
        CannotLook: it has not.
    """
    if file is None:
        raise CannotLook("the survey has not kept what this compares with: its version is older")
    return file


@dataclass(frozen=True, slots=True)
class Claim:
    """What this run's own row in the database must say."""

    run: str
    environment: str
    digest: str  # of the approved proposal, "" on a copy
    approved_by: str
    after: Mapping[str, Fingerprint]
    edited: tuple[str, ...] = ()  # what of the run's values is not what was approved
    committed_at: str = ""  # as its transaction has written it; "" where nobody has kept that


@dataclass(frozen=True, slots=True)
class After(OfIntake):
    """What the checks after look at: Nexus read afresh, beside what was planned."""

    plan: Plan
    census: Census
    claim: Claim
    named: Column  # objects of S3 that rows named before, as the bucket spells their keys
    own: OwnTables
    now: Mapping[str, RowFile | Unread]  # each wiped table as it is
    attachments: Mapping[str, RowFile | Unread]
    states: Mapping[str, AttachmentState | Unread]
    linking: Mapping[str, RowFile | Unread]  # each linking table as it is, all columns
    fingerprints: Mapping[str, Fingerprint | Unread]  # of protected tables, in every schema
    hashes: Mapping[str, RowFile | Unread]  # of the rows of those that are not what they were
    census_now: Census
    sample: Sample
    sample_now: Sample
    answers: Answers | Unread
    shown: tuple[Asked, Shown] | Unread | None  # what Nexus's API must show; None: it is not asked
    api: Shown | Unread | None  # what it shows
    next_keys: tuple[NextKey, ...] | Unread  # of each sequence behind a wiped table
    positions: Positions | Unread  # of each sequence
    schema_changes: tuple[str, ...] | Unread  # since the survey
    _found: dict[tuple[object, ...], Any] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def once(self, look: Callable[..., T], *about: Hashable) -> T:
        """What ``look`` gives of this and ``about``, asked once for all that want it.

        A memo has its own way: see ``checks.memo``.
        """
        asked = (look, *about)
        if asked not in self._found:
            self._found[asked] = look(self, *about)
        value: T = self._found[asked]
        return value

    def was_empty(self, entity: str) -> bool:
        """Whether the table held no row before the run, by its fingerprint."""
        return not self.survey.tables[self.mapping.entities[entity].table].fingerprint.rows
