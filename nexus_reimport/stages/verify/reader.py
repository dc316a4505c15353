"""Nexus as it is, read part by part; a part that is not there is told, and the rest read."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import partial
from typing import Any, TypeVar

from nexus_reimport import naming, progress
from nexus_reimport.files.rowfile import RowFile
from nexus_reimport.nexus import own_tables
from nexus_reimport.nexus.connection.postgres import Connection
from nexus_reimport.nexus.connection.readings import Gone, Readings, Unread
from nexus_reimport.nexus.own_tables import OwnTables
from nexus_reimport.nexus.reading import inventory, questions, row_hashes
from nexus_reimport.nexus.reading.inventory import Positions
from nexus_reimport.nexus.reading.kept_readings import CATALOG
from nexus_reimport.nexus.reading.questions import Answers, Asked, Shown
from nexus_reimport.nexus.reading.row_hashes import Hashed
from nexus_reimport.nexus.registry import UndoData
from nexus_reimport.nexus.structure import catalog as catalogs
from nexus_reimport.nexus.structure import links, schema, sequences, tables
from nexus_reimport.nexus.structure.database import Database
from nexus_reimport.nexus.structure.fingerprint import Fingerprint
from nexus_reimport.nexus.structure.links import AttachmentState
from nexus_reimport.nexus.structure.sequences import NextKey
from nexus_reimport.nexus.structure.tables import Role
from nexus_reimport.nexus.writing import undo_data
from nexus_reimport.settings import ApplicationAccess
from nexus_reimport.stages.verify.expected import Copy, Expected

T = TypeVar("T")


class Reader:
    """Reads Nexus as it is, part by part; a part that is not there is told, and the rest read."""

    def __init__(
        self,
        connection: Connection,
        expected: Expected,
        api: ApplicationAccess | None,
        copy: Copy | None,
    ) -> None:
        self._connection, self._expected, self._api = connection, expected, api
        self._readings = Readings(connection)
        self._compares_local = copy is None or copy.is_surveyed
        self._kept = copy.kept if copy else None
        if self._kept:
            self._kept.look()
        self.found: dict[str, Any] = {}
        intake = expected.intake
        self._mapping, self._survey, self._folder = intake.mapping, intake.survey, intake.folder
        types = self._read(
            self._mapping.content_types,
            lambda: catalogs.content_types(connection, self._mapping),
        )
        catalog = self._once(
            "the catalog",
            (CATALOG,),
            lambda: catalogs.read(connection, self._mapping.schema_name),
        )
        self._database = Database(
            connection, self._mapping, catalog, {} if isinstance(types, Unread) else types
        )
        self._elsewhere = {t.name: t for t in row_hashes.elsewhere(connection, self._mapping)}

    def read(self, part: str) -> None:
        """Read one of ``parts``."""
        self.found[part] = self.parts()[part]()

    def parts(self) -> dict[str, Callable[[], Any]]:
        """What the checks look at -> how it is read."""
        return {
            "now": self._rows,
            "attachments": self._attachments,
            "states": self._states,
            "linking": self._linking,
            "fingerprints": self._fingerprints,
            # What follows uses what was found: the fingerprints here, the positions at the end.
            "hashes": self._hashes,
            "own": self._own,
            "schema_changes": self._schema_changes,
            "positions": lambda: self._read(
                "the sequences", lambda: inventory.positions(self._connection)
            ),
            "answers": self._asked,
            "shown": self._shown,
            "next_keys": lambda: self._read("the sequences", self._next_keys),
        }

    def _read(self, what: str, read: Callable[[], T]) -> T | Unread:
        progress.tell(0, 0, naming.rows(what))
        return self._readings.of(what, read)

    def _once(self, key: str, tables: Collection[str], read: Callable[[], T]) -> T:
        """What ``read`` gives; what was kept of it where nothing of ``tables`` was changed."""
        return self._kept.of(key, tables, read) if self._kept else read()

    def _here(self, *tables: str) -> tuple[str, ...]:
        """Tables of the application's with their schema."""
        return tuple(f"{self._mapping.schema_name}.{table}" for table in tables)

    def _rows(self) -> dict[str, RowFile | Unread]:
        tables = {
            name: (self._mapping.entities[name].table, self._survey.keys[name], f"after_{name}")
            for name in self._expected.plan.entities
        }
        return {name: self._dumped(*place) for name, place in tables.items()}

    def _linking(self) -> dict[str, RowFile | Unread]:
        keys = self._survey.linking_keys
        return {t: self._dumped(t, key, f"after_linking_{t}") for t, key in keys.items()}

    def _dumped(self, table: str, key: str, name: str) -> RowFile | Unread:
        path = self._folder / f"{name}.parquet"
        return self._once(
            name,
            self._here(table),
            lambda: self._read(
                table, lambda: tables.dump(self._database, self._database.table(table), path, key)
            ),
        )

    def _attachments(self) -> dict[str, RowFile | Unread]:
        def dumped(name: str) -> RowFile | Unread:
            path = self._folder / f"after_{name}_attached.parquet"
            spec = self._mapping.attachments[name]
            return self._once(
                f"attached {name}",
                self._of_attachment(name),
                lambda: self._read(name, lambda: links.dump_attachment(self._database, spec, path)),
            )

        return {name: dumped(name) for name in self._mapping.attachments}

    def _states(self) -> dict[str, AttachmentState | Unread]:
        def state(name: str) -> AttachmentState | Unread:
            return self._once(
                f"state of {name}",
                self._of_attachment(name),
                lambda: self._read(name, lambda: links.attachment_state(self._database, name)),
            )

        return {name: state(name) for name in self._mapping.attachments}

    def _of_attachment(self, name: str) -> tuple[str, ...]:
        """The tables that tell where an attachment hangs."""
        spec = self._mapping.attachments[name]
        owner = self._mapping.entities[spec.owner.entity].table
        return self._here(spec.table, spec.link_table, owner, self._mapping.content_types)

    def _fingerprints(self) -> dict[str, Fingerprint | Unread]:
        """Of what nothing of a run is for, linking tables aside; volatile ones are counted."""
        linking = self._mapping.linking_tables()
        names = [t for t in self._survey.fingerprints(Role.PROTECTED) if t not in linking]
        here = {
            t: self._once(
                f"print of {t}", self._here(t), partial(self._read, t, partial(self._print_of, t))
            )
            for t in names
        }
        others = self._survey.elsewhere
        return here | {
            t: self._once(
                f"print of {t}", (t,), partial(self._read, t, partial(self._print_elsewhere, t))
            )
            for t in others
        }

    def _print_of(self, name: str) -> Fingerprint:
        return tables.fingerprint_of(self._database, self._database.table(name))

    def _print_elsewhere(self, name: str) -> Fingerprint:
        return row_hashes.print_of(self._connection, self._table_elsewhere(name))

    def _table_elsewhere(self, name: str) -> Hashed:
        if name not in self._elsewhere:
            raise Gone(f"there is no table {name}")
        return self._elsewhere[name]

    def _hashes(self) -> dict[str, RowFile | Unread]:
        """Of each row, where a table's fingerprint is another one, or columns are volatile."""
        survey, fingerprints = self._survey, self.found["fingerprints"]
        was = {**survey.fingerprints(Role.PROTECTED), **survey.elsewhere}
        rows = {}
        for name, now in fingerprints.items():
            volatile = name in survey.tables and survey.tables[name].left_out
            if was[name].digest and not isinstance(now, Unread) and (now != was[name] or volatile):
                rows[name] = self._once(
                    f"hashes of {name}",
                    (*self._here(name), name),
                    partial(self._read, name, partial(self._rows_of, name)),
                )
        return rows

    def _rows_of(self, name: str) -> RowFile:
        if name in self._survey.elsewhere:
            table = self._table_elsewhere(name)
        else:
            key = self._survey.tables[name].key
            table = row_hashes.of_table(self._mapping, self._database.table(name), key)
        path = self._folder / f"after_hashes_{name}.parquet"
        return row_hashes.dump(self._connection, (table,), path)[0]

    def _own(self) -> OwnTables:
        entities = list(self._expected.plan.entities)
        return own_tables.read(
            self._database, self._readings, self._wanted_undo, entities, self._folder, self._once
        )

    def _wanted_undo(self) -> UndoData:
        plan, facts = self._expected.plan, self._survey.schema
        run = self._expected.claim.run
        return undo_data.of(run, self._database, plan.entities, plan.links, facts)

    def _schema_changes(self) -> tuple[str, ...] | Unread:
        read = partial(self._read, "the catalog", self._changes)
        return self._once("changes of the catalog", (CATALOG,), read)

    def _changes(self) -> tuple[str, ...]:
        """What the catalog says otherwise than at the survey; on a copy of what that must have."""
        if self._survey.inventory is None:
            raise Gone("the survey has not described the whole database: its version is older")
        was = inventory.read(self._folder, self._survey.inventory)
        now = inventory.describe(self._connection)
        if not self._compares_local:
            was, now = schema.structure(was), schema.structure(now)
        return schema.differences(was, now)

    def _asked(self) -> Answers | Unread:
        mapping = self._mapping
        calendar = mapping.entities[mapping.application.calendar.entity].table
        attached = [t for name in mapping.attachments for t in self._of_attachment(name)]
        read = partial(
            self._read, "the application's queries", lambda: questions.ask(self._database)
        )
        return self._once("answers", (*self._here(calendar), *attached), read)

    def _shown(self) -> tuple[Asked, Shown] | Unread | None:
        """What the API must show; None where it is not asked."""
        if self._api is None:
            return None
        size, seed = self._api.sample, self._expected.plan.digest

        def read() -> tuple[Asked, Shown]:
            asked = questions.choose(self._database, seed, size)
            return asked, questions.shown(self._database, asked)

        return self._read("what the screens show", read)

    def _next_keys(self) -> tuple[NextKey, ...]:
        """Of the sequences behind wiped tables, and of others that have moved since the survey."""
        schema_name, here = self._mapping.schema_name, self._database.catalog.tables
        wiped = {self._mapping.entities[name].table for name in self._expected.plan.entities}
        now, was = self.found["positions"], self._survey.positions
        moved = () if isinstance(now, Unread) else _risen(was, now)
        readings_of = []
        for sequence in sequences.behind(self._connection, schema_name, here):
            name = f"{sequence.schema}.{sequence.name}"
            if sequence.table in wiped or name in moved:
                # One that falls is kept with the other sign.
                last = was.get(name)
                since = last if last is None or sequence.rises else -last
                readings_of.append(sequences.read(self._connection, schema_name, sequence, since))
        return tuple(readings_of)


def _risen(was: Positions, now: Positions) -> set[str]:
    """The sequences that have given out something since; one set back has a check of its own."""
    # One that was never called has no last value.
    return {name for name, last in now.items() if last is not None and last > (was.get(name) or 0)}
