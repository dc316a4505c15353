"""What an undo puts back and what it keeps, of rows of every history at once.

Each person has one history (in which of three states it was there, and how) and one way to be
pointed at. What must be left of all of them is worked out here a second time, row by row.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import psycopg
import pytest
from psycopg import sql

from nexus_reimport import mapping, wording
from nexus_reimport.checks.rollback import Undoing, nothing_points_at_what_was_taken_back
from nexus_reimport.events import null_journal
from nexus_reimport.nexus import changes
from nexus_reimport.nexus.connection import session
from nexus_reimport.nexus.connection.postgres import Connection, connected, names
from nexus_reimport.nexus.registry import UndoData, UndoLinks, UndoTable
from nexus_reimport.nexus.structure import references
from nexus_reimport.nexus.structure.references import Reference
from nexus_reimport.nexus.writing import differences, relinking, undo_data
from nexus_reimport.nexus.writing.transaction import Reports, Transaction
from nexus_reimport.settings import Postgres
from nexus_reimport.settings.values import FromEnvironment
from nexus_reimport.stages.undo.findings import Finder, Findings
from nexus_sandbox.postgres.server import PostgresServer
from support import SUPPORT
from support.clinic import OWNER

COLUMNS = {
    "person": ("id", "number", "note"),
    "visit": ("id", "person_id", "note"),
    "scan": ("id", "person_id", "kind"),
    "card": ("number",),
    "mail": ("person_id", "visit_id"),
}
TABLES = """
CREATE TABLE {0}.person (id integer PRIMARY KEY, number text, note text);
CREATE TABLE {0}.visit (id integer PRIMARY KEY, person_id integer, note text);
CREATE TABLE {0}.scan (id integer PRIMARY KEY, person_id integer, kind integer);
CREATE TABLE {0}.card (number text);
CREATE TABLE {0}.mail (person_id text, visit_id text);
"""
PEOPLE, VISITS = (
    UndoTable(t, "id", tuple(sorted(COLUMNS[t])), COLUMNS[t], t, f"after_{t}")
    for t in ("person", "visit")
)
SCANS = UndoLinks("scans", "scan", "id", ("person_id", "kind"), "links_scans", "after_links_scans")
UNDO = UndoData("kept", (PEOPLE, VISITS), (SCANS,), "", loaded=False)
LOOSE = "id in a column"
# Those to persons first: only the second look finds the person of a visit that stays.
KNOWN = (
    Reference("visit", ("person_id",), "foreign key", "people", "person", ("id",)),
    Reference("card", ("number",), "foreign key", "people", "person", ("number",)),
    Reference("mail", ("person_id",), LOOSE, "people", "person", ("id",)),
    Reference("scan", ("person_id",), LOOSE, "people", "person", ("id",)),
    Reference("mail", ("visit_id",), LOOSE, "visits", "visit", ("id",)),
)
Rows = dict[int, tuple[Any, ...]]  # key -> the other columns


@dataclass
class State:
    """All rows at one time; what is outside of the wiped and linking tables has no key."""

    person: Rows = field(default_factory=dict)
    visit: Rows = field(default_factory=dict)
    scan: Rows = field(default_factory=dict)
    card: list[str] = field(default_factory=list)
    mail: list[tuple[str | None, str | None]] = field(default_factory=list)


@dataclass
class Histories:
    """Before the run, as the run left it, as it is now; ``fixed`` are the links of the run."""

    before: State = field(default_factory=State)
    after: State = field(default_factory=State)
    now: State = field(default_factory=State)
    fixed: set[int] = field(default_factory=set)

    def mails(self, before: int, now: int, person: str | None, visit: str | None) -> None:
        self.before.mail += [(person, visit)] * before
        self.after.mail += [(person, visit)] * before
        self.now.mail += [(person, visit)] * now

    def cards(self, before: int, now: int, number: str) -> None:
        for state, many in ((self.before, before), (self.after, before), (self.now, now)):
            state.card += [number] * many

    def put(self, table: str, key: int, *rows: tuple[Any, ...] | None) -> None:
        for state, row in zip((self.before, self.after, self.now), rows, strict=True):
            if row is not None:
                getattr(state, table)[key] = row

    def scan_of_the_run(self, key: int, *rows: tuple[Any, ...] | None) -> None:
        self.fixed.add(key)
        self.put("scan", key, *rows)


Pointing = Callable[[Histories, int], object]
NOBODY = (None, None)
POINTING: dict[str, Pointing] = {
    "by nothing": lambda _, key: None,
    "by a mail since": lambda all_, key: all_.mails(0, 1, str(key), None),
    "by a mail from before": lambda all_, key: all_.mails(1, 1, str(key), None),
    "by a mail from before and one since": lambda all_, key: all_.mails(1, 2, str(key), None),
    "by two mails, of which one went": lambda all_, key: all_.mails(2, 1, str(key), None),
    "by a mail from before, and a card since": lambda all_, key: (
        all_.mails(1, 1, str(key), None),
        all_.cards(0, 1, f"N{key}"),
    ),
    "by a mail from before, and a new scan": lambda all_, key: (
        all_.mails(1, 1, str(key), None),
        all_.put("scan", key, None, None, (key, 1)),
    ),
    "by a card from before, and a mail since": lambda all_, key: (
        all_.cards(1, 1, f"n{key}"),
        all_.mails(0, 1, str(key), None),
    ),
    "by a card since": lambda all_, key: all_.cards(0, 1, f"N{key}"),
    "by a newer visit": lambda all_, key: all_.put("visit", key, None, None, (key, "new")),
    "by a visit of the run": lambda all_, key: all_.put(
        "visit", key, None, (key, "run"), (key, "run")
    ),
    "by a visit of the run that a mail names": lambda all_, key: (
        all_.put("visit", key, None, (key, "run"), (key, "run")),
        all_.mails(0, 1, None, str(key)),
    ),
    "by a visit that was edited": lambda all_, key: all_.put(
        "visit", key, (0, "a"), (0, "a"), (key, "a")
    ),
    "by a visit from before that was edited": lambda all_, key: all_.put(
        "visit", key, (key, "a"), (key, "a"), (key, "edited")
    ),
    "by a visit that was deleted": lambda all_, key: all_.put(
        "visit", key, (key, "a"), (key, "b"), None
    ),
    "by a scan that was put there": lambda all_, key: all_.put(
        "scan", key, NOBODY, NOBODY, (key, 1)
    ),
    "by a new scan": lambda all_, key: all_.put("scan", key, None, None, (key, 1)),
    "by a scan of the run": lambda all_, key: all_.scan_of_the_run(key, NOBODY, (key, 1), (key, 1)),
    "by a scan of the run that was moved there": lambda all_, key: all_.scan_of_the_run(
        key, (0, 7), (0, 1), (key, 1)
    ),
    "by a scan of the run of another kind now": lambda all_, key: all_.scan_of_the_run(
        key, NOBODY, (key, 1), (key, 2)
    ),
    "by a new scan, and before by one of the run": lambda all_, key: (
        all_.scan_of_the_run(key, (key, 7), (0, 1), (0, 1)),
        all_.put("scan", 1_000 + key, None, None, (key, 1)),
    ),
    "by a scan of the run that went": lambda all_, key: all_.scan_of_the_run(
        key, NOBODY, (key, 1), None
    ),
}
HISTORY = [
    (was, left, then)
    for was, left, then in product(("", "a"), ("", "a", "b"), ("as left", "gone", "edited"))
    if was or left or then == "edited"
]


def every_history() -> Histories:
    """A person for each history and each way to be pointed at."""
    found = Histories()
    for key, ((was, left, then), point) in enumerate(product(HISTORY, POINTING.values()), 1):
        # The number is one that the run may change: "O" was the old one.
        old = (f"{'O' if left == 'b' else 'N'}{key}", was) if was else None
        new = (f"N{key}", left) if left else None
        now = {"as left": new, "gone": None, "edited": (f"N{key}", "edited")}[then]
        found.put("person", key, old, new, now)
        point(found, key)
    return found


# ---------------------------------------------------------------- what must be left


def pointers(state: State, stays: dict[str, set[int]], back: set[int]) -> Counter[tuple[int, str]]:
    """(reference, id) -> rows that point, of those that stay as they are."""
    ids: list[tuple[int, Any]] = [
        *((0, row[0]) for key, row in state.visit.items() if key in stays["visit"]),
        *((1, number) for number in state.card),
        *((2, person) for person, _ in state.mail),
        *((3, row[0]) for key, row in state.scan.items() if key not in back),
        *((4, visit) for _, visit in state.mail),
    ]
    return Counter((place, str(one).lower()) for place, one in ids if one is not None)


def expected(all_: Histories, *, keep: bool) -> tuple[State, dict[str, set[int]]]:
    """The rows that an undo must leave, and the keys of the new ones that are pointed at."""
    before, after, now = all_.before, all_.after, all_.now
    wiped = ("person", "visit")
    stays: dict[str, set[int]] = {t: set() for t in wiped}
    for t in wiped if keep else ():
        was = getattr(after, t)
        stays[t] = {key for key, row in getattr(now, t).items() if row != was.get(key)}
    moved = {k for k in all_.fixed if now.scan.get(k) != after.scan.get(k)} if keep else set()
    back = all_.fixed - moved
    at_commit = pointers(after, {"visit": set()}, all_.fixed)
    kept: dict[str, set[int]] = {t: set() for t in wiped}
    while True:
        count = pointers(now, stays, back)
        more = {t: set[int]() for t in wiped}
        for place, one in enumerate(KNOWN):
            known, rows = getattr(before, one.target), getattr(now, one.target)
            for key in rows.keys() - known.keys() - stays[one.target]:
                at = rows[key][0] if one.target_columns == ("number",) else key
                name = (place, str(at).lower())
                made = key in getattr(after, one.target)
                if count[name] > (at_commit[name] if made else 0):
                    more[one.target].add(key)
        if not any(more.values()):
            break
        for t in wiped:
            stays[t] |= more[t]
            kept[t] |= more[t]
    left = State(card=now.card, mail=now.mail)
    for t in wiped:
        was, rows = getattr(before, t), getattr(now, t)
        put_back = {key: row for key, row in was.items() if key not in stays[t]}
        setattr(left, t, put_back | {key: rows[key] for key in stays[t]})
    left.scan = {k: before.scan[k] if k in back else row for k, row in now.scan.items()}
    return left, kept


# ---------------------------------------------------------------- the database


@pytest.fixture(scope="module")
def place(postgres: PostgresServer) -> Iterator[Postgres]:
    """A database with tables of persons, and of what points at them."""
    name = "what_an_undo_leaves"
    postgres.create_database(name, owner=OWNER)
    with psycopg.connect(postgres.dsn(name, OWNER), autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA practice; {TABLES.format('practice')}")
        connection.execute(f"CREATE SCHEMA planned; {TABLES.format('planned')}")
    yield Postgres(
        host="127.0.0.1",
        port=postgres.port,
        database=name,
        user=OWNER,
        password=FromEnvironment(postgres.access.passwords[OWNER]),
        sslmode="disable",
    )
    postgres.drop_database(name)


def lines(state: State, table: str) -> list[tuple[Any, ...]]:
    held = getattr(state, table)
    if isinstance(held, dict):
        return [(key, *row) for key, row in held.items()]
    return [one if isinstance(one, tuple) else (one,) for one in held]


def fill(connection: Connection, schema: str, state: State) -> None:
    """Have these rows, and no others."""
    for table, columns in COLUMNS.items():
        place = sql.Identifier(schema, table)
        connection.execute(sql.SQL("DELETE FROM {}").format(place))
        values = sql.SQL(", ").join(sql.Placeholder() * len(columns))
        with connection.cursor() as cursor:
            query = sql.SQL("INSERT INTO {} VALUES ({})").format(place, values)
            cursor.executemany(query, lines(state, table))


def held(connection: Connection) -> dict[str, list[tuple[Any, ...]]]:
    return {
        table: connection.execute(
            sql.SQL("SELECT {} FROM {}").format(names(columns), sql.Identifier("practice", table))
        ).fetchall()
        for table, columns in COLUMNS.items()
    }


def imported(transaction: Transaction, all_: Histories) -> None:
    """The run: the undo data as it makes them, and the rows as it leaves them."""
    connection = transaction.connection
    fill(connection, "practice", all_.before)
    fill(connection, "planned", all_.after)
    undo_data.make(connection, UNDO)
    undo_data.copy_rows(transaction, UNDO)
    fixed = sql.SQL("SELECT id FROM planned.scan WHERE id = ANY ({})").format(
        sql.Literal(sorted(all_.fixed))
    )
    created = {
        part.table: references.without(
            sql.Identifier("planned", part.table), sql.Identifier("practice", part.table), ("id",)
        )
        for part in UNDO.tables
    }
    outside = undo_data.from_outside(UNDO, KNOWN)
    undo_data.write_down_pointers(transaction, UNDO, outside, created, {"scans": fixed})
    undo_data.copy_links(transaction, UNDO, {"scans": fixed})
    fill(connection, "practice", all_.after)
    for part in UNDO.parts:
        undo_data.hash_now(transaction, UNDO, part)


def taken_back(transaction: Transaction, findings: Findings, *, keep: bool) -> int:
    """What a rollback writes; gives the number of links that were put back."""
    tables = [findings.wanted[part.table] for part in UNDO.tables]
    for write in (differences.delete, differences.update, differences.insert):
        differences.each(write, transaction, tables, findings.differing)
    back = sql.SQL("({})").format(changes.put_back(UNDO, SCANS, keep=keep))
    return relinking.write(transaction, SCANS, back)


TAMPERED = {
    PEOPLE: "UPDATE practice.person SET note = note || '.' WHERE id = %s",
    VISITS: "DELETE FROM practice.visit WHERE id = %s",
    SCANS: "UPDATE practice.scan SET kind = coalesce(kind, 0) + 1 WHERE id = %s",
}
ADDED = "INSERT INTO practice.{} (id) VALUES (0)"


@pytest.mark.parametrize("keep", [True, False])
def test_of_every_history_an_undo_leaves_what_it_must_and_proves_it(
    place: Postgres, keep: bool
) -> None:
    all_ = every_history()
    left, kept = expected(all_, keep=keep)
    with connected(place) as connection:
        connection.execute("BEGIN")
        session.set_for_transaction(connection)
        transaction = Transaction(connection, place, "practice", Reports("test", 1, null_journal))
        imported(transaction, all_)
        fill(connection, "practice", all_.now)
        clinic = mapping.load("second_installation.toml", SUPPORT)
        finder = Finder(transaction, clinic, UNDO, KNOWN, keep=keep)
        same = changes.look_ahead(transaction, UNDO)
        findings = finder.find(same)
        assert counted(findings) == counted_here(all_)
        found = Counter[str]()
        for one in findings.newer.pointed_at:
            found[one.table] += one.rows
        assert found == Counter({table: len(keys) for table, keys in kept.items()})
        assert not finder.are_still(findings, same), "what is referenced may be so no more"
        saved = connection.execute(changes.newer_rows(transaction, PEOPLE)).fetchall()
        rows = all_.now.person.items()
        assert dict(rows - all_.after.person.items()) == {key: tuple(row) for key, *row in saved}
        links = connection.execute(changes.newer_links(transaction, UNDO, SCANS)).fetchall()
        fixed = {key: row for key, row in all_.now.scan.items() if key in all_.fixed}
        moved = {key: row for key, row in fixed.items() if row != all_.after.scan[key]}
        assert moved == {key: tuple(row) for key, *row in links}
        restored = taken_back(transaction, findings, keep=keep)
        assert {t: sorted(rows, key=str) for t, rows in held(connection).items()} == {
            t: sorted(lines(left, t), key=str) for t in COLUMNS
        }
        there = all_.fixed & all_.now.scan.keys()
        assert restored == len(there - moved.keys() if keep else there)
        assert restored == changes.restored_links(transaction, UNDO, SCANS, keep=keep)
        assert finder.proven(findings, same) == {*UNDO.parts}
        assert finder.proven(findings, same - {SCANS}) == {*UNDO.tables}
        fine = {part.table: 0 for part in UNDO.parts}
        assert finder.misplaced(()) == fine
        for part, foretold in findings.foretold.items():
            assert undo_data.fingerprint_now(transaction, part) == foretold
            # One row that is not as it must be, whether it was written or left alone, or is new.
            keys, now = getattr(left, part.table), getattr(all_.now, part.table)
            written = {key for key, row in keys.items() if now.get(key) != row}
            for change in (min(written), min(keys.keys() - written), None):
                with connection.transaction(force_rollback=True):
                    text = TAMPERED[part] if change else ADDED.format(part.table)
                    connection.execute(text.encode(), (change,) if change else None)
                    assert finder.misplaced(()) == fine | {part.table: 1}
                    assert finder.misplaced({part}) == fine
                    assert finder.proven(findings, same) == {*UNDO.parts} - {part}
        points_at_nothing(transaction, findings, all_, left, keep=keep)
        connection.execute("ROLLBACK")


Counts = list[tuple[str, int, int, int, int | None]]


def counted(findings: Findings) -> Counts:
    return [(n.table, n.created, n.changed, n.deleted, n.fixed) for n in findings.newer.newer]


def counted_here(all_: Histories) -> Counts:
    counts: Counts = []
    for table in ("person", "visit", "scan"):
        was, now = getattr(all_.after, table), getattr(all_.now, table)
        changed = {key for key in was.keys() & now.keys() if was[key] != now[key]}
        created, deleted = len(now.keys() - was), len(was.keys() - now)
        fixed = len(changed & all_.fixed) if table == "scan" else None
        counts.append((table, created, len(changed), deleted, fixed))
    return counts


def points_at_nothing(
    transaction: Transaction, findings: Findings, all_: Histories, left: State, *, keep: bool
) -> None:
    """The check inside: what points at what is gone is counted, and one row more by each reference.

    Cards alone do: some name a number that the run gave to an old person, and that went with it.
    """
    nothing: Any = None
    known = (findings.newer, keep, KNOWN, {}, {}, {}, {})
    undoing = Undoing(transaction, nothing, nothing, UNDO, *known)
    numbers = {f"n{key}" for key in all_.now.person if left.person.get(key, ("",))[0] == f"O{key}"}
    cards = sum(number.lower() in numbers for number in all_.now.card)
    # A mail named this one before the run: one more, of whichever table, is a reason.
    story = HISTORY.index(("", "a", "as left")), list(POINTING).index("by a mail from before")
    gone = 1 + story[0] * len(POINTING) + story[1]
    visit = min(all_.after.visit.keys() & all_.now.visit.keys() - left.visit.keys())
    assert gone in all_.now.person.keys() - left.person.keys()
    for statement, place in {
        "SELECT": "",
        f"INSERT INTO practice.card VALUES ('n{gone}')": "card.number",
        f"INSERT INTO practice.mail VALUES ('{gone}', NULL)": "mail.person_id",
        f"INSERT INTO practice.mail VALUES (NULL, '{visit}')": "mail.visit_id",
        f"INSERT INTO practice.scan VALUES (-1, {gone}, 1)": "scan.person_id",
    }.items():
        with transaction.connection.transaction(force_rollback=True):
            transaction.connection.execute(statement.encode())
            rows = Counter({"card.number": cards}) + Counter([place] if place else [])
            assert set(nothing_points_at_what_was_taken_back(undoing).offending) == {
                f"{where}: {wording.amount(n, 'row points', 'rows point')} at deleted rows"
                for where, n in rows.items()
            }
