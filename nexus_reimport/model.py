"""The frozen values that pass between stages, and how they are saved.

A value holds counts, names, decisions, digests and names of files; rows lie in row files beside
it. Saved as JSON, read back with every field checked.
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
    """Write ``value`` as JSON, wholly or not at all; readable by the owner alone."""
    data = adapter(type(value)).dump_json(value, indent=1)
    private.make_folder(path.parent)
    private.replace(path, data + b"\n")


def load(kind: type[T], path: Path) -> T:
    """The value of ``kind`` that ``save`` wrote.

    Raises:
        RecordError: the stage before has not written it, or it is not what was written.
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
            next="run 01_preflight again; a run never goes on from a changed file",
        ) from None


def digest(said: Any) -> str:
    """SHA-256 of ``said`` as JSON with sorted keys."""
    plain = adapter(type(said)).dump_python(said, mode="json")
    return private.sha256(json.dumps(plain, sort_keys=True).encode())


# ---------------------------------------------------------------- snapshot

KEY = "_key"  # the column of an extract's row file that holds a record's key, as FileMaker has it


@dataclass(frozen=True, slots=True)
class FieldFound:
    """A field of the mapping and the name under which FileMaker has it ("" where it has not)."""

    name: str
    found_as: str
    nearest: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Cleaned:
    """What was done to the texts of one field so that every later place can hold them."""

    field: str
    what: str
    records: int
    sample: tuple[str, ...]  # FileMaker ids


@dataclass(frozen=True, slots=True)
class Extract:
    """One table as read, with the proof that it is all there is."""

    source: str
    channel: Channel
    table: str
    count_at_start: int
    rows: int
    distinct_keys: int
    count_at_end: int
    newest: str  # the latest modification stamp, wall clock, "" where the table has none
    seconds: float
    fields: tuple[FieldFound, ...]
    fields_there: int  # on the layout; those beyond ``fields`` are not mapped, and not read
    file: RowFile
    repaired: int = 0  # values that could not be computed there, taken as empty
    origin: Origin | None = None  # the file that it came from, if it came from one
    cleaned: tuple[Cleaned, ...] = ()


@dataclass(frozen=True, slots=True)
class ChannelUse:
    """One channel: what answered, and what reading by it has cost."""

    channel: Channel
    product: str
    requests: int
    retries: int
    renewals: int
    bytes_read: int
    dates: str = ""  # the order in which an older server sends them, "" where it is ISO


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
        """A digest of what was read, not of when."""
        return digest({name: e.file.sha256 for name, e in self.extracts.items()})


# ---------------------------------------------------------------- census


@dataclass(frozen=True, slots=True)
class Census:
    """What the bucket holds: a row file of key, size, etag in the order of keys."""

    bucket: str
    taken_at: datetime
    objects: int
    bytes_stored: int
    file: RowFile


# ---------------------------------------------------------------- survey


@dataclass(frozen=True, slots=True)
class TableState:
    """One table before: its role, rows, and the fingerprint of its steady columns."""

    name: str
    role: Role
    rows: int
    fingerprint: Fingerprint
    left_out: tuple[str, ...] = ()  # volatile columns outside the fingerprint


@dataclass(frozen=True, slots=True)
class Pointer:
    """A column, or several, pointing at rows of an entity, and how many do."""

    table: str
    columns: tuple[str, ...]
    kind: str  # foreign key, generic key, id in a column
    entity: str
    rows: int
    dangling: int
    to: tuple[str, ...]  # the columns of the entity's table that they name

    @property
    def column(self) -> str:
        """Its columns, for a message."""
        return ", ".join(self.columns)


@dataclass(frozen=True, slots=True)
class Survey:
    """Nexus at one moment: schema, what points where, counts, fingerprints."""

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
    notices: tuple[str, ...] = ()  # what acts beside a run, or must be looked after
    defaults: dict[str, dict[str, str]] = field(default_factory=dict)  # by entity: column -> text

    def fingerprints(self, *roles: Role) -> dict[str, Fingerprint]:
        """The fingerprints of the tables with one of ``roles``."""
        return {n: t.fingerprint for n, t in sorted(self.tables.items()) if t.role in roles}


# ---------------------------------------------------------------- backup


@dataclass(frozen=True, slots=True)
class Backup:
    """A dump and CSVs of the moment of the survey; all in the private folder."""

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
    """What becomes of one record of FileMaker, or of one row of Nexus."""

    REPLACED = "replaced"
    NEW = "new"
    KEPT = "kept"
    PURGED = "purged"
    MERGED = "merged"
    LINKED = "linked"
    LOOKED_UP = "looked up"
    LEFT_OUT = "left out"


OF_NEXUS_ALONE = frozenset({Outcome.KEPT, Outcome.PURGED})  # these stand for no record


@dataclass(frozen=True, slots=True)
class Account:
    """One source of FileMaker and what it is for: the sums over its records.

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
        """Whether every record became something."""
        used = self.loaded + self.merged + self.linked + self.looked_up
        return self.records == used + sum(self.left_out.values())


@dataclass(frozen=True, slots=True)
class ColumnChange:
    """One column (key of a JSON column, part of a card) over all replaced rows."""

    column: str
    filled: int = 0  # was empty, FileMaker has a value
    different: int = 0  # both have a value, and another one
    cleared: int = 0
    kept: int = 0  # FileMaker is empty, Nexus's value stays
    same: int = 0
    decision: Different | None = None
    filled_before: int = 0  # rows with a value, of all rows that were there
    filled_after: int = 0  # of all rows that will be there
    gone: int = 0  # values of Nexus that go; a part of a card may hold several in one row
    respelt: int = 0  # of those that are the same: FileMaker's blanks and line ends, a newer shape


@dataclass(frozen=True, slots=True)
class Misfits:
    """Values that do not fit one column, by reason; the ids of FileMaker, never the values.

    What became of them: Nexus's value stays, the column is empty, or a derived value stands there.
    """

    column: str
    reason: str
    stays: int
    empty: int
    derived: int
    sample: tuple[str, ...]

    @property
    def count(self) -> int:
        """All of them."""
        return self.stays + self.empty + self.derived

    @property
    def listed(self) -> str:
        """The first FileMaker ids, and how many more there are."""
        return wording.some(self.sample, self.count)


@dataclass(frozen=True, slots=True)
class ColumnFit:
    """How many of the values that FileMaker holds for one column do not fit, and how many may.

    One value that does not fit is one record's fault, a column full of them that of a declaration:
    where it holds more than one, more than half of them is too many, however few that are.
    """

    column: str
    held: int
    misfits: int
    budget: int
    any_number: bool = False  # the mapping says that all of them may not fit

    @property
    def is_over(self) -> bool:
        """Whether so many do not fit that the run must stop."""
        if self.any_number:
            return False
        return self.misfits > self.budget or (self.held > 1 and self.misfits * 2 > self.held)


@dataclass(frozen=True, slots=True)
class OverriddenRows:
    """Rows to which a named rule gives another value, and what was decided about it."""

    rule: str
    column: str
    becomes: str
    rows: int
    asks: bool
    decision: str | None

    @property
    def changed(self) -> int:
        """Rows that get the other value."""
        return self.rows if not self.asks or self.decision == self.becomes else 0


@dataclass(frozen=True, slots=True)
class ByHand:
    """Values that people put into the sheet, one kind of them."""

    kind: str
    entity: str
    waiting: int  # rows that still lack a value
    given: int  # values in the sheet
    used: int  # of these, put into rows by this plan
    there: int  # of these, not needed: the database holds a value already
    gone: int = 0  # of these, of rows that are not there any more


@dataclass(frozen=True, slots=True)
class UnmatchedRows:
    """Rows that FileMaker does not bring back, of one cause, and what was decided."""

    cause: Cause
    count: int
    decision: Decision | None
    kept_by_closure: int = 0  # decided to be purged, but something that stays points at them

    @property
    def purged(self) -> int:
        """Rows of this cause that go."""
        return self.count - self.kept_by_closure if self.decision == "purge" else 0

    @property
    def kept(self) -> int:
        """Rows of this cause that stay, whyever."""
        return self.count - self.purged


@dataclass(frozen=True, slots=True)
class EntityPlan:
    """One entity: the ledger of both sides, and the rows that will be there."""

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
        """Records of FileMaker that will be rows."""
        return self.replaced + self.new

    @property
    def rows_after(self) -> int:
        """Rows that will be there."""
        return self.replaced + self.new + self.kept


@dataclass(frozen=True, slots=True)
class LinkPlan:
    """One kind of attachment: which links are fixed, and where the others stand."""

    attachment: str
    table: str
    file: RowFile  # key, object, content type ("" where the link is a plain key)
    rows: int
    placed: int  # FileMaker knows the record and its owner will be there
    right_already: int
    mended: dict[str, int]  # why -> links: dangling, unlinked, another owner
    elsewhere: int  # hangs on something else that exists; left alone
    owner_unknown: int  # FileMaker knows the record, but not its owner
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
    """What the run will do: everything decided, nothing done."""

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
        """What a person must still choose, as lines for the environment's file."""
        return tuple(line for line, answer in self._questions() if answer is None)

    @property
    def questions(self) -> int:
        """How many choices a person has to make, those that were made already among them."""
        return sum(1 for _ in self._questions())

    def _questions(self) -> Iterator[tuple[str, str | None]]:
        """Each choice, as a line for the environment's file, and what was chosen."""
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
    is_empty: bool = False  # there is truly nothing to look at; the note says how that is proven
    keys: int = 0  # that offend, of which ``sample`` shows the first
    waiver: str = ""  # what its waiver is worth, "" where it has none

    @property
    def found(self) -> str:
        """How many offend, of how many that were looked at."""
        if not self.looked_at and not self.offending:
            return "looked at nothing"
        return wording.part(self.offending, self.looked_at)

    @property
    def listed(self) -> str:
        """The first keys, and how many more there are."""
        return wording.some(self.sample, self.keys)

    @property
    def passed(self) -> bool:
        """Nothing offends beyond what was waived; something was looked at, or nothing is there."""
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
        """Nothing blocks."""
        return not self.blocking


# ---------------------------------------------------------------- rehearsal, gate, apply


class Ground(StrEnum):
    """Where a run was rehearsed."""

    COPY = "on a restored copy"
    INSIDE = "inside the real transaction, rolled back"


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What the rehearsal gave: the state after, and what was proven on the way.

    On a copy, ``tables`` and ``rows`` were compared after the restore and again after the undo,
    and ``times`` has the seconds of each step; inside, ``why_inside`` says why there was no copy.
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
class Proposal:
    """What approval is asked for, and its digest."""

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
    """Why an approval would be refused as things are, and what a person does about it."""

    what: str
    next: str


@dataclass(frozen=True, slots=True)
class Outlook:
    """What the end of a preflight must say beside its digest.

    ``unproven`` says why the backup and the undo were not proven, "" where they were; ``ending``
    names waivers that are needed and that end before tomorrow.
    """

    refusals: tuple[Refusal, ...] = ()
    unproven: str = ""
    ending: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Approval:
    """Who let which digest pass, when and how."""

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
    """What becomes of rows that were created or edited since the run that is taken back."""

    UNDECIDED = ""
    KEEP = "keep"
    DISCARD = "discard"


@dataclass(frozen=True, slots=True)
class RollbackPreview:
    """What taking a run back would do, as things are now."""

    undoes: str
    kind: str
    committed_at: datetime
    newer: NewerDecision
    since: Since
    rows_before: dict[str, int]  # table -> rows before the run
    rows_now: dict[str, int]
    links: dict[str, int]  # attachment -> links that the run has fixed
    now: dict[str, Fingerprint]
    schema: Facts  # of the mapped tables, now
    saved: dict[str, RowFile]  # what is newer, whole, in the private folder


@dataclass(frozen=True, slots=True)
class RollbackProposal:
    """What approval of a rollback is asked for, and its digest; the same while nothing moves."""

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
