"""What approval is asked for, and whether it was given, for one digest of both states."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from nexus_reimport import PACKAGE, program, wording
from nexus_reimport.errors import StopError
from nexus_reimport.model import (
    Approval,
    Drift,
    Gate,
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
from nexus_reimport.model.approval import DIGEST_SHOWN, short
from nexus_reimport.nexus.changes import Since
from nexus_reimport.settings import EnvironmentKind, Settings, Window
from nexus_reimport.text import name_key, one_line

SCHEMA_LINES = 20  # differences between two schemas that a message lists
_SECOND = "have somebody else approve it, with their name: --who; begin a run with your own"
_PROGRAM = "the package, with its libraries,"
_DECIDED = "what the environment's file decides, waives and reads from"


def is_meant(typed: str, whole: str) -> bool:
    """Whether ``typed`` is the beginning of the digest, long enough, in capitals or not."""
    typed = typed.strip().lower()
    return len(typed) >= DIGEST_SHOWN and whole.startswith(typed)


def too_short(typed: str) -> str:
    """That a digest which is not the one is too short, to go before the rest; "" if it is not."""
    count = len(typed.strip())
    if count >= DIGEST_SHOWN:
        return ""
    return f"it has {wording.amount(count, 'character')} of {DIGEST_SHOWN}; "


@dataclass(frozen=True, slots=True)
class DevRun:
    """The dev run that prod needs: its id, and what it was made with."""

    run: str
    code: str
    mapping: str
    schema: tuple[str, ...]  # differences between the two schemas
    untested: str = ""  # what is missing in the self-test of its verification
    taken_back: bool = False  # by a rollback, since


@dataclass(frozen=True, slots=True)
class Preparer:
    """Who began a run: the name that they gave, if any, and the operating system's account."""

    name: str
    account: str

    def refuses(self, name: str, account: str) -> str:
        """Why an approver of this name and account is not known to be another person; "" if so.

        Several people may share an account, so names are what counts where both were given.
        """
        if not name.strip():
            return "a second person must approve, and no name was given"
        if self.name:
            same = name_key(self.name) == name_key(name)
            return f"{self.name} began this run, and cannot approve it too" if same else ""
        return self.refuses_all_of(account)

    def refuses_all_of(self, account: str) -> str:
        """Why nobody who uses this account can be known to be another person; "" if somebody."""
        if self.account == account and not self.name:
            return f"this run was begun without a name, from the same account ({account})"
        return ""


@dataclass(frozen=True, slots=True)
class Consent:
    """What a person answers to a proposal: its digest, typed; who they are, and why.

    ``rehearsed`` lets a dev environment execute what it has just rehearsed.
    """

    typed: str = ""
    rehearsed: bool = False
    name: str = ""
    reason: str = ""

    @property
    def how(self) -> str:
        """How approval was given, for the record."""
        return (
            "as rehearsed, without typing its digest"
            if self.rehearsed and not self.typed
            else "digest given"
        )

    def given_to(self, digest: str) -> Approval:
        """The approval of the proposal that has this digest."""
        user, now = program.account(), datetime.now(UTC)
        return Approval(digest, user, self.how, now, one_line(self.name), one_line(self.reason))


def code_digest() -> str:
    """The digest of the package's files and of its libraries' versions.

    The files themselves: a version number would not show an edited one.
    """
    # the shipped mapping and the statements decide about rows as much as the code does
    files = sorted(p for p in PACKAGE.rglob("*") if p.suffix in (".py", ".sql", ".toml"))
    hashed = hashlib.sha256(repr(program.libraries()).encode())
    for path in files:
        hashed.update(path.relative_to(PACKAGE).as_posix().encode() + b"\0" + path.read_bytes())
    return hashed.hexdigest()


def decisions_digest(settings: Settings) -> str:
    """The digest of what a plan is made with: what the file decides, waives and reads from."""
    decisions = {name: d.model_dump(mode="json") for name, d in sorted(settings.decisions.items())}
    waivers = [waiver.model_dump(mode="json") for waiver in settings.waivers]
    # A server of the sandbox gets another port where its own is taken when it starts again.
    endpoint = "" if settings.s3.is_local else settings.s3.endpoint
    read = (settings.filemaker.database, settings.s3.bucket, endpoint)
    return digest([decisions, waivers, read])


def propose(
    settings: Settings,
    mapping_digest: str,
    snapshot: Snapshot,
    survey: Survey,
    plan: Plan,
    rehearsal: Rehearsal,
) -> Proposal:
    """What the preflight asks approval for, with its digest."""
    proposal = Proposal(
        environment=settings.name,
        snapshot=snapshot.digest,
        mapping=mapping_digest,
        code=code_digest(),
        schema=survey.schema_digest,
        decisions=decisions_digest(settings),
        plan=plan.digest,
        before=dict(plan.before),
        after=dict(rehearsal.after),
        write=settings.write,
    )
    return replace(proposal, digest=digest(proposal))


def propose_rollback(settings: Settings, look: RollbackPreview) -> RollbackProposal:
    """What a rollback asks approval for; its digest is the same while the database is unchanged."""
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
    gates: Iterable[Gate],
    begun_by: Preparer,
    earlier: Approval | None = None,
) -> Approval:
    """The approval of ``proposal``, if its digest was typed and all ``gates`` are open.

    ``earlier`` is the one that the run has already.

    Raises:
        StopError: no approval, a different digest, a closed gate, or the same person who began the
            run where a second one is asked for. Nothing was written.
    """
    _require_consent(settings, proposal, consent, earlier)
    refuse(refusals([*gates, *second_person(settings, begun_by, consent)]))
    return consent.given_to(proposal.digest)


def refusals(gates: Iterable[Gate]) -> tuple[Refusal, ...]:
    """The reasons for which no approval is accepted now.

    The gate asks for them before it accepts an approval, the preflight before it says GO.
    """
    return tuple(gate.refusal for gate in gates if gate.refusal)


def gates(
    settings: Settings,
    proposal: Proposal,
    mapping_digest: str,
    dev_run: DevRun | None,
    again: str,
) -> tuple[Gate, ...]:
    """Everything that must hold for this proposal to pass, each with whether it does now.

    ``again`` is the command that begins such a run anew.
    """
    conditions = list(unchanged(settings, proposal, mapping_digest, again))
    if settings.kind is EnvironmentKind.PROD:
        claim = f"{settings.dev_environment} was run to its end with the same package, mapping and"
        claim += " schema, and its verification was tested"
        if dev_run is not None and dev_run.taken_back:
            claim += f" ({dev_run.run}; taken back since)"
        # First: a new preflight of prod is of use only once dev was run with what is there now.
        conditions.insert(0, Gate(claim, _tried_on_dev(settings, mapping_digest, dev_run)))
    return tuple(conditions)


def unchanged(
    settings: Settings, proposal: Proposal, mapping_digest: str, again: str
) -> Iterator[Gate]:
    """That what a proposal was made with is what it would be executed with."""
    code = code_digest()
    # An unedited file gets another digest from a version that reads more of it: no one changed it.
    doubt = "" if proposal.code == code else ", or this version of the package reads it otherwise"
    yield _unchanged("the mapping", proposal.mapping, mapping_digest, again, doubt)
    yield _unchanged(_PROGRAM, proposal.code, code, again)
    # A person who decides otherwise after the preflight expects that it is done otherwise.
    yield _unchanged(_DECIDED, proposal.decisions, decisions_digest(settings), again, doubt)


def unchanged_since_preview(proposal: RollbackProposal) -> Iterator[Gate]:
    """That a rollback would be done by the package that has previewed it."""
    yield _unchanged(_PROGRAM, proposal.code, code_digest())


def window(settings: Settings, rehearsed: Rehearsal) -> Iterator[Gate]:
    """That now is a time at which the environment may be executed, if its file names one.

    It must be open for as long as ``rehearsed`` has needed to execute and to verify.
    """
    if settings.window is None:
        return
    spelled, now = settings.window.spelled(settings.zone), datetime.now(UTC)
    refusal = _outside(settings, settings.window, now) or _too_late(
        settings, settings.window, now, rehearsed
    )
    yield Gate(f"it is executed in its window: {spelled}", refusal)


def _outside(settings: Settings, open_in: Window, now: datetime) -> Refusal | None:
    if open_in.is_open(now, settings.zone):
        return None
    return Refusal(
        f"it is {now.astimezone(settings.zone):%Y-%m-%d %H:%M}, outside of the window:"
        f" {open_in.spelled(settings.zone)}",
        f"approve it inside of the window, or correct [window] in {settings.name}.toml",
    )


def _too_late(
    settings: Settings, open_in: Window, now: datetime, rehearsed: Rehearsal
) -> Refusal | None:
    closes = open_in.closing(now, settings.zone)
    left, needed = (closes - now).total_seconds(), rehearsed.needs
    if left >= needed:
        return None
    return Refusal(
        f"the window closes at {closes.astimezone(settings.zone):%Y-%m-%d %H:%M}, in {left:,.0f} s;"
        f" to execute and to verify took {needed:,.0f} s in the rehearsal",
        f"approve it earlier in the window, or correct [window] in {settings.name}.toml",
    )


def second_person(
    settings: Settings, begun_by: Preparer, consent: Consent | None = None
) -> Iterator[Gate]:
    """That somebody else approves than the one who began the run, if the environment asks for it.

    Without a ``consent`` nobody has approved yet: then it is closed for an account alone.
    """
    if not settings.approval.second_person:
        return
    claim = f"somebody else approves than {begun_by.name or begun_by.account}, who began the run"
    account = program.account()
    if consent is None:
        why = begun_by.refuses_all_of(account)
    else:
        why = begun_by.refuses(consent.name, account)
    yield Gate(claim, Refusal(why, _SECOND) if why else None)


def unedited(settings: Settings, drift: Drift | None, again: str) -> Iterator[Gate]:
    """That nobody has edited FileMaker since it was read, if the environment asks for it.

    ``drift`` is None where nobody has looked.
    """
    if settings.approval.filemaker_edits == "count":
        return
    refusal = None
    if drift is None:
        refusal = Refusal(
            "it is not known whether FileMaker was edited since it was read",
            "execute the cell of 02_execute that compares it, then this one again",
        )
    elif drift.changed:
        refusal = Refusal(
            f"FileMaker was edited since it was read: {drift.edits}",
            f"run 01_preflight again ({again}): its plan will have these edits",
            needs_preflight=True,
        )
    yield Gate("FileMaker was not edited since it was read", refusal)


def with_name(settings: Settings) -> str:
    """What the command that approves needs besides the digest: "" where nobody's name is asked."""
    return ' --who "…"' if settings.approval.second_person else ""


def refuse(reasons: tuple[Refusal, ...]) -> None:
    """Stop if there is a reason to refuse.

    Raises:
        StopError: names every reason. Nothing was written.
    """
    if not reasons:
        return
    reasons = tuple(dict.fromkeys(reasons))
    what = reasons[0].what
    if len(reasons) > 1:
        listed = wording.lines([reason.what for reason in reasons])
        conditions = wording.amount(len(reasons), "condition prevents", "conditions prevent")
        what = f"{conditions} an approval\n{listed}"
    raise StopError(what, next="; ".join(dict.fromkeys(reason.next for reason in reasons)))


def require_rollback(
    settings: Settings,
    proposal: RollbackProposal,
    consent: Consent,
    earlier: Approval | None,
) -> Approval:
    """The approval of a rollback, if its digest was typed.

    ``earlier`` is the one that the run has already.

    Raises:
        StopError: no approval, a different digest, or nobody has decided about newer rows. Nothing
            was written.
    """
    require_choice(proposal.since, proposal.newer, proposal.undoes)
    _require_consent(settings, proposal, consent, earlier)
    refuse(refusals(unchanged_since_preview(proposal)))
    return consent.given_to(proposal.digest)


def require_choice(since: Since, newer: NewerDecision, run: str) -> None:
    """Stop if rows are newer than the run and nobody has decided about them.

    Raises:
        StopError: lists the newer rows by table. Nothing was written.
    """
    tables = (*since.rows, *since.links)
    if newer is not NewerDecision.UNDECIDED or not since.asks:
        return
    listed = "\n".join(
        f"    {n.table}: {n.created:,} created, {n.changed:,}"
        f" {'changed' if n.fixed is None else 'linked anew'}, {n.deleted:,} deleted"
        f" (e.g. {wording.some(n.sample, n.rows)})"
        for n in tables
    )
    links = (
        "; no document and no image is deleted, and of their links only those go back that the run"
        " had fixed"
    )
    raise StopError(
        f"people have written since run {run}\n{listed}",
        next=f"nexus-reimport rollback {run} --keep-newer keeps the rows that were created or"
        " changed, with all rows that they point at; --discard-newer deletes or reverts them (a"
        f" copy stays in the private folder){links if since.links else ''}",
    )


def _require_consent(
    settings: Settings,
    proposal: Proposal | RollbackProposal,
    consent: Consent,
    earlier: Approval | None,
) -> None:
    typed, rehearsed = consent.typed.strip(), consent.rehearsed
    what, page = "plan", "01_preflight"
    if isinstance(proposal, RollbackProposal):
        what, page = "rollback", "90_rollback"
    is_real = settings.kind is EnvironmentKind.PROD and not settings.sandbox
    if rehearsed and not typed and is_real:
        raise StopError(
            "--approve-rehearsed is only for dev environments; on prod the digest must be typed",
            next=f"read {page}, then add --approve {short(proposal.digest)}",
        )
    if not typed and not rehearsed:
        if earlier and earlier.digest == proposal.digest:
            raise StopError(
                f"this {what} was approved already, by {earlier.by}; nothing was typed this time",
                state="the approval stands; nothing was written",
                next="run the next cell of this page: it asks for each gate again, then executes",
            )
        raise StopError(
            f"nobody has approved this {what} yet",
            next=f'read {page} to its end; then write approve = "{short(proposal.digest)}" into the'
            " second cell of this page, and run that cell and this one again",
        )
    if typed and not is_meant(typed, proposal.digest):
        why = too_short(typed).removesuffix("; ")
        raise StopError(
            f"the typed digest is not the digest of this {what}" + (f": {why}" if why else ""),
            next=f"copy the digest from {page} of this run: it changes with the data",
        )


def _unchanged(what: str, then: str, now: str, preflight: str = "", doubt: str = "") -> Gate:
    """That ``what`` is as it was at the preflight, by the command for one; else, at a preview.

    ``doubt``: how else its digest can differ, for a person.
    """
    since = "the preflight" if preflight else "the preview"
    claim = f"{what} is unchanged since {since}"
    if then == now:
        return Gate(claim)
    again = "run 90_rollback again and read it again"
    if preflight:
        again = f"run 01_preflight again ({preflight}) and read it again"
    refusal = Refusal(
        f"{what} was changed since {since}{doubt}", again, needs_preflight=bool(preflight)
    )
    return Gate(claim, refusal)


def _tried_on_dev(
    settings: Settings, mapping_digest: str, dev_run: DevRun | None
) -> Refusal | None:
    """Why dev does not stand for what prod would execute now; whatever the preflight was of."""
    dev = settings.dev_environment
    if dev_run is None:
        return Refusal(
            f"{dev} has no COMPLETE run", f"run `nexus-reimport run {dev}` to its end first"
        )
    differ = [
        name
        for name, then, now in (
            ("package or library", dev_run.code, code_digest()),
            ("mapping", dev_run.mapping, mapping_digest),
            ("schema", dev_run.schema, ()),
        )
        if then != now
    ]
    if differ:
        listed = "".join(f"\n    {line}" for line in dev_run.schema[:SCHEMA_LINES])
        return Refusal(
            f"{dev} was run with a different {', '.join(differ)} ({dev_run.run}){listed}",
            f"run `nexus-reimport run {dev}` again",
        )
    if dev_run.untested:
        return Refusal(
            f"{dev}: {dev_run.untested} ({dev_run.run})",
            f"nexus-reimport verify --self-test {dev} shows what verification finds; then run"
            f" `nexus-reimport run {dev}` again",
        )
    return None
