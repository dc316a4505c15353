"""Ids of other systems, such as Xero's: whether FileMaker and Nexus hold the same one of each row.

Nexus's table is protected and stays as it is; FileMaker's id goes into the row. Where the two
differ, an invoice may go to another person's account: people look at it, and nothing is changed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from nexus_reimport.files import rowfile
from nexus_reimport.ids import Id
from nexus_reimport.intake import IdPairs, Intake, stored_id
from nexus_reimport.model import KEY, Plan


class Disagreement(StrEnum):
    """How the two differ."""

    OTHER_ROW = "Nexus has FileMaker's id of another row"
    DIFFERENT = "another id in Nexus"
    FILEMAKER_ONLY = "no id in Nexus"
    NEXUS_ONLY = "no id in FileMaker"


@dataclass(frozen=True, slots=True)
class Compared:
    """One record of FileMaker and its row, of which one side or both hold an id."""

    filemaker_id: str
    nexus_id: str
    in_filemaker: str
    in_nexus: tuple[str, ...]
    what: Disagreement | None  # None: they agree


@dataclass(frozen=True, slots=True)
class _Held:
    """What Nexus holds."""

    of_row: dict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    owners: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    @classmethod
    def read(cls, intake: Intake, name: str) -> _Held:
        """By rows, and by ids as they compare."""
        held = cls()
        for row in rowfile.read_dicts(intake.folder, intake.survey.external_ids[name]):
            owner, one = row["owner"] or "", stored_id(row, "id")
            if one:
                held.of_row[owner][one.compared] = one.written
                held.owners[one.compared].add(owner)
        return held

    def differs(self, row: str, given: Id) -> Disagreement | None:
        """How FileMaker's id of a row differs from those that Nexus has of it."""
        theirs = self.of_row.get(row, {})
        if not given:
            return Disagreement.NEXUS_ONLY
        if given.compared in theirs:
            return None
        if given.compared in self.owners:
            return Disagreement.OTHER_ROW
        return Disagreement.DIFFERENT if theirs else Disagreement.FILEMAKER_ONLY


def compared(plan: Plan, intake: Intake, name: str) -> Iterator[Compared]:
    """Each record that becomes a row, if FileMaker or Nexus holds an id of it."""
    spec, held = intake.mapping.external_ids[name], _Held.read(intake, name)
    pairs = IdPairs.read(intake.folder, plan.id_map, spec.entity)
    for page in intake.pages(intake.mapping.entities[spec.entity].source, spec.field):
        lines = zip(page[KEY], pairs.find(page.ids()), page.ids(spec.field), strict=True)
        for key, row, given in lines:
            if row is not None and (given or row in held.of_row):
                theirs = tuple(sorted(held.of_row.get(row, {}).values()))
                yield Compared(key, row, given.written, theirs, held.differs(row, given))
