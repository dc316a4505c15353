"""What was read before anything is decided: FileMaker's records and Nexus's rows, as one value."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nexus_reimport.files import rowfile
from nexus_reimport.mapping import FieldMapping
from nexus_reimport.model import Snapshot, Survey


@dataclass(frozen=True, slots=True)
class Intake:
    """The mapping, what it led to in FileMaker and Nexus, and the folder of the row files.

    Raises, wherever it is read:
        RecordError: a row file is gone, or is not what the stage wrote.
    """

    mapping: FieldMapping
    snapshot: Snapshot
    survey: Survey
    folder: Path

    def records(self, source: str) -> Iterator[dict[str, str]]:
        """The records of ``source`` as FileMaker sent them: field -> text, empty as ``""``."""
        file = self.snapshot.extracts[source].file
        rows = rowfile.read_dicts(self.folder, file)
        return ({field: value or "" for field, value in row.items()} for row in rows)

    def rows(self, entity: str) -> Iterator[dict[str, str | None]]:
        """The rows of ``entity`` before the run: column -> PostgreSQL's text, NULL as None."""
        return rowfile.read_dicts(self.folder, self.survey.rows[entity])

    def attached(self, attachment: str) -> Iterator[dict[str, str | None]]:
        """The documents or images before the run, with what links and identifies each."""
        return rowfile.read_dicts(self.folder, self.survey.attachment_rows[attachment])

    def ids(self) -> dict[str, dict[str, str]]:
        """Entity -> FileMaker id -> Nexus id, as the last run has loaded them."""
        found: dict[str, dict[str, str]] = {name: {} for name in self.mapping.entities}
        for entity, filemaker_id, nexus_id in rowfile.read(self.folder, self.survey.remembered):
            found.setdefault(entity or "", {})[filemaker_id or ""] = nexus_id or ""
        return found

    def pointed_at(self) -> dict[str, frozenset[str]]:
        """Entity -> ids of its rows at which something outside of the wiped tables points."""
        found: dict[str, set[str]] = defaultdict(set)
        for entity, key, _, _ in rowfile.read(self.folder, self.survey.pointed_at):
            found[entity or ""].add(key or "")
        return {name: frozenset(found[name]) for name in self.mapping.entities}


@dataclass(frozen=True, slots=True)
class OfIntake:
    """What is looked at together with an intake, whose parts it shows as its own."""

    intake: Intake

    @property
    def mapping(self) -> FieldMapping:
        """How FileMaker's fields become Nexus's columns."""
        return self.intake.mapping

    @property
    def snapshot(self) -> Snapshot:
        """What FileMaker held."""
        return self.intake.snapshot

    @property
    def survey(self) -> Survey:
        """What Nexus held."""
        return self.intake.survey

    @property
    def folder(self) -> Path:
        """Where the row files lie."""
        return self.intake.folder
