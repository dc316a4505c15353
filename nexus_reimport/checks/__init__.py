"""What a check is: a claim, the line of the checklist that it serves, and the keys that offend.

A check's name is its id, its docstring's first line the claim that the operator reads. It gives a
``Finding``; it never raises for what it looks for and never prints. A check that looked at
nothing fails, unless it says by what it is proven that there is nothing: a table whose fingerprint
covers no row, a table of FileMaker that was read to its end and holds no record. Keys are
FileMaker's or Nexus's ids, names of tables or columns: never values.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from nexus_reimport.errors import NOTHING_WRITTEN, StopError
from nexus_reimport.model import Level, Report, Result
from nexus_reimport.settings import Waiver

SAMPLE = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """How many were looked at, and which of them offend; ``count`` where keys are not listed.

    ``empty`` says why there was truly nothing to look at, where that is proven.
    """

    looked_at: int
    offending: Collection[str] = ()
    count: int | None = None
    note: str = ""
    empty: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """One check of one stage, as declared."""

    name: str
    claim: str
    stage: type
    level: Level
    serves: tuple[str, ...]
    waivable: bool
    links: bool
    look: Callable[[Any], Finding]


REGISTRY: list[Check] = []


def check(
    stage: type,
    level: Level,
    serves: Sequence[str] = (),
    *,
    waivable: bool = True,
    links: bool = False,
) -> Callable[[Callable[[Any], Finding]], Callable[[Any], Finding]]:
    """Declare a check of the stage whose subject is a ``stage``.

    One that is not ``waivable`` holds whatever the environment's file says: its sums are the
    product's own, or its keys stand for more than themselves. ``links``: it also belongs to a run
    that re-links alone.
    """

    def declare(look: Callable[[Any], Finding]) -> Callable[[Any], Finding]:
        claim = (inspect.getdoc(look) or look.__name__).splitlines()[0]
        REGISTRY.append(
            Check(look.__name__, claim, stage, level, tuple(serves), waivable, links, look)
        )
        return look

    return declare


def of_stage(stage: type) -> tuple[Check, ...]:
    """The checks of one stage, as they were declared."""
    return tuple(c for c in REGISTRY if c.stage is stage)


def run(
    subject: object,
    waivers: Iterable[Waiver] = (),
    *,
    today: date,
    name: str = "",
    only_links: bool = False,
) -> Report:
    """Every check of the subject's stage, waived where a waiver in force names it.

    ``only_links`` chooses those that belong to a run that re-links alone.
    """
    by_check = {w.check: w for w in waivers if w.until >= today.isoformat()}
    results = tuple(
        _result(c, subject, by_check.get(c.name) if c.waivable else None)
        for c in of_stage(type(subject))
        if c.links or not only_links
    )
    return Report(name or type(subject).__name__.lower(), results)


def _result(declared: Check, subject: object, waiver: Waiver | None) -> Result:
    found = declared.look(subject)
    offending = len(found.offending) if found.count is None else found.count
    is_empty = not found.looked_at and bool(found.empty)
    notes = [note for note in (found.note, found.empty if is_empty else "") if note]
    if waiver is not None:
        said = f"waived up to {waiver.at_most:,} by {waiver.who} until {waiver.until}"
        notes.append(f"{said}: {waiver.reason}" if offending else f"{said}: no longer needed")
    return Result(
        check=declared.name,
        claim=declared.claim,
        serves=declared.serves,
        level=declared.level,
        looked_at=found.looked_at,
        offending=offending,
        sample=tuple(sorted(found.offending)[:SAMPLE]),
        waived=waiver.at_most if waiver is not None else 0,
        note="; ".join(notes),
        is_empty=is_empty,
    )


def require(
    report: Report,
    what: str = "",
    *,
    where: str = "",
    state: str = NOTHING_WRITTEN,
    next: str = "settle each in FileMaker or in the environment's file, or waive it by name there",
) -> None:
    """Raise StopError naming each check of ``report`` that blocks."""
    if report.passed:
        return
    listed = "\n".join(
        f"    {r.check}: {r.offending:,} of {r.looked_at:,}"
        + (f", {r.waived:,} waived" if r.waived else "")
        + (f" (e.g. {', '.join(r.sample)})" if r.sample else "")
        + (f"\n      {r.note}" if r.note else "")
        for r in report.blocking
    )
    raise StopError(
        f"{len(report.blocking)} check(s){what} said no\n{listed}",
        where=where, state=state, next=next,
    )  # fmt: skip
