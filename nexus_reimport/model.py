"""The frozen values that pass between stages, and how they are saved.

A value holds counts, names, decisions, digests and names of files; the rows are in row files. It is
saved as JSON, and every field is checked when it is read back.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from nexus_reimport import wording
from nexus_reimport.errors import RecordError
from nexus_reimport.filemaker import Origin
from nexus_reimport.files import private
from nexus_reimport.files.json_values import adapter
from nexus_reimport.files.rowfile import RowFile
from nexus_reimport.nexus.catalog import Column, UniqueKey
from nexus_reimport.nexus.changes import Since
from nexus_reimport.nexus.fingerprint import Fingerprint
from nexus_reimport.nexus.links import AttachmentState
from nexus_reimport.nexus.obstacles import Problem
from nexus_reimport.nexus.registry import UndoSize
from nexus_reimport.nexus.schema import Facts
from nexus_reimport.nexus.scratch import Shape
from nexus_reimport.nexus.tables import Role
from nexus_reimport.settings import Cause, Channel, Decision, Different

T = TypeVar("T")


def save(value: Any, path: Path) -> None:
    """Write ``value`` as JSON, whole or not at all, readable only by the owner."""
    data = adapter(type(value)).dump_json(value, indent=1)
    private.make_folder(path.parent)
    private.replace(path, data + b"\n")


def load(kind: type[T], path: Path) -> T:
    """The value of ``kind`` that ``save`` wrote.

    Raises:
        RecordError: the stage before has not written it yet, or the file was changed.
    """
    try:
        return adapter(kind).validate_json(path.read_bytes())
    except FileNotFoundError:
        raise RecordError(
            f"this run has no {path.stem} yet",
            next="run the cells before this one, from the top of the notebook",
        ) from None
    except ValidationError:
        raise RecordError(
            f"{path.name} cannot be read back",
            next="run 01_preflight again; a run never continues with a changed file",
        ) from None


def digest(value: Any) -> str:
    """SHA-256 of ``value`` as JSON with sorted keys."""
    plain = adapter(type(value)).dump_python(value, mode="json")
    return private.sha256(json.dumps(plain, sort_keys=True).encode())


# ---------------------------------------------------------------- snapshot

KEY = "_key"  # the column of an extract's row file that holds a record's key, as FileMaker has it


@dataclass(frozen=True, slots=True)
class FieldFound:
    """A field of the mapping, and its name in FileMaker ("" if FileMaker does not have it)."""

    name: str
    found_as: str
    nearest: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What was changed in the texts of one field so that every later place can hold them."""

    field: str
    what: str
    records: int
    sample: tuple[str, ...]  # FileMaker ids


@dataclass(frozen=True, slots=True)
class Extract:
    """One table as it was read, with the counts that prove that it is complete."""

    source: str
    channel: Channel
    table: str
    count_at_start: int
    rows: int
    distinct_keys: int
    count_at_end: int
    newest: str  # the latest modification time, wall clock, "" if the table has none
    seconds: float
    fields: tuple[FieldFound, ...]
    fields_there: int  # on the layout; those beyond ``fields`` are not mapped, and not read
    file: RowFile
    repaired: int = 0  # values that FileMaker could not compute, taken as empty
    origin: Origin | None = None  # the file that it was read from, if it was a file
    cleaned: tuple[Cleaned, ...] = ()


@dataclass(frozen=True, slots=True)
class ChannelUse:
    """One channel: the server behind it, and what reading has cost."""

    channel: Channel
    product: str
    requests: int
    retries: int
    renewals: int
    bytes_read: int
    dates: str = ""  # the order of dates from an older server, "" if it is ISO


@dataclass(frozen=True, slots=True)
class Snapshot:
    """FileMaker at one time: one row file per source."""

    database: str
    taken_at: datetime
    seconds: float
    channels: tuple[ChannelUse, ...]
    extracts: dict[str, Extract]
    cleaned: RowFile | None = None  # source, field, what was done, FileMaker id

    @property
    def digest(self) -> str:
        """A digest of the rows, not of the time of reading."""
        return digest({name: e.file.sha256 for name, e in self.extracts.items()})


# ---------------------------------------------------------------- census


@dataclass(frozen=True, slots=True)
class Census:
    """The content of the bucket: a row file of key, size, etag, time, in the order of keys."""

    bucket: str
    taken_at: datetime
    objects: int
    bytes_stored: int
    file: RowFile


@dataclass(frozen=True, slots=True)
class Sample:
    """Objects that were read in full: key, size, etag, version, content type, SHA-256."""

    objects: int
    bytes_read: int
    file: RowFile


# ---------------------------------------------------------------- survey


@dataclass(frozen=True, slots=True)
class TableState:
    """One table before the run: its role, rows, and the fingerprint of its columns."""

    name: str
    role: Role
    rows: int
    fingerprint: Fingerprint
    left_out: tuple[str, ...] = ()  # volatile columns outside the fingerprint


@dataclass(frozen=True, slots=True)
class Pointer:
    """A column, or several, that point at rows of an entity, and how many rows do."""

    table: str
    columns: tuple[str, ...]
    kind: str  # foreign key, generic key, id in a column
    entity: str
    rows: int
    dangling: int
    to: tuple[str, ...]  # the columns of the entity's table that they refer to

    @property
    def column(self) -> str:
        """Its columns, for a message."""
        return ", ".join(self.columns)


@dataclass(frozen=True, slots=True)
class Survey:
    """Nexus at one moment: schema, references, counts, fingerprints."""

    database: str
    server_version: str
    taken_at: datetime
    schema_digest: str
    content_types: dict[str, int]
    tables: dict[str, TableState]
    pointers: tuple[Pointer, ...]
    attachments: dict[str, AttachmentState]
    problems: tuple[Problem, ...]
    scanned_columns: int
    rows: dict[str, RowFile]  # of each wiped table
    attachment_rows: dict[str, RowFile]
    lookups: dict[str, RowFile]
    pointed_at: RowFile
    id_map: RowFile
    next_keys: dict[str, tuple[int, int]]  # integer keys: the first free one, and the last
    columns: dict[str, tuple[Column, ...]]  # of each wiped table, by entity
    keys: dict[str, str]  # the key column of each entity's table
    undo: tuple[UndoSize, ...]  # the undo data of earlier runs that the database holds
    unique_keys: dict[str, tuple[UniqueKey, ...]] = field(default_factory=dict)  # by entity
    schema: Facts = ()  # of the mapped tables
    notices: tuple[str, ...] = ()  # what acts besides a run, or needs a person's attention
    defaults: dict[str, dict[str, str]] = field(default_factory=dict)  # by entity: column -> text
    linking: dict[str, RowFile] = field(default_factory=dict)  # of each linking table, all columns
    linking_keys: dict[str, str] = field(default_factory=dict)  # the key column of each
    runs: RowFile | None = None  # committed in this database: run, digest of its row
    inventory: RowFile | None = None  # what the catalog says of the whole database
    protected: RowFile | None = None  # table, key, hash of each row of protected tables
    elsewhere: dict[str, Fingerprint] = field(default_factory=dict)  # of other schemas' tables
    positions: dict[str, int | None] = field(default_factory=dict)  # of each sequence

    def fingerprints(self, *roles: Role) -> dict[str, Fingerprint]:
        """The fingerprints of the tables with one of ``roles``."""
        return {n: t.fingerprint for n, t in sorted(self.tables.items()) if t.role in roles}


# ---------------------------------------------------------------- backup


@dataclass(frozen=True, slots=True)
class Backup:
    """A dump and CSV files of the moment of the survey, all in the private folder."""

    dump: str
    dump_bytes: int
    dump_sha256: str
    tables_in_dump: int
    server_version: str
    client_version: str
    csv_rows: dict[str, int]  # file -> rows
    contents: dict[str, Fingerprint]  # every table of the database, all columns, at that moment
    shape: Shape
    extensions: dict[str, bool]  # name -> whether a table needs it
    owners: tuple[tuple[str, str, str], ...] = ()  # kind and name as ALTER has them, owner
    tablespaces: tuple[tuple[str, str, str], ...] = ()  # kind and name, tablespace


# ---------------------------------------------------------------- plan


class Outcome(StrEnum):
    """The outcome of one record of FileMaker, or of one row of Nexus."""

    REPLACED = "replaced"
    NEW = "new"
    KEPT = "kept"
    PURGED = "purged"
    MERGED = "merged"
    LINKED = "linked"
    LOOKED_UP = "looked up"
    LEFT_OUT = "left out"


OF_NEXUS_ALONE = frozenset({Outcome.KEPT, Outcome.PURGED})  # outcomes of a row without a record


@dataclass(frozen=True, slots=True)
class Account:
    """One source of FileMaker and its purpose: the sums over its records.

    ``entity`` is an entity, a kind of attachment, or "" where records are only looked up.
    """

    source: str
    entity: str
    records: int
    loaded: int
    merged: int
    linked: int
    looked_up: int
    left_out: dict[str, int]  # rule -> records
    budgets: dict[str, int]  # rule -> records that it may leave out

    @property
    def adds_up(self) -> bool:
        """Whether every record has an outcome."""
        used = self.loaded + self.merged + self.linked + self.looked_up
        return self.records == used + sum(self.left_out.values())


@dataclass(frozen=True, slots=True)
class ColumnChange:
    """The changes of one column (key of a JSON column, part of a card) in all replaced rows."""

    column: str
    filled: int = 0  # was empty, FileMaker has a value
    different: int = 0  # both have a value, and the values differ
    cleared: int = 0
    kept: int = 0  # FileMaker is empty, Nexus's value stays
    same: int = 0
    decision: Different | None = None
    filled_before: int = 0  # rows with a value, of all rows before the run
    filled_after: int = 0  # of all rows after the run
    gone: int = 0  # values of Nexus that go; a part of a card can have several in one row
    respelt: int = 0  # of ``same``: only blanks, line ends or the shape change


@dataclass(frozen=True, slots=True)
class Misfits:
    """Values that do not fit one column, by reason: FileMaker ids, never the values.

    What the column holds instead: Nexus's value stays, it is empty, or it has a derived value.
    """

    column: str
    reason: str
    stays: int
    empty: int
    derived: int
    sample: tuple[str, ...]

    @property
    def count(self) -> int:
        """The number of misfits."""
        return self.stays + self.empty + self.derived

    @property
    def listed(self) -> str:
        """The first FileMaker ids, and how many more there are."""
        return wording.some(self.sample, self.count)


@dataclass(frozen=True, slots=True)
class ColumnFit:
    """How many of FileMaker's values for one column do not fit, and how many may.

    A single misfit is a problem of one record; if most values are misfits, a declaration is wrong.
    So more than half of a column's values is always too many, unless it has only one value.
    """

    column: str
    held: int
    misfits: int
    budget: int
    any_number: bool = False  # the mapping allows that no value fits

    @property
    def is_over(self) -> bool:
        """Whether so many do not fit that the run must stop."""
        if self.any_number:
            return False
        return self.misfits > self.budget or (self.held > 1 and self.misfits * 2 > self.held)


@dataclass(frozen=True, slots=True)
class OverriddenRows:
    """Rows whose value a named rule changes, and the decision about it."""

    rule: str
    column: str
    becomes: str
    rows: int
    asks: bool
    decision: str | None

    @property
    def changed(self) -> int:
        """The number of rows whose value changes."""
        return self.rows if not self.asks or self.decision == self.becomes else 0


@dataclass(frozen=True, slots=True)
class ByHand:
    """One kind of the values that people put into the by-hand sheet."""

    kind: str
    entity: str
    waiting: int  # rows that still lack a value
    given: int  # values in the sheet
    used: int  # of these, put into rows by this plan
    there: int  # of these, not needed: the database already holds a value
    gone: int = 0  # of these, of rows that no longer exist


@dataclass(frozen=True, slots=True)
class UnmatchedRows:
    """Rows that FileMaker does not bring back, for one cause, and the decision."""

    cause: Cause
    count: int
    decision: Decision | None
    kept_by_closure: int = 0  # to be purged by decision, but a row that stays points at them

    @property
    def purged(self) -> int:
        """The number of rows of this cause that go."""
        return self.count - self.kept_by_closure if self.decision == "purge" else 0

    @property
    def kept(self) -> int:
        """The number of rows of this cause that stay, for any reason."""
        return self.count - self.purged


@dataclass(frozen=True, slots=True)
class EntityPlan:
    """One entity: the sums of both sides, and the planned rows."""

    entity: str
    table: str
    file: RowFile
    source_rows: int
    left_out: dict[str, int]  # rule -> records of FileMaker
    matched: dict[str, int]  # identity rule -> records
    rows_before: int
    replaced: int
    new: int
    kept: int
    purged: int
    unmatched: tuple[UnmatchedRows, ...]
    changes: tuple[ColumnChange, ...]
    overridden: tuple[OverriddenRows, ...]
    misfits: tuple[Misfits, ...]
    ambiguous: tuple[str, ...]  # FileMaker ids that two rows of Nexus claim
    fits: tuple[ColumnFit, ...] = ()  # of each fed column

    @property
    def loaded(self) -> int:
        """The number of records of FileMaker that become rows."""
        return self.replaced + self.new

    @property
    def rows_after(self) -> int:
        """The number of rows after the run."""
        return self.replaced + self.new + self.kept


@dataclass(frozen=True, slots=True)
class LinkPlan:
    """One kind of attachment: the links to be fixed, and the state of the others."""

    attachment: str
    table: str
    file: RowFile  # key, object, content type ("" if the link is a plain key)
    rows: int
    placed: int  # FileMaker has the record, and its owner will exist
    right_already: int
    mended: dict[str, int]  # why -> links: dangling, unlinked, another owner
    elsewhere: int  # linked to something else that exists; not changed
    owner_unknown: int  # FileMaker has the record, but not its owner
    not_in_filemaker: int
    reachable_before: int
    reachable_after: int
    torn: tuple[str, ...] = ()  # groups whose members belong to several owners


class Scope(StrEnum):
    """How much a run does."""

    REIMPORT = "reimport"
    RELINK = "relink"  # fixes the links of documents and images, and nothing else


@dataclass(frozen=True, slots=True)
class Plan:
    """What the run will do: everything is decided, nothing is done."""

    scope: Scope
    as_of: datetime
    entities: dict[str, EntityPlan]
    links: dict[str, LinkPlan]
    accounts: tuple[Account, ...]
    by_hand: tuple[ByHand, ...]
    sheet: str  # SHA-256 of the workbook that values by hand came from, "" without one
    ledger: RowFile  # source, entity, outcome, rule or cause, FileMaker id, Nexus id
    id_map: RowFile  # entity, FileMaker id, Nexus id: what `loaded` will hold
    misfits: RowFile  # entity, column, reason, FileMaker id, what became of it
    differences: RowFile  # entity, Nexus id, column, and both values: private
    overrides: RowFile  # entity, Nexus id, column, why: set by hand or by a named rule
    before: dict[str, Fingerprint]  # of wiped tables and link columns
    digest: str

    def undecided(self) -> tuple[str, ...]:
        """The decisions that a person must still make, as lines for the environment's file."""
        return tuple(line for line, answer in self._questions() if answer is None)

    @property
    def questions(self) -> int:
        """How many decisions a person has to make, including those already made."""
        return sum(1 for _ in self._questions())

    def _questions(self) -> Iterator[tuple[str, str | None]]:
        """Each decision, as a line for the environment's file, and what was decided."""
        for e in self.entities.values():
            for u in e.unmatched:
                rows = wording.amount(u.count, "row")
                yield f"decisions.{e.entity}: {u.cause} = keep or purge ({rows})", u.decision
        for e in self.entities.values():
            for c in e.changes:
                rows = wording.amount(c.different, "row")
                if c.different:
                    place = f"decisions.{e.entity}.when_different"
                    yield f'{place}: "{c.column}" = filemaker or nexus ({rows})', c.decision
        for e in self.entities.values():
            for s in e.overridden:
                rows = wording.amount(s.rows, "row")
                if s.asks and s.rows:
                    place = f"decisions.{e.entity}: {s.rule}"
                    yield f"{place} = keep or {s.becomes} ({rows})", s.decision


# ---------------------------------------------------------------- checks


class Level(StrEnum):
    """What a failed check does."""

    STOP = "STOP"
    REVIEW = "REVIEW"
    INFO = "INFO"


@dataclass(frozen=True, slots=True)
class Result:
    """One check's outcome: counts, and at most five keys (ids, never values)."""

    check: str
    claim: str
    serves: tuple[str, ...]
    level: Level
    looked_at: int
    offending: int
    sample: tuple[str, ...] = ()
    waived: int = 0
    note: str = ""
    is_empty: bool = False  # there is really nothing to look at; the note gives the proof
    keys: int = 0  # how many keys offend; ``sample`` has the first of them
    waiver: str = ""  # whether its waiver holds, and why; "" if it has none

    @property
    def found(self) -> str:
        """How many items offend, of how many that were looked at."""
        if not self.looked_at and not self.offending:
            return "looked at nothing"
        return wording.part(self.offending, self.looked_at)

    @property
    def listed(self) -> str:
        """The first keys, and how many more there are."""
        return wording.some(self.sample, self.keys)

    @property
    def passed(self) -> bool:
        """Whether no more offend than are waived, and something was looked at or nothing exists."""
        return self.offending <= self.waived and (self.looked_at > 0 or self.is_empty)

    @property
    def blocks(self) -> bool:
        """Whether the run must stop here."""
        return self.level is Level.STOP and not self.passed


@dataclass(frozen=True, slots=True)
class Report:
    """The results of one stage's checks, passed or not."""

    stage: str
    results: tuple[Result, ...]

    @property
    def blocking(self) -> tuple[Result, ...]:
        """The results that stop the run."""
        return tuple(r for r in self.results if r.blocks)

    @property
    def passed(self) -> bool:
        """Whether no result stops the run."""
        return not self.blocking


# ---------------------------------------------------------------- rehearsal, gate, apply


class Ground(StrEnum):
    """Where a run was rehearsed."""

    COPY = "on a restored copy"
    INSIDE = "inside the real transaction, rolled back"


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """The result of the rehearsal: the state after it, and what it proved.

    On a copy, ``tables`` and ``rows`` were compared after the restore and again after the undo,
    and ``times`` has the seconds of each step. Inside the real transaction, ``why_inside`` says why
    there was no copy.
    """

    ground: Ground
    after: dict[str, Fingerprint]
    writers_waited: float
    seconds: float
    report: Report  # of the checks inside
    why_inside: str = ""
    where: str = ""  # server of the copy
    verified: Report | None = None  # of the checks after, on the copy
    times: dict[str, float] = field(default_factory=dict)
    tables: int = 0
    rows: int = 0
    left_out: tuple[str, ...] = ()  # extensions that no table needs
    undo_waited: float = 0.0  # seconds that writers would wait for the undo


@dataclass(frozen=True, slots=True)
class Trial:
    """One kind of corruption, put into a copy, and what verification made of it.

    ``caught_by`` are the checks that failed for it at the level it must be found at; ``noted_by``
    those that failed and would not have stopped the run. It was not possible where the copy holds
    nothing of its sort, or where PostgreSQL itself kept it out.
    """

    kind: str
    meaning: str
    corrupts: str
    changed: int  # rows, objects or definitions; 0 where it was not possible
    caught_by: tuple[str, ...] = ()
    noted_by: tuple[str, ...] = ()
    crashed: str = ""  # the kind of error where verification itself failed
    refused: str = ""  # the SQLSTATE where PostgreSQL kept it out

    @property
    def was_possible(self) -> bool:
        """Whether anything was corrupted."""
        return self.changed > 0

    @property
    def is_missed(self) -> bool:
        """Whether verification would have let it pass."""
        return self.was_possible and not self.caught_by


@dataclass(frozen=True, slots=True)
class SelfTest:
    """Every kind of corruption, one at a time, against the verification; or why there was none.

    ``run`` is the one whose state was corrupted: for prod that of the dev run it relies on.
    """

    environment: str
    run: str
    checks: tuple[str, ...]  # of the verification
    trials: tuple[Trial, ...]
    seconds: float
    why_not: str = ""

    @property
    def caught(self) -> tuple[Trial, ...]:
        """Those that verification has found."""
        return tuple(t for t in self.trials if t.was_possible and not t.is_missed)

    @property
    def missed(self) -> tuple[Trial, ...]:
        """Those that verification has let pass."""
        return tuple(t for t in self.trials if t.is_missed)

    @property
    def not_possible(self) -> tuple[Trial, ...]:
        """Those for which there was nothing to corrupt."""
        return tuple(t for t in self.trials if not t.was_possible)

    @property
    def is_complete(self) -> bool:
        """Whether it was made, and nothing was missed."""
        return bool(self.caught) and not self.missed and not self.why_not


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a person is asked to approve, and its digest."""

    environment: str
    snapshot: str
    mapping: str
    code: str
    schema: str
    decisions: str
    plan: str
    before: dict[str, Fingerprint]
    after: dict[str, Fingerprint]
    digest: str = field(default="")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an approval would be refused now, and what a person does about it."""

    what: str
    next: str


@dataclass(frozen=True, slots=True)
class Outlook:
    """What the end of a preflight must show besides its digest.

    ``unproven`` says why the backup and the undo were not proven, "" if they were; ``ending``
    names waivers that are needed and that end before tomorrow.
    """

    refusals: tuple[Refusal, ...] = ()
    unproven: str = ""
    ending: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Approval:
    """Who approved which digest, when and how."""

    digest: str
    who: str
    how: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Applied:
    """What the writing transaction did."""

    committed: bool
    at: datetime
    deleted: dict[str, int]
    inserted: dict[str, int]
    relinked: dict[str, int]
    after: dict[str, Fingerprint]
    writers_waited: float
    timings: dict[str, float]
    report: Report
    warnings: tuple[str, ...] = ()


# ---------------------------------------------------------------- rollback


class NewerDecision(StrEnum):
    """What becomes of rows that people created or edited after the run that is undone."""

    UNDECIDED = ""
    KEEP = "keep"
    DISCARD = "discard"


@dataclass(frozen=True, slots=True)
class RollbackPreview:
    """What undoing a run would do now."""

    undoes: str
    kind: str
    committed_at: datetime
    newer: NewerDecision
    since: Since
    rows_before: dict[str, int]  # table -> rows before the run
    rows_now: dict[str, int]
    links: dict[str, int]  # attachment -> links that the run fixed
    now: dict[str, Fingerprint]
    schema: Facts  # of the mapped tables, now
    saved: dict[str, RowFile]  # the newer rows, whole, in the private folder


@dataclass(frozen=True, slots=True)
class RollbackProposal:
    """What a person is asked to approve of a rollback; the same while the database is unchanged."""

    environment: str
    undoes: str
    newer: NewerDecision
    code: str
    schema: Facts
    now: dict[str, Fingerprint]
    since: Since
    digest: str = field(default="")


@dataclass(frozen=True, slots=True)
class Undone:
    """What the rollback's transaction did. ``exact``: the state is the one before the run."""

    committed: bool
    at: datetime
    undoes: str
    exact: bool
    deleted: dict[str, int]
    put_back: dict[str, int]
    relinked: dict[str, int]
    since: Since
    after: dict[str, Fingerprint]
    writers_waited: float
    timings: dict[str, float]
    report: Report
