"""What every row must be after a run, and what its lists must tell."""

from __future__ import annotations

import copy
import json
import re
import uuid
from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime
from typing import Any

from oracle import by_hand, closure, links, matching
from oracle.matching import at, carried
from oracle.seen import SOURCES, TABLE, ZONE, Mapped, Row, Seen
from oracle.texts import clean, fold_blanks, ident, is_uuid
from oracle.unsaid import LostTimes, Reasons, UnsaidTimes
from oracle.values import NO_ROW, Converters, Misfit, stamp

_WORDS = {"f": False, "t": True}
_NUMBER = re.compile(r"(?!-0(\.0*)?$)-?(0|[1-9]\d*)(\.\d+)?")  # as JSON has one


def is_empty(value: Any) -> bool:
    """Whether a column holds nothing."""
    return value is None or value in ("", [], {})


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float)


def is_same(was: Any, value: Any, *, folded: bool = False) -> bool:
    """Whether two values say the same."""
    if isinstance(was, bool):
        was = int(was)
    if _is_number(was) and isinstance(value, str):
        was = str(was)
    if not (isinstance(was, str) and isinstance(value, str)):
        return bool(was == value)
    if folded:
        return fold_blanks(was) == fold_blanks(value)
    if is_uuid(was) and is_uuid(value):
        return ident(was) == ident(value)
    return was.strip().replace("\r\n", "\n").replace("\r", "\n") == value.strip()


class Expected:
    """The rows of each entity as they must be, by id, and what was decided on the way."""

    def __init__(self, seen: Seen) -> None:
        self.seen = seen
        self.converters = Converters(
            ZONE,
            seen.plan.as_of,
            seen.records,
            lambda source: SOURCES[source]["key"],
            seen.before.tables,
        )
        self.rows: dict[str, dict[str, Row]] = {}
        self.ids: dict[str, dict[str, str]] = {}  # FileMaker id -> Nexus id, as it must be
        self.told: dict[str, dict[str, str]] = {}  # the same, as the ledger has it
        self.stay: dict[str, set[str]] = {}  # rows that were there, and have a record
        self.left_out: dict[str, dict[str, str]] = {}  # FileMaker id -> rule
        self.forgotten: set[tuple[str, str]] = set()  # entity, FileMaker id: no line of the ledger
        self.misfits: set[tuple[str, str, str]] = set()  # entity, column, FileMaker id
        self.derived: set[tuple[str, str, str]] = set()
        self.differences: set[tuple[str, str, str]] = set()  # entity, Nexus id, column
        self.changes: Counter[tuple[str, str, str]] = Counter()  # entity, column, what
        self.before: dict[str, dict[str, Row]] = {}  # the rows as they were, by id
        self.loaded_as: dict[str, dict[str, str]] = {}  # Nexus id -> FileMaker id of a run before
        self.pointed_at = closure.pointed_at(seen)
        for entity in seen.entities:
            self._add(entity)
        self.owners = links.owners(seen, self.converters.ids["patients"])
        self.causes, self.purged = closure.purged(self)
        for entity, row_id in self.purged:
            del self.rows[entity][row_id]
        self.by_hand = by_hand.filled(self.rows, seen.given)

    def decided(self, entity: str, what: str) -> str:
        """What was decided; to keep, where nothing was."""
        decision: str = self.seen.decisions.get(entity, {}).get(what, "keep")
        return decision

    def nexus_is_right(self, entity: str, *names: str) -> bool:
        """Whether Nexus's value stays where FileMaker has another one; the narrowest name first."""
        spec: Mapped = self.seen.entities[entity]["columns"].get(names[-1], {})
        decided = self.seen.decisions.get(entity, {}).get("when_different", {})
        decision = (decided[name] for name in (*names, "*") if name in decided)
        return spec.get("when_different", next(decision, "filemaker")) == "nexus"

    def _add(self, entity: str) -> None:
        spec, seen = self.seen.entities[entity], self.seen
        rows = self.before[entity] = seen.before.by_id(entity)
        records = {
            ident(record.get(SOURCES[spec["source"]]["key"], "")): record
            for record in seen.records(spec["source"])
        }
        self.left_out[entity], values, reasons = {}, {}, {}
        for name, record in records.items():
            converted, why, rule = self._converted(entity, name, record)
            if rule:
                self.left_out[entity][name] = rule
            else:
                values[name], reasons[name] = converted, why
        loaded = {
            ident(name): row_id for (of, name), row_id in seen.before.loaded.items() if of == entity
        }
        self.loaded_as[entity] = {row_id: name for name, row_id in reversed(loaded.items())}
        lost = LostTimes(self.converters, reasons)
        is_first = not any(of == entity for of, _ in seen.before.loaded)
        found = matching.pairs(
            spec, rows, values, loaded, self.left_out[entity], is_first=is_first, lost=lost
        )
        self.told[entity] = {
            ident(line["filemaker_id"]): line["nexus_id"]
            for line in seen.ledger
            if (line["entity"], line["source"]) == (entity, spec["source"])
            and line["outcome"] in ("new", "replaced")
        }
        self.stay[entity] = set(found.values())
        # The id of a new row is the package's to choose.
        new = {n: i for n, i in self.told[entity].items() if n in values and n not in found}
        self.ids[entity] = found | new
        self.forgotten |= {(entity, name) for name in values.keys() - self.ids[entity].keys()}
        of_kept = {
            name: ids[0]
            for name, ids in carried(spec, rows).items()
            if len(ids) == 1
            and ids[0] not in self.stay[entity]
            and not closure.is_to_go(self, entity, ids[0])
        }
        self.converters.ids[entity] = {
            name: uuid.UUID(row_id) for name, row_id in (of_kept | self.ids[entity]).items()
        }
        self.rows[entity] = {i: dict(row) for i, row in rows.items() if i not in self.stay[entity]}
        for name, row_id in self.ids[entity].items():
            old, given, why = rows.get(row_id), values[name], reasons[name]
            if old is not None:
                takes = {column: not self.nexus_is_right(entity, column) for column in given}
                times = UnsaidTimes(self.converters, spec, old, takes)
                given, why = times.settled(given, why)
            self.derived |= {(entity, column, name) for column, each in why.items() if each}
            self.rows[entity][row_id] = self._merged(
                entity, name, row_id, old, given, records[name]
            )

    # ---------------------------------------------------------------- values

    def _converted(self, entity: str, name: str, record: Row) -> tuple[Row, Reasons, str]:
        """The values of a record by column, why they are derived; the rule that leaves it out."""
        columns = self.seen.before.columns[TABLE[entity]]
        values: Row = {}
        misfits: dict[str, str] = {}
        reasons: Reasons = {}
        for column, spec in self._fed(entity):
            values[column] = None
            try:
                value = self.converters.of(spec, record)
                most = columns[column]["most"] if column in columns else None
                if most and isinstance(value.value, str) and len(value.value) > most:
                    raise Misfit("too long")
                values[column], reasons[column] = value.value, value.derived
                if value.has_misfit:
                    misfits[column] = "in part"
            except Misfit as misfit:
                misfits[column] = str(misfit)
        for column, spec in self._fed(entity):
            first = values.get(spec.get("not_before"))
            if first is not None and values[column] is not None and values[column] < first:
                values[column], misfits[column] = None, "before"
        for rule in self.seen.entities[entity]["left_out"]:
            if _leaves_out(rule, name, record, misfits):
                return values, reasons, rule["name"]
        self.misfits |= {(entity, column, name) for column in misfits}
        return values, reasons, ""

    # ---------------------------------------------------------------- rows

    def _merged(
        self, entity: str, name: str, row_id: str, old: Row | None, values: Row, record: Row
    ) -> Row:
        row = copy.deepcopy(old) if old else self._empty(entity, row_id)
        for column, spec in self._fed(entity):
            put = self._put_key if "." in column else self._put
            what = put(entity, row, column, spec, values[column], is_new=old is None)
            if what == "blocked":
                self.misfits.add((entity, column, name))
            if what in ("different", "blocked", "cleared"):
                self.differences.add((entity, row_id, column))
            if what and old is not None:
                self.changes[entity, column, what] += 1
            if old is not None and _is_before(spec, old, row, column):
                self.derived.add((entity, column, name))
        if old is None:
            self._add_new(entity, name, row, values, record)
        for rule in self.seen.entities[entity].get("overrides", ()):
            if row[rule["column"]] == rule["was"] and self._overrides(entity, rule, row):
                row[rule["column"]] = rule["becomes"]
        return row

    def _fed(self, entity: str) -> Iterator[tuple[str, Mapped]]:
        """The columns that fields feed; cards are gathered from other records: ``cards``."""
        for column, spec in self.seen.entities[entity]["columns"].items():
            if "gather" not in spec:
                yield column, spec

    def _empty(self, entity: str, row_id: str) -> Row:
        columns = self.seen.before.columns[TABLE[entity]]
        row = dict.fromkeys(columns)
        row["id"] = uuid.UUID(row_id)
        for column, value in self.seen.entities[entity]["new"].items():
            if isinstance(value, str):
                is_json = columns[column]["is_json"]
                number = int(value) if value.isdigit() else value
                row[column] = json.loads(value) if is_json else _WORDS.get(value, number)
        return row

    def _put(
        self, entity: str, row: Row, column: str, spec: Mapped, value: Any, *, is_new: bool
    ) -> str:
        """Put a value into its column; gives what happened to what the column had."""
        was = None if is_new else row[column]
        if value is None:
            if is_empty(was) or spec.get("when_empty") != "clear":
                return "" if is_empty(was) else "kept"
            if isinstance(self.seen.entities[entity]["new"].get(column), dict):
                return "kept"  # by a rule
            as_new = self._empty(entity, str(row["id"]))[column]
            if was == as_new:
                return "kept"
            row[column] = type(was)() if isinstance(was, dict | list) else as_new
            return "cleared"
        folded = bool(spec.get("folded"))
        same = is_same(was, value, folded=folded)
        stays = not is_empty(was) and self.nexus_is_right(entity, column) and not (folded and same)
        if not stays:
            row[column] = value
        return "filled" if is_empty(was) else "same" if same else "different"

    def _put_key(
        self, entity: str, row: Row, place: str, spec: Mapped, value: Any, *, is_new: bool
    ) -> str:
        """The same with a key of a JSON column. Where something else is in the way, it stays."""
        column, *path = place.split(".")
        was = row[column]
        for key in path:
            if not isinstance(was, dict) and not is_empty(was):
                return "blocked" if value is not None else "kept"
            was = was.get(key) if isinstance(was, dict) else None
        if value is None:
            if is_empty(was) or spec.get("when_empty") != "clear":
                return "" if is_empty(was) else "kept"
            del at(row, ".".join((column, *path[:-1])))[path[-1]]
            return "cleared"
        if isinstance(value, date):
            value = value.isoformat()
        fed_by = SOURCES[self.seen.entities[entity]["source"]]["fields"][spec["from"]]
        of_number = (fed_by if isinstance(fed_by, str) else fed_by["type"]) == "number"
        if of_number and _NUMBER.fullmatch(str(value)):
            value = json.loads(str(value))
        same = not is_empty(was) and is_same(was, str(value))
        nexus_stays = self.nexus_is_right(entity, place) or (same and not isinstance(was, str))
        if is_empty(was) or not nexus_stays:
            document = row[column] = row[column] if isinstance(row[column], dict) else {}
            for key in path[:-1]:
                if not isinstance(document.get(key), dict):
                    document[key] = {}
                document = document[key]
            document[path[-1]] = value
        return "filled" if is_empty(was) or is_new else "same" if same else "different"

    def _add_new(self, entity: str, name: str, row: Row, values: Row, record: Row) -> None:
        """Fill the columns of a new row that no field feeds."""
        for column, rule in self.seen.entities[entity]["new"].items():
            if not isinstance(rule, str) and values.get(column) is None:
                row[column], is_derived = self._by_rule(rule, row, record)
                if is_derived:
                    self.derived.add((entity, column, name))

    def _by_rule(self, rule: Mapped, row: Row, record: Row) -> tuple[Any, bool]:
        as_of = self.seen.plan.as_of
        if rule["rule"] == "as_of":
            return as_of, False
        if rule["rule"] == "from":
            try:
                wall = stamp(record.get(rule["from"], ""))
            except Misfit:
                wall = None
            given = self.converters.at(wall)
            return given.value or as_of, given.value is None or bool(given.derived)
        when = row[rule["column"]]
        if rule["rule"] == "sent_if":
            return rule["future" if when is None else "past"], False
        assert rule["rule"] == "completed_if_past", rule
        now = as_of if isinstance(when, datetime) else as_of.astimezone(ZONE).date()
        return rule["past" if when is not None and when < now else "future"], when is None

    def _overrides(self, entity: str, rule: Mapped, row: Row) -> bool:
        if "filled" in rule:
            return not is_empty(row[rule["filled"]])
        end = row[rule["past"]]
        is_past = end is not None and end < self.seen.plan.as_of
        is_asked = rule.get("asks", False)
        return is_past and (not is_asked or self.decided(entity, rule["name"]) == rule["becomes"])


def _is_before(spec: Mapped, old: Row, row: Row, column: str) -> bool:
    """Whether an end is before its start now, since one of the two has changed."""
    first = spec.get("not_before")
    was, now = ([at(one, place) for place in (column, first) if place] for one in (old, row))
    return bool(first and all(now) and str(now[0]) < str(now[1]) and was != now)


def _leaves_out(rule: Mapped, name: str, record: Row, misfits: dict[str, str]) -> bool:
    if "empty" in rule:
        return not any(clean(record.get(field, "")).strip() for field in rule["empty"])
    if "records" in rule:
        return name in map(ident, rule["records"])
    if "misfit" in rule:
        return rule["misfit"] in misfits
    return misfits.get(rule["unresolved"]) == NO_ROW
