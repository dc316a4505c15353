"""What a run will do: every decision, and the sums that account for every record and row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from nexus_reimport import naming, wording
from nexus_reimport.files.rowfile import RowFile
from nexus_reimport.nexus.structure.fingerprint import Fingerprint
from nexus_reimport.settings import Cause, Decision, Different, EntityDecisions, Settings


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
    undecided: int = 0  # of ``gone``: they stay if the decision, still missing, is Nexus
    is_stamp: bool = False  # of the row itself, such as created_at: the mapping decides about it

    @property
    def lost(self) -> int:
        """Those of ``gone`` that go whatever is still decided."""
        return self.gone - self.undecided


@dataclass(frozen=True, slots=True)
class Misfits:
    """Values that do not fit one column, by reason: FileMaker ids, never the values.

    What the column holds instead: Nexus's value stays (a card, or a text, has its others), it is
    empty, or it has a derived value.
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
    def not_stored(self) -> int:
        """Those of a value that is not stored: one that is missing is derived, and counts as none.

        It is what people are told of as values that did not fit, wherever that is said.
        """
        return self.stays + self.empty

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
    changed: int = 0  # rows that were there, and in which nothing else changes the value


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
class Question:
    """One decision of a person: where it stands in the environment's file, and for how many rows.

    ``key`` is a cause, a rule, or a column of ``when_different``.
    """

    entity: str
    key: str
    choices: str  # keep or purge
    rows: int
    answer: str | None
    is_of_column: bool = False

    @property
    def place(self) -> str:
        """The table of the environment's file that holds it."""
        return f"decisions.{self.entity}" + (".when_different" if self.is_of_column else "")

    @property
    def name(self) -> str:
        """Its key there, as TOML has it."""
        return f'"{self.key}"' if self.is_of_column else self.key

    @property
    def amount(self) -> str:
        """How many rows it decides about."""
        return wording.amount(self.rows, "row")

    @property
    def line(self) -> str:
        """The decision as a line for the environment's file."""
        return f"{self.place}: {self.name} = {self.choices} ({self.amount})"

    def is_answered_in(self, decisions: EntityDecisions) -> bool:
        """Whether the entity's decisions have an answer, perhaps since the plan was made."""
        if self.is_of_column:
            return not decisions.when_different.keys().isdisjoint({self.key, "*"})
        return getattr(decisions, self.key) is not None


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
    unfed: dict[str, str] = field(default_factory=dict)  # column of Nexus's -> what a new row gets

    @property
    def loaded(self) -> int:
        """The number of records of FileMaker that become rows."""
        return self.replaced + self.new

    @property
    def rows_after(self) -> int:
        """The number of rows after the run."""
        return self.replaced + self.new + self.kept

    @property
    def undecided(self) -> int:
        """The number of rows that nobody has decided to keep or purge; ``kept`` has them too."""
        return sum(u.count for u in self.unmatched if u.decision is None)

    @property
    def not_stored(self) -> int:
        """The number of values of FileMaker that did not fit their column."""
        return sum(one.not_stored for one in self.misfits)

    def lost(self, *, stamps: bool = False) -> dict[str, int]:
        """Column -> values of Nexus, in rows that stay, that are replaced or cleared.

        By FileMaker, or by a named rule. ``stamps``: those of the rows' own time stamps instead.
        What depends on a decision that is still missing is in ``undecided_values``.
        """
        counts = Counter({c.column: c.lost for c in self.changes if c.is_stamp is stamps})
        if not stamps:
            counts.update({rule.column: 0 for rule in self.overridden})
            for rule in self.overridden:
                counts[rule.column] += rule.changed
        return {column: count for column, count in counts.most_common() if count}

    @property
    def undecided_values(self) -> dict[str, int]:
        """Column -> values that are replaced only if FileMaker is right, where nobody decided."""
        return {c.column: c.undecided for c in self.changes if c.undecided}

    def questions(self) -> Iterator[Question]:
        """Every decision that a person has to make, including those already made."""
        for u in self.unmatched:
            yield Question(self.entity, u.cause, "keep or purge", u.count, u.decision)
        for o in self.overridden:
            if o.asks and o.rows:
                yield Question(self.entity, o.rule, f"keep or {o.becomes}", o.rows, o.decision)
        for c in self.changes:
            if c.different:
                choices = "filemaker or nexus"
                yield Question(
                    self.entity, c.column, choices, c.different, c.decision, is_of_column=True
                )


def losses(entities: Iterable[EntityPlan]) -> str:
    """What Nexus has and loses in rows that stay, with the columns; "" if nothing.

    The rows' own time stamps come apart: they are many, and no patient's data.
    """
    entities = tuple(entities)
    values = naming.values({e.entity: e.lost() for e in entities}, "")
    stamps = naming.values({e.entity: e.lost(stamps=True) for e in entities}, "")
    apart = f"{'besides' if values else 'nothing but'} the rows' own time stamps: {stamps}"
    return "; ".join(filter(None, (values, apart if stamps else "")))


def undecided(entities: Iterable[EntityPlan]) -> str:
    """The rows and values about which nobody has decided yet; "" if all is decided."""
    entities = tuple(entities)
    rows = naming.counted({e.entity: e.undecided for e in entities}, "")
    values = naming.values({e.entity: e.undecided_values for e in entities}, "")
    ruled = {
        e.entity: {o.rule: o.rows for o in e.overridden if o.asks and o.decision is None and o.rows}
        for e in entities
    }
    texts = {
        "keep, or delete for good (purge)": rows,
        "FileMaker's or Nexus's": values,
        "as it is, or as a rule says": naming.values(ruled, ""),
    }
    return "; ".join(f"{choice}: {what}" for choice, what in texts.items() if what)


@dataclass(frozen=True, slots=True)
class LinkPlan:
    """One kind of attachment: the links to be fixed, and the state of the others."""

    attachment: str
    table: str
    file: RowFile  # key, object, content type ("" if the link is a plain key)
    rows: int
    placed: int  # FileMaker has the record, and its owner will exist
    right_already: int
    fixed: dict[str, int]  # why -> links: dangling, unlinked, another owner
    elsewhere: int  # linked to something else; not changed
    owner_unknown: int  # FileMaker has the record, but not its owner
    not_in_filemaker: int  # no record, or records of several owners: neither is more likely
    reachable_before: int
    reachable_after: int
    split_groups: tuple[str, ...] = ()  # groups whose members belong to several owners
    lost: tuple[str, ...] = ()  # those that are reachable before, and not after
    # Those of ``elsewhere``, ``owner_unknown`` and ``not_in_filemaker``, each with why.
    unplaced: RowFile | None = None


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
        return tuple(q.line for q in self.questions if q.answer is None)

    def open_in(self, settings: Settings) -> tuple[Question, ...]:
        """What it lacked, and the environment's file lacks still."""
        return tuple(
            q
            for q in self.questions
            if q.answer is None and not q.is_answered_in(settings.decisions_for(q.entity))
        )

    @property
    def questions(self) -> tuple[Question, ...]:
        """Every decision that a person has to make, including those already made."""
        return tuple(question for e in self.entities.values() for question in e.questions())
