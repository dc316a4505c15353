"""A clinic that is written down in a test, and its plan: no server is asked.

FileMaker's records are texts by field, Nexus's rows PostgreSQL's texts by column, both in row files
as the stages before the plan write them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from nexus_reimport import mapping
from nexus_reimport.files import rowfile
from nexus_reimport.intake import Intake
from nexus_reimport.model import KEY, Extract, Plan, Snapshot, Survey
from nexus_reimport.model.survey import Pointer
from nexus_reimport.nexus.structure.catalog import Column
from nexus_reimport.planning import manual, plan
from nexus_reimport.settings import EntityDecisions, Settings

NOW = datetime(2026, 3, 1, 2, tzinfo=UTC)
ZONE = "Australia/Sydney"
TYPES = {"timestamptz": "timestamp with time zone", "timestamp": "timestamp without time zone"}
Texts = Mapping[str, str]
Row = Mapping[str, str | None]


@dataclass
class Written:
    """A clinic as a test writes it; ``planned`` makes its plan in ``folder``."""

    folder: Path
    mapping: str
    columns: Mapping[str, Texts]  # entity -> column -> type; the first one is its key
    records: dict[str, list[Texts]] = field(default_factory=dict)  # by source
    rows: dict[str, list[Row]] = field(default_factory=dict)  # by entity
    attached: dict[str, list[Row]] = field(default_factory=dict)  # as the survey names its columns
    lookups: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    id_map: list[tuple[str, str, str]] = field(default_factory=list)
    pointed_at: list[tuple[str, str]] = field(default_factory=list)
    pointers: tuple[Pointer, ...] = ()
    next_keys: dict[str, tuple[int, int]] = field(default_factory=dict)
    defaults: dict[str, dict[str, str]] = field(default_factory=dict)
    decisions: dict[str, EntityDecisions] = field(default_factory=dict)

    @property
    def settings(self) -> Settings:
        """Of an environment those that a plan is made by."""
        return Settings.model_construct(timezone=ZONE, decisions=self.decisions)

    def intake(self) -> Intake:
        """What a plan is made of."""
        path = self.folder / "written.toml"
        path.write_text(self.mapping, encoding="utf-8")
        loaded = mapping.load("written.toml", self.folder)
        extracts = {
            name: self._extract(name, tuple(source.fields), source.key)
            for name, source in loaded.sources.items()
        }
        keys = {name: next(iter(columns)) for name, columns in self.columns.items()}
        survey = Survey(
            database="",
            server_version="",
            taken_at=NOW,
            schema_digest="",
            content_types={},
            tables={},
            pointers=self.pointers,
            attachments={},
            problems=(),
            scanned_columns=0,
            rows={name: self._rows(name, keys[name]) for name in self.columns},
            attachment_rows={
                name: self._file(
                    f"attached {name}", tuple(rows[0]), [tuple(r.values()) for r in rows]
                )
                for name, rows in self.attached.items()
            },
            lookups={n: self._file(f"lookup {n}", ("id", "value"), v) for n, v in self._lookups()},
            pointed_at=self._file(
                "pointed_at",
                ("entity", "key", "table", "column"),
                [(*pair, "elsewhere", "its_id") for pair in self.pointed_at],
            ),
            id_map=self._file("id_map before", plan.COLUMNS["id_map"], self.id_map),
            next_keys=self.next_keys,
            columns={name: tuple(map(_column, c, c.values())) for name, c in self.columns.items()},
            keys=keys,
            undo=(),
            defaults=self.defaults,
        )
        snapshot = Snapshot(database="", taken_at=NOW, seconds=0, channels=(), extracts=extracts)
        return Intake(loaded, snapshot, survey, self.folder)

    def planned(self, given: manual.Given | None = None) -> PlannedAlone:
        """Its plan as of ``NOW``."""
        intake = self.intake()
        made = plan.make(intake, self.settings, as_of=NOW, given=given)
        return PlannedAlone(intake, made)

    def _lookups(self) -> Iterable[tuple[str, list[tuple[str, str]]]]:
        return self.lookups.items()

    def _extract(self, name: str, fields: tuple[str, ...], key: tuple[str, ...]) -> Extract:
        records = self.records.get(name, [])
        lines = [("+".join(r[k] for k in key), *(r.get(f, "") for f in fields)) for r in records]
        file = self._file(f"extract {name}", (KEY, *fields), lines)
        count = len(lines)
        return Extract(
            name, "data_api", name, count, count, count, count, "", 0, (), len(fields), file
        )

    def _rows(self, entity: str, key: str) -> rowfile.RowFile:
        columns = tuple(self.columns[entity])
        rows = sorted(self.rows.get(entity, []), key=lambda row: row[key] or "")
        return self._file(f"rows {entity}", columns, [[r.get(c) for c in columns] for r in rows])

    def _file(
        self, name: str, columns: tuple[str, ...], lines: Iterable[rowfile.Row]
    ) -> rowfile.RowFile:
        return rowfile.write(self.folder / f"{name}.parquet", columns, lines)


@dataclass(frozen=True)
class PlannedAlone:
    """A plan, and what it was made of."""

    intake: Intake
    plan: Plan

    def rows(self, entity: str) -> dict[str, dict[str, str | None]]:
        """The rows of one entity that will be there, by key."""
        key, file = self.intake.survey.keys[entity], self.plan.entities[entity].file
        return {row[key] or "": row for row in rowfile.read_dicts(self.intake.folder, file)}

    def lines(self, file: rowfile.RowFile | None) -> list[tuple[str | None, ...]]:
        """The lines of a row file of the plan."""
        return [] if file is None else [*rowfile.read(self.intake.folder, file)]

    @property
    def misfits(self) -> list[tuple[str | None, ...]]:
        """Entity, column, reason, FileMaker id, and what became of it."""
        return self.lines(self.plan.misfits)

    @property
    def differences(self) -> list[tuple[str | None, ...]]:
        """Entity, Nexus id, column, Nexus's value, FileMaker's."""
        return self.lines(self.plan.differences)

    @property
    def ledger(self) -> list[tuple[str | None, ...]]:
        """Source, entity, outcome, why, FileMaker id, Nexus id."""
        return self.lines(self.plan.ledger)


def _column(name: str, kind: str) -> Column:
    """A column of a type such as ``int``, ``text!`` (it needs a value) or ``varchar(5)``."""
    bare = kind.removesuffix("!")
    length = int(bare[8:-1]) if bare.startswith("varchar(") else None
    of_type = f"character varying({length})" if length else TYPES.get(bare, bare)
    return Column(name, of_type, kind.endswith("!"), False, False, length, of_type)
