"""A clinic of fewer patients: what a self-test works on, where the clinic is a large one.

What verification finds does not depend on how many rows there are, and each kind of corruption is
looked for in all of them: the whole clinic would take ten times as long. So some patients are
chosen, with all that hangs on them in Nexus and in FileMaker: first those with what is rare (a
column that few have filled, an image without a record), the others by a hash of their keys. A part
of what hangs on nobody stays as well. All that is neither wiped nor linked stays, unless a foreign
key would point at a row that went.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain

from psycopg import sql

from nexus_reimport import wording
from nexus_reimport.files import rowfile
from nexus_reimport.files.rowfile import RowFile
from nexus_reimport.intake import Intake
from nexus_reimport.mapping import Attachment
from nexus_reimport.model import KEY, Plan, Snapshot
from nexus_reimport.nexus.connection import standbys
from nexus_reimport.nexus.connection.postgres import table_name
from nexus_reimport.nexus.structure.catalog import ForeignKey
from nexus_reimport.nexus.structure.database import Database

EACH = 2  # patients at least for each trait
_SIGNS = ("true", "false", "null", "[]", "{}", '""', ": 0", ".5")
Rows = Mapping[str, Collection[str]]  # entity or attachment -> keys of the rows that stay


def rank(key: str) -> int:
    """Where a key stands among others: the same each time, and in no order of its own."""
    return int.from_bytes(hashlib.md5(key.encode(), usedforsecurity=False).digest()[:8], "big")


def traits(row: rowfile.Dict) -> Iterator[tuple[str, str]]:
    """What a row has and lacks: each column filled or not, and what its JSON holds."""
    for column, value in row.items():
        yield column, "filled" if value else "empty"
        if value and value[0] in "{[":
            yield from ((column, sign) for sign in _SIGNS if sign in value)


@dataclass(frozen=True)
class Smaller:
    """Chooses ``patients`` of a planned clinic, and what stays with them."""

    intake: Intake
    plan: Plan
    database: Database
    patients: int

    @property
    def is_needed(self) -> bool:
        """Whether there are more patients."""
        return len(self._references[self.intake.mapping.people()]) > self.patients

    @cached_property
    def one_in(self) -> int:
        """Of what hangs on nobody, one row in so many stays."""
        return max(1, len(self._references[self.intake.mapping.people()]) // self.patients)

    @cached_property
    def rows(self) -> Rows:
        """The rows that stay, of each wiped table, by entity."""
        people = self.intake.mapping.people()
        stays = {entity: set(rows) for entity, rows in self._references.items()}
        stays[people] = set(self._chosen())
        # Repeated: a row that goes takes those with it that point at it.
        while gone := [
            (entity, key)
            for entity, keys in stays.items()
            for key in keys
            if entity != people and not self._may_stay(entity, key, stays)
        ]:
            for entity, key in gone:
                stays[entity].remove(key)
        return stays

    def _chosen(self) -> list[str]:
        """The patients that stay: up to half of them for what is rare, the others by rank."""
        people = self.intake.mapping.people()
        key = self.intake.survey.keys[people]
        having: dict[tuple[str, str], list[str]] = defaultdict(list)
        for when, rows in (("before", self._before(people)), ("after", self._after(people))):
            for row in rows:
                for column, sign in traits(row):
                    having[f"{when} {column}", sign].append(row[key] or "")
        for name, spec in self.intake.mapping.attachments.items():
            for row, owner in self._owned(name):
                for trait in traits(row) if owner and spec.owner.entity == people else ():
                    having[trait].append(owner or "")
        rarest = sorted(having.values(), key=lambda keys: (len(keys), keys))
        rare = [one for keys in rarest for one in sorted(set(keys), key=rank)[:EACH]]
        every = self._references[people]
        first = [one for one in dict.fromkeys(rare) if one in every][: self.patients // 2]
        others = sorted(every.keys() - set(first), key=rank)
        return [*first, *others[: self.patients - len(first)]]

    def _may_stay(self, entity: str, key: str, stays: Rows) -> bool:
        """Whether all that a row points at stays; of what points at nobody a part does."""
        named = self._references[entity][key]
        if not named:
            return self.is_chosen(key)
        return all(target in stays[other] for other, target in named)

    def is_chosen(self, key: str) -> bool:
        """Whether something stays that hangs on nobody."""
        return rank(key) % self.one_in == 0

    @cached_property
    def _references(self) -> Mapping[str, Mapping[str, list[tuple[str, str]]]]:
        """Entity -> key of a row, before the run or after it -> the wiped rows that it names."""
        named: dict[str, dict[str, list[tuple[str, str]]]] = {}
        for entity in self.intake.mapping.entities:
            key, columns = self.intake.survey.keys[entity], list(self._pointing(entity))
            named[entity] = {
                row[key] or "": [(to, row[c] or "") for c, to in columns if row.get(c)]
                for row in chain(self._before(entity), self._after(entity))
            }
        return named

    def _before(self, entity: str) -> Iterator[rowfile.Dict]:
        return self.intake.rows(entity)

    def _after(self, entity: str) -> Iterator[rowfile.Dict]:
        if entity in self.plan.entities:
            yield from rowfile.read_dicts(self.intake.folder, self.plan.entities[entity].file)

    def _pointing(self, entity: str) -> Iterator[tuple[str, str]]:
        """The columns of an entity's table that point at a wiped table, and at which entity."""
        mapping = self.intake.mapping
        table, wiped = mapping.entities[entity].table, mapping.wiped_tables()
        for key in self.database.catalog.foreign_keys:
            is_ours = (key.schema, key.table) == (self.database.schema, table)
            if is_ours and key.target in wiped and len(key.columns) == 1:
                yield key.columns[0], wiped[key.target]

    # -------------------------------------------------------------- documents and images

    @cached_property
    def attached(self) -> Mapping[str, Mapping[str, str]]:
        """Attachment -> key of a document or image that stays -> key of the row with its link."""
        mapping = self.intake.mapping
        return {
            name: dict(self._attached(name, spec)) for name, spec in mapping.attachments.items()
        }

    def _attached(self, name: str, spec: Attachment) -> Iterator[tuple[str, str]]:
        people = self.rows[spec.owner.entity]
        for row, owner in self._owned(name):
            holder = row["link_key"] or ""
            if owner in people if owner else self.is_chosen(holder):
                yield row["key"] or "", holder

    def _owned(self, name: str) -> Iterator[tuple[rowfile.Dict, str | None]]:
        """Each document or image, and whose it is to be; None where it is nobody's."""
        planned = rowfile.read(self.intake.folder, self.plan.links[name].file)
        moved = {key: to for key, to, _ in planned}
        for row in self.intake.attached(name):
            here = row["object"] if row["linked"] == "t" else None
            yield row, moved.get(row["link_key"]) or here

    # -------------------------------------------------------------- what goes

    def shrink(self) -> None:
        """Delete everything else from the copy, in one transaction.

        Raises:
            psycopg.IntegrityError: a foreign key that does not wait until COMMIT is in the way. The
                copy is as it was.
        """
        connection, mapping = self.database.connection, self.intake.mapping
        standbys.do_not_wait(connection)
        with connection.transaction():
            connection.execute("SET CONSTRAINTS ALL DEFERRED")
            for entity, keys in self.rows.items():
                self._keep(mapping.entities[entity].table, keys)
            for name, holders in self.attached.items():
                spec = mapping.attachments[name]
                self._keep(spec.table, holders)
                if spec.through:
                    self._keep(spec.through.table, set(holders.values()))
            # Repeated until no row points at one that went in the round before.
            while sum(self._unpoint(key) for key in self.database.catalog.foreign_keys):
                pass
        # The statistics are still those of the whole clinic.
        connection.execute("ANALYZE")

    def _keep(self, table: str, keys: Collection[str]) -> None:
        query = sql.SQL("DELETE FROM {} WHERE NOT {}::text = ANY (%s)").format(
            self.database.place(table), sql.Identifier(self.database.key(table))
        )
        self.database.connection.execute(query, [sorted(keys)])

    def _unpoint(self, key: ForeignKey) -> int:
        """Delete the rows whose foreign key points at a row that is not there."""
        pairs = list(zip(key.columns, key.target_columns, strict=True))
        filled = sql.SQL(" AND ").join(
            sql.SQL("t.{} IS NOT NULL").format(sql.Identifier(column)) for column in key.columns
        )
        same = sql.SQL(" AND ").join(
            sql.SQL("o.{} = t.{}").format(sql.Identifier(target), sql.Identifier(column))
            for column, target in pairs
        )
        query = sql.SQL(
            "DELETE FROM {} AS t WHERE {} AND NOT EXISTS (SELECT FROM {} AS o WHERE {})"
        )
        return self.database.connection.execute(
            query.format(table_name(key.schema, key.table), filled, table_name(*key.refers), same)
        ).rowcount

    # -------------------------------------------------------------- FileMaker

    def snapshot(self) -> Snapshot:
        """The records of what stays, and a part of those that became nothing."""
        chosen = self._records()
        extracts = {}
        for source, extract in self.intake.snapshot.extracts.items():
            file = self._without(extract.file, chosen.get(source, frozenset()))
            extracts[source] = replace(
                extract,
                file=file,
                count_at_start=file.rows,
                rows=file.rows,
                distinct_keys=file.rows,
                count_at_end=file.rows,
            )
        return replace(self.intake.snapshot, extracts=extracts)

    def _records(self) -> dict[str, set[str]]:
        """Source -> ids of the records that stay."""
        stay: Rows = {**self.rows, **self.attached}
        staying: dict[str, set[str]] = {}
        for source, entity, _, _, record, row in rowfile.read(self.intake.folder, self.plan.ledger):
            if record is None or source is None:
                continue
            if not entity or (row in stay[entity] if row else self.is_chosen(record)):
                staying.setdefault(source, set()).add(record)
        return staying

    def _without(self, file: RowFile, chosen: Collection[str]) -> RowFile:
        """The lines of ``chosen`` records in a new file of the same name."""
        place = file.columns.index(KEY)
        rows = [r for r in rowfile.read(self.intake.folder, file) if r[place] in chosen]
        return rowfile.write(self.intake.folder / file.name, file.columns, rows)

    def share(self) -> str:
        """How many patients stay, of how many."""
        people = self.intake.mapping.people()
        all_of_them = wording.amount(len(self._references[people]), "patient")
        return f"{len(self.rows[people]):,} of {all_of_them}"
