"""What the catalog says of the tables that a run touches: described once, compared everywhere.

The preflight describes them, approval is bound to that, and it is described again under the locks,
before a rollback, and after COMMIT. What a copy to look at does without (owners, grants, policies,
publications, event triggers) is marked as local, and not compared with a copy.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nexus_reimport import wording
from nexus_reimport.errors import StopError
from nexus_reimport.files import private
from nexus_reimport.mapping import FieldMapping
from nexus_reimport.nexus.postgres import Connection, statement
from nexus_reimport.nexus.tables import mapped_tables

_DIGEST = 12  # characters: a definition is compared with one other


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing of the schema: where, what may be shown of it, and a digest of its definition."""

    place: str
    shown: str
    digest: str
    local: bool = False


Facts = tuple[Fact, ...]


def describe(connection: Connection, mapping: FieldMapping) -> Facts:
    """All that the catalog says of the mapped tables, as it is now.

    A definition may hold a constant that somebody wrote into a condition: it is never shown.
    """
    asked = {"schema": mapping.schema_name, "tables": sorted(mapped_tables(mapping))}
    return tuple(
        Fact(place, shown, private.sha256((definition or "").encode())[:_DIGEST], local)
        for local, place, shown, definition in connection.execute(statement("schema"), asked)
    )


def structure(facts: Iterable[Fact]) -> Facts:
    """What a copy must have in common with its original."""
    return tuple(fact for fact in facts if not fact.local)


def digest(facts: Sequence[Fact]) -> str:
    """A digest of all of them."""
    said = [[f.place, f.shown, f.digest] for f in facts]
    return private.sha256(json.dumps(said).encode())


def differences(was: Iterable[Fact], now: Iterable[Fact]) -> tuple[str, ...]:
    """What is not the same in both: the object, and how it was and is."""
    then, there = _by_place(was), _by_place(now)
    found = []
    for place in sorted({*then, *there}):
        old, new = then.get(place, []), there.get(place, [])
        if old == new:
            continue
        if not old:
            found.append(f"{place}: was not there")
        elif not new:
            found.append(f"{place}: is gone")
        elif [f.shown for f in old] == [f.shown for f in new]:
            found.append(f"{place}: another definition")
        else:
            found.append(f"{place}: {_shown(old)} then, {_shown(new)} now")
    return tuple(found)


def require_same(
    was: Iterable[Fact], now: Iterable[Fact], since: str, *, state: str, next: str
) -> None:
    """Stop where the schema is not the same any more; names each object and what was changed.

    Raises:
        StopError: ``state`` is left, ``next`` says what to do.
    """
    differ = differences(was, now)
    if not differ:
        return
    raise StopError(
        f"the schema was changed {since}: {len(differ):,} thing(s)\n" + wording.lines(differ),
        where="tables that are wiped, re-linked or looked up, and what points at them",
        state=state,
        next=next,
    )


def _shown(facts: Iterable[Fact]) -> str:
    return " and ".join(fact.shown for fact in facts)


def _by_place(facts: Iterable[Fact]) -> dict[str, list[Fact]]:
    found: dict[str, list[Fact]] = {}
    for fact in facts:
        found.setdefault(fact.place, []).append(fact)
    return found
