"""What of the database the run must not touch: protected tables, the schema."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from nexus_reimport import wording
from nexus_reimport.checks import SAMPLE, Finding, check
from nexus_reimport.checks.after.subject import After, had, kept
from nexus_reimport.files import rowfile
from nexus_reimport.files.rowfile import Dict, by
from nexus_reimport.model import Level
from nexus_reimport.nexus.connection.readings import Unread
from nexus_reimport.nexus.structure.fingerprint import Fingerprint
from nexus_reimport.nexus.structure.tables import Role
from nexus_reimport.text import UUID

PROTECTED = ("K6", "K7", "K8", "K9", "K10", "K11", "K12", "K13")
# A key that is an id, as a row's key is printed; any other one may be somebody's name or address.
_ID = re.compile(rf"\((?:\d{{1,18}}|{UUID})\)")


@check(After, Level.STOP, serves=PROTECTED, links=True)
def protected_tables_are_as_they_were(after: After) -> Finding:
    """No row of a protected table was lost or changed since the survey, of whichever schema.

    Columns that move by themselves are left aside, but each must be filled where it was, and no row
    may be lost. The run itself wrote to none of these tables: that is checked inside the
    transaction. What differs here was written by others in the meantime.
    """
    before, lines, count = _protected(after), [], 0
    for table, compared in after.once(_compared):
        difference = compared.problem()
        count += compared.wrong
        lines += [f"{table}: {difference}"] if difference else []
    fewer = {t: n for t, n in _counted(after) if n < 0 and t not in after.mapping.transient}
    lines += [
        f"{table}: {wording.amount(-n, 'row')} fewer, only counted" for table, n in fewer.items()
    ]
    count -= sum(fewer.values())
    counted = sum(not f.digest for f in before.values())
    those = wording.amount(counted, "table is", "tables are")
    note = f"{those} volatile as a whole and only counted" if counted else ""
    return Finding(len(before), lines, count=max(count, len(lines)), note=note)


@check(After, Level.REVIEW, serves=PROTECTED, links=True)
def nothing_was_added_to_protected_tables(after: After) -> Finding:
    """Protected tables have no more rows than at the survey: others have added what is here.

    Of logs, and of tables that are volatile as a whole, the numbers are told alone.
    """
    compared = [(table, c) for table, c in after.once(_compared) if c.added]
    logs = after.mapping.append_only
    added = [(table, c) for table, c in compared if table not in logs]
    lines = [
        f"{table}: {wording.amount(c.added, 'row')}{c.examples(c.added_keys)}" for table, c in added
    ]
    moved = {table: n for table, n in _counted(after) if n}
    gone = {t: -n for t, n in moved.items() if n < 0 and t in after.mapping.transient}
    lines += [
        f"{table}: {wording.amount(n, 'row')} fewer, which come and go" for table, n in gone.items()
    ]
    more = {table: c.added for table, c in compared if table in logs} | moved
    changes = ", ".join(f"rows of {table}: {n:+,}" for table, n in more.items())
    return Finding(
        len(_protected(after)),
        lines,
        count=sum(c.added for _, c in added) + sum(gone.values()),
        note=f"by themselves: {changes}" if changes else "",
    )


def _protected(after: After) -> dict[str, Fingerprint]:
    """What nothing of a run is for, as it was; linking tables have their own check."""
    linking = after.mapping.linking_tables()
    here = after.survey.fingerprints(Role.PROTECTED)
    return {**{t: f for t, f in here.items() if t not in linking}, **after.survey.elsewhere}


def _counted(after: After) -> Iterator[tuple[str, int]]:
    """The tables that are only counted, and how many more rows they have."""
    for table, was in _protected(after).items():
        now = after.fingerprints[table]
        if not was.digest and not isinstance(now, Unread):
            yield table, now.rows - was.rows


@dataclass(slots=True)
class _Compared:
    """How the rows of one table differ from those of the survey; the first keys of each kind."""

    lost: int = 0
    changed: int = 0
    emptied: int = 0
    doubled: int = 0
    added: int = 0
    unread: str = ""
    keys: list[str] = field(default_factory=list)
    added_keys: list[str] = field(default_factory=list)

    @property
    def wrong(self) -> int:
        """Rows that are not what they were."""
        return self.lost + self.changed + self.emptied + self.doubled + bool(self.unread)

    def problem(self) -> str:
        """What is wrong; "" where nothing is."""
        counts = {
            "lost": self.lost,
            "changed": self.changed,
            "with a volatile column emptied": self.emptied,
            "twice under one key": self.doubled,
        }
        rows = ", ".join(f"{n:,} {what}" for what, n in counts.items() if n)
        return self.unread or (f"rows {rows}{self.examples(self.keys)}" if rows else "")

    @staticmethod
    def examples(keys: list[str]) -> str:
        """The first ids; a key that is none is not told."""
        ids = [key.strip("()") for key in keys if _ID.fullmatch(key)]
        return f" ({', '.join(ids)})" if ids else ""


def _compared(after: After) -> tuple[tuple[str, _Compared], ...]:
    """Table by table, those alone that are not what they were or have volatile columns."""
    return tuple(_each_compared(after))


def _each_compared(after: After) -> Iterator[tuple[str, _Compared]]:
    for table in _protected(after):
        now = after.fingerprints[table]
        if isinstance(now, Unread):
            yield table, _Compared(unread=now.why)
    was = rowfile.read_dicts(after.folder, kept(after.survey.protected))
    # The survey wrote the file table after table.
    for name, rows in itertools.groupby(was, lambda row: row["table"] or ""):
        hashes = after.hashes.get(name)
        if isinstance(hashes, Unread):
            yield name, _Compared(unread=hashes.why)
        elif hashes is not None:
            yield name, _rows_compared(rows, rowfile.read_dicts(after.folder, hashes))
    empty = {t for t, f in _protected(after).items() if not f.rows}
    for name in sorted(empty & after.hashes.keys()):
        hashes = had(after.hashes[name])
        yield name, _rows_compared((), rowfile.read_dicts(after.folder, hashes))


def _rows_compared(was: Iterable[Dict], now: Iterable[Dict]) -> _Compared:
    compared, last = _Compared(), ""
    for (key,), then, row in rowfile.paired(was, now, by("key")):
        if then is None:
            # Sorted by key: a row without a partner that repeats the last key is a second one.
            compared.doubled += key == last
            compared.added += key != last
            _note(compared.keys if key == last else compared.added_keys, key)
        elif row is None:
            compared.lost += 1
            _note(compared.keys, key)
        elif row["hash"] != then["hash"]:
            compared.changed += 1
            _note(compared.keys, key)
        elif _is_emptied(then["filled"] or "", row["filled"] or ""):
            compared.emptied += 1
            _note(compared.keys, key)
        last = key
    return compared


def _is_emptied(was: str, now: str) -> bool:
    # A digit for each volatile column, 1 where it is filled: only from 1 to 0 is a loss.
    return len(was) != len(now) or any(a > b for a, b in zip(was, now, strict=True))


def _note(keys: list[str], key: str) -> None:
    if len(keys) < SAMPLE:
        keys.append(key)


@check(After, Level.STOP, serves=("M1",), links=True)
def the_schema_is_as_surveyed(after: After) -> Finding:
    """The whole catalog says what it said: tables, keys, triggers, policies, grants, roles.

    Of every schema but our own; also sequences, views, functions and types, what extensions and
    PostgreSQL itself have brought, who belongs to a role with rights here, and what large objects
    hold. Until COMMIT that is certain of the mapped tables; what differs was changed by others.
    Whoever has done that on purpose waives it by name.
    """
    described = after.survey.inventory.rows if after.survey.inventory else 0
    return Finding(max(1, described), had(after.schema_changes))


@check(After, Level.STOP, serves=("M1",), links=True)
def no_sequence_was_set_back(after: After) -> Finding:
    """No sequence would give out again what it has given out before the run."""
    now, off = had(after.positions), []
    for name, last in after.survey.positions.items():
        position = now.get(name)
        if last is not None and (position is None or position < last):
            off.append(
                # A sequence that falls is kept with the other sign: "less" is a step back.
                f"{name}: {abs(last)} then, {'nothing' if position is None else abs(position)} now"
            )
    note = "" if after.survey.positions else "there is no sequence"
    return Finding(max(1, len(after.survey.positions)), off, note=note)
