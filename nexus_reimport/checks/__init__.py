"""What a check is: a claim, the line of the checklist that it serves, and the keys that offend.

A check's name is its id, its docstring's first line the claim that the operator reads. It gives a
``Finding``; it never raises for what it looks for and never prints. A check that looked at
nothing fails, unless it says by what it is proven that there is nothing: a table whose fingerprint
covers no row, a table of FileMaker that was read to its end and holds no record. Keys are
FileMaker's or Nexus's ids, names of tables or columns: never values.

After COMMIT a check may find that what it wants to look at is not there, or is not what it was: it
has found what it is there for. Such a check stops the run, whatever its level, and no waiver is for
it.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from nexus_reimport import wording
from nexus_reimport.errors import NOTHING_WRITTEN, SettingsError, StopError
from nexus_reimport.model import Level, Report, Result
from nexus_reimport.nexus.readings import NOT_AS_IT_WAS
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


class CannotLook(Exception):
    """What a check wants to look at cannot be read; ``why``, without a value."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


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
    twin: str = ""  # the same question, asked at another stage: one waiver is for both


REGISTRY: list[Check] = []


def check(
    stage: type,
    level: Level,
    serves: Sequence[str] = (),
    *,
    waivable: bool = True,
    links: bool = False,
    twin: str = "",
) -> Callable[[Callable[[Any], Finding]], Callable[[Any], Finding]]:
    """Declare a check of the stage whose subject is a ``stage``.

    One that is not ``waivable`` holds whatever the environment's file says: its sums are the
    product's own, or its keys stand for more than themselves. ``links``: it also belongs to a run
    that re-links alone. ``twin`` is the check that asks the same of another stage; it is named by
    one of the two, and a waiver of either is for both.
    """

    def declare(look: Callable[[Any], Finding]) -> Callable[[Any], Finding]:
        claim = (inspect.getdoc(look) or look.__name__).splitlines()[0]
        REGISTRY.append(
            Check(look.__name__, claim, stage, level, tuple(serves), waivable, links, look, twin)
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
    goes_on: bool = False,
) -> Report:
    """Every check of the subject's stage, waived where a waiver in force names it.

    ``only_links`` chooses those that belong to a run that re-links alone. ``goes_on``: what one
    check cannot look at is its finding, and the others are still asked.
    """
    given = tuple(waivers)
    results = tuple(
        _looked(c, subject, _waiver_of(c, given), today, goes_on=goes_on)
        for c in of_stage(type(subject))
        if c.links or not only_links
    )
    return Report(name or type(subject).__name__.lower(), results)


def twins(name: str) -> frozenset[str]:
    """The check of that name, and the one that asks the same at another stage."""
    return frozenset(
        {name}
        | {c.twin for c in REGISTRY if c.name == name and c.twin}
        | {c.name for c in REGISTRY if c.twin == name}
    )


def refuse_wrong_waivers(waivers: Iterable[Waiver]) -> None:
    """Stop at waivers that can never be of use, all at once.

    Raises:
        SettingsError: a check that does not exist, that nothing waives, or that is named twice.
    """
    named = [w.check for w in waivers]
    known = {c.name: c for c in REGISTRY}
    problems = []
    for name in dict.fromkeys(named):
        if name not in known:
            nearest = difflib.get_close_matches(name, known, 2)
            problems.append(
                f"{name}: there is no such check; nearest: {', '.join(nearest)}"
                if nearest
                else f"{name}: there is no such check"
            )
        elif not known[name].waivable:
            problems.append(f"{name}: this check cannot be waived")
        if named.count(name) > 1:
            problems.append(f"{name}: has {named.count(name)} waivers; only one may be there")
    if problems:
        raise SettingsError(
            f"{wording.amount(len(problems), 'waiver')} cannot be used\n{wording.lines(problems)}",
            where="[[waivers]] of the environment's file",
            next="correct the names, or take these waivers out; the report of 01_preflight"
            " names every check",
        )


def _waiver_of(declared: Check, waivers: Sequence[Waiver]) -> Waiver | None:
    """The waiver that names the check, else the one that names its twin."""
    if not declared.waivable:
        return None
    names = [declared.name, *sorted(twins(declared.name) - {declared.name})]
    return next((w for name in names for w in waivers if w.check == name), None)


def _looked(
    declared: Check, subject: object, waiver: Waiver | None, today: date, *, goes_on: bool
) -> Result:
    try:
        return _result(declared, declared.look(subject), waiver, today)
    except CannotLook as error:
        why = error.why
    except NOT_AS_IT_WAS as error:
        if not goes_on:
            raise
        why = f"what it looks at is not what it was ({type(error).__name__})"
    return Result(
        check=declared.name,
        claim=declared.claim,
        serves=declared.serves,
        level=Level.STOP,
        looked_at=0,
        offending=1,
        sample=(why,),
        note="this check could not look; no waiver is for that",
        keys=1,
    )


def _result(declared: Check, found: Finding, waiver: Waiver | None, today: date) -> Result:
    offending = len(found.offending) if found.count is None else found.count
    is_empty = not found.looked_at and bool(found.empty)
    in_force = waiver is not None and waiver.until >= today
    waived = waiver.at_most if waiver is not None and in_force else 0
    words = _of_waiver(declared, waiver, offending, in_force=in_force) if waiver else ""
    notes = (found.note, found.empty if is_empty else "", words)
    return Result(
        check=declared.name,
        claim=declared.claim,
        serves=declared.serves,
        level=declared.level,
        looked_at=found.looked_at,
        offending=offending,
        sample=tuple(sorted(found.offending)[:SAMPLE]),
        waived=waived,
        note="; ".join(filter(None, notes)),
        is_empty=is_empty,
        keys=len(found.offending),
        waiver=words,
    )


def _of_waiver(declared: Check, waiver: Waiver, offending: int, *, in_force: bool) -> str:
    """What a waiver of the check is worth now, in words."""
    of_twin = "" if waiver.check == declared.name else f", given for {waiver.check}"
    said = f"waived up to {waiver.at_most:,} by {waiver.who} until {waiver.until}{of_twin}"
    if not in_force:
        need = f"{offending:,} offend" if offending else "no longer needed"
        return f"EXPIRED: {said}: {need}"
    if not offending:
        return f"{said}: no longer needed"
    if offending > waiver.at_most:
        return f"NOT ENOUGH: {said}: {offending:,} offend, {offending - waiver.at_most:,} more"
    return f"{said}: {waiver.reason}"


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
        f"    {r.check}: {r.found}"
        + (f" (e.g. {r.listed})" if r.sample else "")
        + (f"\n      {r.note}" if r.note else "")
        for r in report.blocking
    )
    raise StopError(
        f"{wording.amount(len(report.blocking), 'check')}{what} failed\n{listed}",
        where=where,
        state=state,
        next=next,
    )
