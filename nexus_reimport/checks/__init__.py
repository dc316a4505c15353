"""What a check is: a claim, the line of the checklist that it serves, and the keys that offend.

A check's name is its id; the first line of its docstring is the claim that the operator reads. It
gives a ``Finding``; it never raises for what it finds, and never prints. A check that looked at
nothing fails, unless it names the proof that nothing is there: a table whose fingerprint covers no
row, a table of FileMaker that was read to its end and holds no record. Keys are FileMaker's or
Nexus's ids, names of tables or columns: never values.

After COMMIT a check may find that what it looks at is missing, or is not what it was: that is its
finding. Such a check stops the run, whatever its level, and no waiver applies to it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from functools import partial
from typing import Any

from nexus_reimport import naming, progress, wording
from nexus_reimport.checks.memo import Memo
from nexus_reimport.errors import NOTHING_WRITTEN, SettingsError, StopError
from nexus_reimport.model import Level, Report, Result, WaiverState
from nexus_reimport.nexus.connection.readings import NOT_AS_IT_WAS
from nexus_reimport.settings import Waiver

SAMPLE = 5  # keys that a report holds of each check
# The mapping, which the run's digest covers, is the proof that nothing is there.
NOTHING_OF_THIS_KIND = "the mapping has nothing of this kind"


@dataclass(frozen=True, slots=True)
class Finding:
    """How many items were looked at, and which offend; ``count`` where keys are not listed.

    ``empty`` names the proof that there was nothing to look at.
    """

    # At least 1 where two numbers are compared: that is a look, even if both are 0.
    looked_at: int
    offending: Collection[str] = ()
    count: int | None = None
    note: str = ""
    empty: str = ""


Look = Callable[..., Finding]  # what a check asks its subject
Declare = Callable[[Look], Look]
Names = Callable[[Any], Iterable[str]]  # of a subject: what a check asks about, one by one


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
    look: Look
    twin: str  # asks the same at another stage: one waiver counts for both
    each: Names | None  # what ``look`` is asked about, one by one


REGISTRY: list[Check] = []
_NAMES: dict[Look, Names] = {}


def check(
    stage: type,
    level: Level,
    serves: Sequence[str] = (),
    *,
    waivable: bool = True,
    links: bool = False,
    twin: str = "",
) -> Declare:
    """Declare a check of the stage whose subject is a ``stage``.

    A check that is not ``waivable`` holds whatever the environment's file says: its sums are the
    product's own, or one key stands for more than one fault. ``links``: a run that only re-links
    makes it too. ``twin`` is the check that asks the same at another stage; one of the two names
    the other, and a waiver for either counts for both.
    """

    def declare(look: Look) -> Look:
        claim = (inspect.getdoc(look) or look.__name__).splitlines()[0]
        REGISTRY.append(
            Check(
                name=look.__name__,
                claim=claim,
                stage=stage,
                level=level,
                serves=tuple(serves),
                waivable=waivable,
                links=links,
                look=look,
                twin=twin,
                each=_NAMES.get(look),
            )
        )
        return look

    return declare


def one_by_one(names: Names) -> Declare:
    """Below ``check``: its function is asked about each of ``names`` of the subject, one by one.

    What it finds is added up.
    """

    def declare(look: Look) -> Look:
        _NAMES[look] = names
        return look

    return declare


def of_stage(stage: type) -> tuple[Check, ...]:
    """The checks of one stage, in the order in which they were declared."""
    return tuple(c for c in REGISTRY if c.stage is stage)


def run(
    subject: object,
    waivers: Iterable[Waiver] = (),
    *,
    today: date,
    name: str = "",
    only_links: bool = False,
    goes_on: bool = False,
    memo: Memo | None = None,
) -> Report:
    """The results of every check of the subject's stage, each with the waiver that names it.

    ``only_links`` leaves out those that a run which only re-links does not make. With ``goes_on``
    what a check cannot look at is its finding, and the other checks still run. With a ``memo``
    none is asked again that has looked at the same before.
    """
    given = tuple(waivers)
    stage = type(subject)
    chosen = [c for c in of_stage(stage) if c.links or not only_links]
    steps, results = progress.Steps(len(chosen)), []
    for c in chosen:
        steps.begin(naming.words(c.name))
        look = partial(asked, c, subject, memo)
        results.append(_looked(c, look, _waiver_of(c, given, today), today, goes_on=goes_on))
    return Report(name or stage.__name__.lower(), tuple(results))


def asked(declared: Check, subject: object, memo: Memo | None = None) -> Finding:
    """What the check finds; with a ``memo``, or has found of the same."""
    look = partial(memo.of, declared.look) if memo else declared.look
    if declared.each is None:
        return look(subject)
    return merged(look(subject, name) for name in declared.each(subject))


def merged(findings: Iterable[Finding]) -> Finding:
    """What was found of several things, added up; it is empty where all of them are."""
    parts = list(findings)
    if not parts:
        return Finding(0, empty=NOTHING_OF_THIS_KIND)
    offending = [key for part in parts for key in part.offending]
    return Finding(
        sum(part.looked_at for part in parts),
        offending,
        count=sum(len(p.offending) if p.count is None else p.count for p in parts),
        note="; ".join(dict.fromkeys(part.note for part in parts if part.note)),
        empty=parts[0].empty if all(part.empty for part in parts) else "",
    )


def twins(name: str) -> frozenset[str]:
    """The check of that name, and the one that asks the same at another stage."""
    return frozenset(
        {name}
        | {c.twin for c in REGISTRY if c.name == name and c.twin}
        | {c.name for c in REGISTRY if c.twin == name}
    )


def refuse_wrong_waivers(waivers: Iterable[Waiver], state: str = NOTHING_WRITTEN) -> None:
    """Stop if a waiver can never apply; all such waivers are named at once.

    Raises:
        SettingsError: no check has that name, the check cannot be waived, or it has two waivers.
            ``state`` is left.
    """
    named = [w.check for w in waivers]
    known = {c.name: c for c in REGISTRY}
    problems = []
    for name in dict.fromkeys(named):
        if name not in known:
            problems.append(f"{name}: no check has this name{wording.meant(name, known)}")
        elif not known[name].waivable:
            problems.append(f"{name}: this check cannot be waived")
        if named.count(name) > 1:
            problems.append(f"{name}: has {named.count(name)} waivers; only one is allowed")
    if problems:
        raise SettingsError(
            f"{wording.amount(len(problems), 'waiver')} cannot be used\n{wording.lines(problems)}",
            where="[[waivers]] of the environment's file",
            state=state,
            next="correct the names, or remove these waivers; the report of 01_preflight"
            " names every check",
        )


def _waiver_of(declared: Check, waivers: Sequence[Waiver], today: date) -> Waiver | None:
    """The waiver that names the check, else the one that names its twin; one in force first."""
    if not declared.waivable:
        return None
    names = [declared.name, *sorted(twins(declared.name))]  # its own first
    every = [w for name in names for w in waivers if w.check == name]
    return next((w for w in every if w.until >= today), next(iter(every), None))


def _looked(
    declared: Check,
    look: Callable[[], Finding],
    waiver: Waiver | None,
    today: date,
    *,
    goes_on: bool,
) -> Result:
    try:
        return _result(declared, look(), waiver, today)
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


def _result(declared: Check, finding: Finding, waiver: Waiver | None, today: date) -> Result:
    offending = len(finding.offending) if finding.count is None else finding.count
    is_empty = not finding.looked_at and bool(finding.empty)
    # A waiver holds to the end of its last day.
    in_force = waiver is not None and waiver.until >= today
    waived = waiver.at_most if waiver is not None and in_force else 0
    state = _state(waiver, offending, in_force=in_force) if waiver else None
    effect = _effect(declared, waiver, state, offending) if waiver and state else ""
    notes = (finding.note, finding.empty if is_empty else "", effect)
    return Result(
        check=declared.name,
        claim=declared.claim,
        serves=declared.serves,
        level=declared.level,
        looked_at=finding.looked_at,
        offending=offending,
        sample=tuple(sorted(finding.offending)[:SAMPLE]),
        waived=waived,
        note="; ".join(filter(None, notes)),
        is_empty=is_empty,
        keys=len(finding.offending),
        waiver=effect,
        waiver_state=state,
    )


def _state(waiver: Waiver, offending: int, *, in_force: bool) -> WaiverState:
    if not in_force:
        return WaiverState.EXPIRED
    if not offending:
        return WaiverState.NOT_NEEDED
    return WaiverState.NOT_ENOUGH if offending > waiver.at_most else WaiverState.IN_USE


def _effect(declared: Check, waiver: Waiver, state: WaiverState, offending: int) -> str:
    """What the waiver does for this result, as people read it."""
    of_twin = "" if waiver.check == declared.name else f", given for {waiver.check}"
    terms = f"waived up to {waiver.at_most:,} by {waiver.who} until {waiver.until}{of_twin}"
    offend = wording.amount(offending, "offends", "offend")
    match state:
        case WaiverState.EXPIRED:
            return f"EXPIRED: {terms}: {offend if offending else WaiverState.NOT_NEEDED}"
        case WaiverState.NOT_NEEDED:
            return f"{terms}: {state}"
        case WaiverState.NOT_ENOUGH:
            return f"NOT ENOUGH: {terms}: {offend}, {offending - waiver.at_most:,} more"
        case WaiverState.IN_USE:
            return f"{terms}: {waiver.reason}"


def require(
    report: Report,
    what: str = "",
    *,
    where: str = "",
    state: str = NOTHING_WRITTEN,
    next: str = "fix each in FileMaker, decide it in the environment's file, or waive it there;"
    " then run 01_preflight again",
) -> None:
    """Stop unless ``report`` passed.

    Raises:
        StopError: names each check that blocks. ``state`` is left.
    """
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
