"""What the checks before anything is deleted look at."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nexus_reimport.files import columns, rowfile
from nexus_reimport.intake import OfIntake
from nexus_reimport.mapping import Link
from nexus_reimport.model import KEY, Backup, Census, Outcome, Plan, Snapshot
from nexus_reimport.settings import Settings

if TYPE_CHECKING:
    from pyarrow import ChunkedArray as Column
    from pyarrow import Table

LOADED = frozenset({Outcome.REPLACED, Outcome.NEW})  # outcomes of a record that became a row


@dataclass(frozen=True, slots=True)
class Before(OfIntake):
    """What the checks before look at; row files lie in ``folder``."""

    settings: Settings
    census: Census
    backup: Backup
    plan: Plan
    earlier: Snapshot | None  # of the last COMPLETE record, if there is one
    earlier_run: str
    earlier_folder: Path | None  # of its row files, which may be gone
    forgotten: str  # the last committed run, if the database lacks it and nobody said why

    def ledger(self) -> Iterator[tuple[str | None, ...]]:
        """The lines of the ledger: source, entity, outcome, why, FileMaker id, Nexus id."""
        return rowfile.read(self.folder, self.plan.ledger)

    def lines(self, *names: str, **wanted: Collection[str]) -> Table:
        """Some columns of the ledger, of lines alone that hold one of the values ``wanted``."""
        few = ("source", "entity", "outcome")
        return columns.read(self.folder, self.plan.ledger, names, few, **wanted)

    def keys_now(self, entity: str) -> Column:
        """The keys of the rows of one entity that Nexus has."""
        return columns.column(self.folder, self.survey.rows[entity], self.survey.keys[entity])

    def keys_planned(self, entity: str) -> Column:
        """The keys of the rows of one entity that will be there."""
        file = self.plan.entities[entity].file
        return columns.column(self.folder, file, self.survey.keys[entity])

    def links(self) -> Iterator[tuple[str, Link, Column, Column]]:
        """Each link between sources: whose, which, the ids that it holds, and those that there are.

        As ids compare; the ids of a source are read once, however many links lead to it.
        """
        known: dict[str, Column] = {}
        for name, spec in self.mapping.sources.items():
            for link in spec.links:
                if link.to not in known:
                    known[link.to] = columns.distinct(self._ids(link.to, KEY))
                yield name, link, self._ids(name, link.field), known[link.to]

    def _ids(self, source: str, field: str) -> Column:
        return columns.filled(self.intake.ids_in(source, field))

    def is_new(self, entity: str) -> bool:
        """Whether nothing was ever loaded: the table holds no row, and no run remembers one."""
        table = self.survey.tables[self.mapping.entities[entity].table]
        remembered = rowfile.read(self.folder, self.survey.id_map)
        return not table.fingerprint.rows and not any(name == entity for name, _, _ in remembered)

    def rows_now(self, entity: str) -> int:
        """How many rows of ``entity`` Nexus has."""
        return self.survey.rows[entity].rows

    def neither_side(self, entity: str) -> str:
        """That FileMaker has no record and Nexus no row of ``entity``; "" where one has."""
        source = self.mapping.entities[entity].source
        if self.snapshot.extracts[source].rows or not self.is_new(entity):
            return ""
        return f"neither FileMaker nor Nexus has any {entity}"

    def planned(self, entity: str) -> Iterator[dict[str, str | None]]:
        """The rows of one entity that will be there."""
        return rowfile.read_dicts(self.folder, self.plan.entities[entity].file)
