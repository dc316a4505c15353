"""A description of the tables that a run touches, from the catalog, to compare it later.

The preflight describes them, and the approval covers that description. They are described again
under the locks, before a rollback, and after COMMIT. What a rehearsal's copy does not have (owners,
grants, policies, publications, event triggers) is marked as local, and not compared with a copy.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nexus_reimport import wording
from nexus_reimport.errors import StopError
from nexus_reimport.files import private
from nexus_reimport.mapping import FieldMapping
from nexus_reimport.nexus.connection.postgres import Connection, scalar, statement
from nexus_reimport.nexus.structure.tables import mapped_tables

_DIGEST = 12  # characters; enough, since a definition is only compared with one other


@dataclass(frozen=True, slots=True)
class Fact:
    """One object of the schema: where, what may be shown of it, a digest of its definition."""

    place: str
    shown: str
    digest: str
    local: bool


Facts = tuple[Fact, ...]


def describe(connection: Connection, mapping: FieldMapping) -> Facts:
    """The description of the mapped tables as they are now.

    A definition is never shown: its condition may hold a constant that is a patient's value.
    """
    return of_tables(connection, mapping.schema_name, mapped_tables(mapping))


def of_tables(connection: Connection, schema: str, tables: Iterable[str]) -> Facts:
    """All that the catalog says of ``tables``, and of what points at them."""
    asked = {"schema": schema, "tables": sorted(tables)}
    described = facts(connection, "schema", asked)
    if scalar(connection, "SELECT EXISTS (SELECT FROM pg_catalog.pg_publication)"):
        described += facts(connection, "schema_published", asked)
    return described


def tables_in(facts: Iterable[Fact], schema: str) -> set[str]:
    """The names of the tables of ``schema`` that were described."""
    place = f"table {schema}."
    return {
        fact.place.removeprefix(place)
        for fact in facts
        if fact.place.startswith(place) and " below " not in fact.place
    }


def facts(connection: Connection, name: str, asked: Mapping[str, Any]) -> Facts:
    """What a fixed statement gives: local, place, what may be shown, the definition.

    An object that was dropped while it was described has no name any more, and no line.
    """
    return tuple(
        Fact(place, shown, private.sha256((definition or "").encode())[:_DIGEST], local)
        for local, place, shown, definition in connection.execute(statement(name), asked)
        if place is not None
    )


def structure(facts: Iterable[Fact]) -> Facts:
    """The facts that a copy must have in common with its original."""
    return tuple(fact for fact in facts if not fact.local)


def digest(facts: Sequence[Fact]) -> str:
    """A digest of all of them."""
    content = [[f.place, f.shown, f.digest] for f in facts]
    return private.sha256(json.dumps(content).encode())


def differences(was: Iterable[Fact], now: Iterable[Fact]) -> tuple[str, ...]:
    """A line for each object that differs: its name, how it was and how it is."""
    before, after = _by_place(was), _by_place(now)
    texts = []
    for place in sorted({*before, *after}):
        old, new = before.get(place, []), after.get(place, [])
        if old == new:
            continue
        if not old:
            texts.append(f"{place}: did not exist")
        elif not new:
            texts.append(f"{place}: is gone")
        elif [f.shown for f in old] == [f.shown for f in new]:
            # Not what it says: a condition may hold a patient's value.
            texts.append(f"{place}: another definition")
        else:
            texts.append(f"{place}: {_shown(old)} then, {_shown(new)} now")
    return tuple(texts)


def require_same(
    was: Iterable[Fact], now: Iterable[Fact], since: str, *, state: str, next: str
) -> None:
    """Stop if the schema has changed; the error names each object and the change.

    Raises:
        StopError: ``state`` is left, ``next`` says what to do.
    """
    differ = differences(was, now)
    if not differ:
        return
    raise StopError(
        f"the schema was changed {since}: {wording.amount(len(differ), 'difference')}\n"
        + wording.lines(differ),
        where="tables that are wiped, re-linked or looked up, and what references them",
        state=state,
        next=next,
    )


def _shown(facts: Iterable[Fact]) -> str:
    return " and ".join(fact.shown for fact in facts)


def _by_place(facts: Iterable[Fact]) -> dict[str, list[Fact]]:
    by_place: dict[str, list[Fact]] = {}
    for fact in facts:
        by_place.setdefault(fact.place, []).append(fact)
    return by_place
