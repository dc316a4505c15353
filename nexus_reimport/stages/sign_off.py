"""The sign-off before production: which of its lines are proven, accepted, signed, or open.

A run proves what it can prove, with the checks that looked. A person signs the rest, and what the
checks could only show. What a waiver accepts is closed by it, and not proven.
No line is both closed and unexplained.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from nexus_reimport import wording
from nexus_reimport.errors import SettingsError
from nexus_reimport.model import (
    Gate,
    Ground,
    LineState,
    Refusal,
    Rehearsal,
    Report,
    SheetLine,
    Signature,
    SignOff,
)
from nexus_reimport.settings import EnvironmentKind, Settings

CLAIMS: Mapping[str, str] = {
    "S1": "All FileMaker data verified complete",
    "S2": "The page tested on development",
    "S3": "Dry run completed",
    "S4": "Backup created",
    "S5": "Maintenance window scheduled",
    "S6": "Rollback plan documented",
    "S7": "Users notified",
}
OF_PEOPLE = frozenset({"S2", "S5", "S7"})  # no program can know these


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a run has found so far: its checks, its rehearsal, and when it was done with them."""

    reports: tuple[Report, ...]
    rehearsal: Rehearsal | None
    at: datetime


def named(line: str) -> str:
    """The id of a line, as a person typed it.

    Raises:
        SettingsError: the sheet has no such line.
    """
    line_id = line.strip().upper()
    if line_id not in CLAIMS:
        raise SettingsError(
            f"the sign-off has no line {line!r}",
            where="; ".join(f"{name}: {claim}" for name, claim in CLAIMS.items()),
            next="name one of these lines",
        )
    return line_id


def is_asked(settings: Settings) -> bool:
    """Whether an execution of this environment needs the sheet: production does."""
    return settings.kind is EnvironmentKind.PROD and not settings.sandbox


def sheet(
    settings: Settings, evidence: Evidence | None, signatures: Mapping[str, Signature]
) -> SignOff:
    """The sheet as it stands; ``evidence`` is None before there is a run that could prove lines."""
    asked = is_asked(settings)
    return SignOff(
        tuple(_line(name, evidence, signatures.get(name), asked=asked) for name in CLAIMS),
        asked,
    )


def gates(settings: Settings, sheet: SignOff, again: str) -> Iterable[Gate]:
    """Each line as a condition of an approval; ``again`` begins such a run anew."""
    for line in sheet.lines if sheet.asked else ():
        claim = f"{line.id}: {line.claim}"
        yield Gate(claim, _refusal(settings, line, again) if line.state is LineState.OPEN else None)


def _refusal(settings: Settings, line: SheetLine, again: str) -> Refusal:
    why = f": {line.text}" if line.text else " is not signed"
    corrected = f"correct that, then run 01_preflight again ({again})"
    following = line.command(settings.name) if line.for_a_person else corrected
    return Refusal(
        f"sign-off, {line.id} ({line.claim}){why}",
        following,
        needs_preflight=not line.for_a_person,
    )


def _line(
    name: str, evidence: Evidence | None, signature: Signature | None, *, asked: bool
) -> SheetLine:
    claim, proof = CLAIMS[name], _proof(name, evidence)
    if evidence is not None and proof.holds and not proof.waived:
        return SheetLine(name, claim, LineState.PROVEN, proof.by, proof.text, evidence.at)
    if signature is not None and not proof.blocks:
        text = signature.text + (f" (although {proof.text})" if proof.text else "")
        return SheetLine(
            name, claim, LineState.SIGNED, signature.who, text, signature.at, signature
        )
    if evidence is not None and proof.holds:
        return SheetLine(
            name, claim, LineState.WAIVED, proof.by, proof.text, evidence.at, for_a_person=True
        )
    state = LineState.OPEN if asked else LineState.NOT_ASKED
    can_be_signed = name in OF_PEOPLE or (evidence is not None and not proof.blocks)
    return SheetLine(name, claim, state, text=proof.text, for_a_person=can_be_signed)


@dataclass(frozen=True, slots=True)
class _Proof:
    """What a run says of one line; ``text`` says what was proven, or what is missing.

    Where it ``blocks``, a check stops the run: no word of a person's can stand for it. Where it
    is ``waived``, a check found what the claim denies, and holds by a waiver alone.
    """

    holds: bool = False
    waived: bool = False
    by: str = ""
    text: str = ""
    blocks: bool = False


def _proof(name: str, evidence: Evidence | None) -> _Proof:
    if evidence is None or name in OF_PEOPLE:
        return _Proof()
    return _dry_run(evidence.rehearsal) if name == "S3" else _checked(name, evidence.reports)


def _checked(name: str, reports: Iterable[Report]) -> _Proof:
    """What the checks that serve a line have found."""
    results = [r for report in reports for r in report.results if name in r.serves]
    failed = [r for r in results if not r.passed]
    if not results:
        return _Proof(text="no check has looked yet")
    if failed:
        listed = "; ".join(f"{r.check}: {r.found}" for r in failed)
        return _Proof(text=listed, blocks=any(r.blocks for r in failed))
    waived = [r for r in results if r.offending]
    passed = f"{wording.amount(len(results) - len(waived), 'check')} passed"
    accepted = [f"{r.not_so}; {r.note + '; ' if r.note else ''}{r.waiver}" for r in waived]
    names = ", ".join(dict.fromkeys(r.check for r in waived or results))
    text = "; ".join([*accepted, passed])
    return _Proof(holds=True, waived=bool(waived), by=names, text=text)


def _dry_run(rehearsal: Rehearsal | None) -> _Proof:
    if rehearsal is None:
        return _Proof(text="this run has not rehearsed yet")
    if rehearsal.ground is Ground.INSIDE:
        return _Proof(text=f"rehearsed {rehearsal.ground}: {rehearsal.why_inside}")
    done = f"applied, verified, undone and applied again {rehearsal.ground}"
    return _Proof(
        holds=True, by="rehearsal", text=f"{done}; {wording.amount(rehearsal.rows, 'row')} compared"
    )
