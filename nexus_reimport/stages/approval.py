"""What approval is asked for, and whether it was given: to one digest, of before and after."""

from __future__ import annotations

import getpass
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from nexus_reimport import PACKAGE, wording
from nexus_reimport.errors import StopError
from nexus_reimport.model import (
    Approval,
    NewerDecision,
    Plan,
    Proposal,
    Refusal,
    Rehearsal,
    RollbackPreview,
    RollbackProposal,
    Snapshot,
    Survey,
    digest,
)
from nexus_reimport.nexus.changes import Since
from nexus_reimport.settings import EnvironmentKind, Settings

SCHEMA_LINES = 20  # of what is not the same in two schemas
SHOWN = 12  # characters of a digest that a person types


def short(whole: str) -> str:
    """As much of a digest as a person reads and types."""
    return whole[:SHOWN]


def is_meant(typed: str, whole: str) -> bool:
    """Whether what a person typed is a digest: its beginning, long enough, in any case."""
    typed = typed.strip().lower()
    return len(typed) >= SHOWN and whole.startswith(typed)


@dataclass(frozen=True, slots=True)
class DevRun:
    """The dev run that prod asks for: its record's name, and what it was made with."""

    run: str
    code: str
    mapping: str
    schema: tuple[str, ...]  # what is not the same in the two schemas


@dataclass(frozen=True, slots=True)
class Consent:
    """What a person says to a proposal: the digest of it, typed.

    ``rehearsed`` lets a dev environment go on with what it has just rehearsed.
    """

    typed: str = ""
    rehearsed: bool = False

    @property
    def how(self) -> str:
        """How it was given, for the record."""
        return "as rehearsed" if self.rehearsed and not self.typed else "digest given"


def code_digest() -> str:
    """The digest of the package's own files: what ran, not what it called itself."""
    files = sorted(p for p in PACKAGE.rglob("*") if p.suffix in (".py", ".sql", ".toml"))
    hashed = hashlib.sha256()
    for path in files:
        hashed.update(path.relative_to(PACKAGE).as_posix().encode() + b"\0" + path.read_bytes())
    return hashed.hexdigest()


def propose(
    settings: Settings,
    mapping_digest: str,
    snapshot: Snapshot,
    survey: Survey,
    plan: Plan,
    rehearsal: Rehearsal,
) -> Proposal:
    """What the preflight asks approval for."""
    decisions = {name: d.model_dump(mode="json") for name, d in sorted(settings.decisions.items())}
    waivers = [waiver.model_dump(mode="json") for waiver in settings.waivers]
    proposal = Proposal(
        environment=settings.name,
        snapshot=snapshot.digest,
        mapping=mapping_digest,
        code=code_digest(),
        schema=survey.schema_digest,
        decisions=digest([decisions, waivers]),
        plan=plan.digest,
        before=dict(plan.before),
        after=dict(rehearsal.after),
    )
    return replace(proposal, digest=digest(proposal))


def propose_rollback(settings: Settings, look: RollbackPreview) -> RollbackProposal:
    """What a rollback asks approval for; the same digest while the database is unchanged."""
    proposal = RollbackProposal(
        environment=settings.name,
        undoes=look.undoes,
        newer=look.newer,
        code=code_digest(),
        schema=look.schema,
        now=look.now,
        since=look.since,
    )
    return replace(proposal, digest=digest(proposal))


def require(
    settings: Settings,
    proposal: Proposal,
    consent: Consent,
    *,
    mapping_digest: str,
    forerunner: DevRun | None,
) -> Approval:
    """The approval of ``proposal``, if the digest of it was typed and nothing moved since.

    Raises:
        StopError: no approval, another digest, or prod without its dev run. Nothing was written.
    """
    _require_consent(settings, proposal.digest, consent, "01_preflight")
    refuse(refusals(settings, proposal, mapping_digest, forerunner))
    return Approval(proposal.digest, getpass.getuser(), consent.how, datetime.now(UTC))


def refusals(
    settings: Settings, proposal: Proposal, mapping_digest: str, forerunner: DevRun | None
) -> tuple[Refusal, ...]:
    """Why this proposal would not pass as things are now, whoever approves it.

    The gate asks it before it lets an approval pass, the preflight before it says GO.
    """
    found = [
        *_changed("the mapping", proposal.mapping, mapping_digest),
        *_changed("the package", proposal.code, code_digest()),
    ]
    if settings.kind is EnvironmentKind.PROD:
        found += _forerun(settings, proposal, forerunner)
    return tuple(found)


def refuse(found: tuple[Refusal, ...]) -> None:
    """Raise StopError that names each of ``found``; nothing where there is none."""
    if not found:
        return
    what = found[0].what
    if len(found) > 1:
        what = f"{len(found)} things stand in the way of an approval\n" + wording.lines(
            [f.what for f in found]
        )
    raise StopError(what, next="; ".join(dict.fromkeys(f.next for f in found)))


def require_rollback(settings: Settings, proposal: RollbackProposal, consent: Consent) -> Approval:
    """The approval of a rollback, if the digest of it was typed.

    Raises:
        StopError: no approval, another digest, or nobody has decided about newer rows.
    """
    undecided(proposal.since, proposal.newer, proposal.undoes)
    _require_consent(settings, proposal.digest, consent, "90_rollback")
    refuse(tuple(_changed("the package", proposal.code, code_digest(), "90_rollback")))
    return Approval(proposal.digest, getpass.getuser(), consent.how, datetime.now(UTC))


def undecided(since: Since, newer: NewerDecision, run: str) -> None:
    """Stop where rows are newer than the run and nobody has said what becomes of them."""
    found = [n for n in since.newer if n.rows]
    if newer is not NewerDecision.UNDECIDED or not found:
        return
    listed = "\n".join(
        f"    {n.table}: {n.created:,} created, {n.changed:,} changed, {n.deleted:,} deleted"
        f" (e.g. {wording.some(n.sample, n.rows)})"
        for n in found
    )
    raise StopError(
        f"people have written since run {run}\n{listed}",
        next=f"nexus-reimport rollback {run} --keep-newer keeps what was created or changed, with"
        " all that it points at; --discard-newer gives it up (it stays in the private folder)",
    )


def _require_consent(settings: Settings, digest_asked: str, consent: Consent, page: str) -> None:
    typed, rehearsed = consent.typed.strip(), consent.rehearsed
    if rehearsed and settings.kind is EnvironmentKind.PROD and not settings.sandbox:
        raise StopError(
            "--approve-rehearsed is for dev environments; prod needs the digest, typed",
            next=f"read {page}, then give --approve {short(digest_asked)}",
        )
    if not typed and not rehearsed:
        raise StopError(
            "nobody has approved this plan yet",
            next=f"read {page} to its end; then approve with {short(digest_asked)}",
        )
    if typed and not is_meant(typed, digest_asked):
        raise StopError(
            "the digest that was typed is not that of this run's plan",
            next=f"take the digest from {page} of this very run: it changes with the data",
        )


def _changed(what: str, then: str, now: str, page: str = "01_preflight") -> Iterator[Refusal]:
    if then != now:
        yield Refusal(
            f"{what} was changed since the preflight"
            if page == "01_preflight"
            else f"{what} was changed since the look",
            f"run {page} again and read what it says now",
        )


def _forerun(
    settings: Settings, proposal: Proposal, forerunner: DevRun | None
) -> Iterator[Refusal]:
    dev = settings.dev_environment
    if forerunner is None:
        yield Refusal(
            f"{dev} has no COMPLETE run", f"run `nexus-reimport run {dev}` to its end first"
        )
        return
    differ = [
        name
        for name, then, now in (
            ("package", forerunner.code, proposal.code),
            ("mapping", forerunner.mapping, proposal.mapping),
            ("schema", forerunner.schema, ()),
        )
        if then != now
    ]
    if differ:
        listed = "".join(f"\n    {line}" for line in forerunner.schema[:SCHEMA_LINES])
        yield Refusal(
            f"{dev} was run with another {' and another '.join(differ)} ({forerunner.run}){listed}",
            f"run `nexus-reimport run {dev}` again, as things are now",
        )
