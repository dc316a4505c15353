"""The first screen of a page: where the run stands, GO or NO-GO, what changes, what needs a person.

It is read from the record alone, like its front, and leniently: what a run has not come to, or what
cannot be read any more, has no line. Numbers are what was counted; what was only planned says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from pathlib import Path

from nexus_reimport import model, naming, wording
from nexus_reimport.events import Event
from nexus_reimport.model import (
    Applied,
    Approval,
    Drift,
    Ground,
    Level,
    Outlook,
    Plan,
    Proposal,
    Rehearsal,
    Report,
    RollbackPreview,
    RollbackProposal,
    Scope,
    Survey,
    Undone,
)
from nexus_reimport.model.approval import short
from nexus_reimport.record import headline, journal, values, verdict
from nexus_reimport.record.headline import Tense
from nexus_reimport.record.journal import Entry
from nexus_reimport.record.notebooks import attention, rendering
from nexus_reimport.record.sealed import bag, front
from nexus_reimport.record.verdict import Verdict

SHOWN = 6  # things to look at, each on a line of its own
_TONES = {
    Verdict.COMPLETE: "good",
    Verdict.WAITING: "good",
    Verdict.PARTIAL: "look",
    Verdict.UNDONE: "look",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One entry of the summary: what it is about, its lines, and its tone."""

    name: str
    text: str
    tone: str = ""  # good, look, bad


@dataclass(frozen=True, slots=True)
class FirstScreen:
    """The banner, the verdict, and the lines under it."""

    environment: str
    is_prod: bool
    place: str  # database and host; "" where the record does not know it
    run: str
    is_made_up: bool
    headline: str
    tone: str
    at: datetime
    lines: tuple[Line, ...]
    closed: str  # which open runs this one has closed

    @property
    def banner(self) -> str:
        """Environment, database, run, and whether the clinic is made up, in one line."""
        parts = [self.place, f"run {self.run}", "made-up clinic" if self.is_made_up else ""]
        return " · ".join([self.environment.upper(), *filter(None, parts)])

    def as_html(self, *, whole: bool = True) -> str:
        """The screen; unless ``whole``, only its banner and verdict."""
        kind = "prod" if self.is_prod else "dev"
        shown = ((line.name, line.text, line.tone) for line in self.lines if whole)
        table = rendering.named_lines(shown)
        closed = f"<p>{escape(self.closed)}</p>" if self.closed and not whole else ""
        return (
            f'<section class="nexus first" aria-label="Summary of this run">'
            f'<p class="banner {kind}"><b>{escape(self.environment.upper())}</b>'
            f"{escape(self.banner[len(self.environment) :])}</p>"
            f'<p class="verdict {self.tone}"><strong>{escape(self.headline)}</strong></p>'
            f"{closed}{table}"
            f'<p class="as-of">as of {wording.moment(self.at)}</p></section>'
        )

    def as_text(self, *, whole: bool = True) -> str:
        """The same for a terminal."""
        wide = max((len(line.name) for line in self.lines), default=0)
        below = "\n" + " " * (wide + 4)
        listed = [f"  {e.name:<{wide}}  " + e.text.replace("\n", below) for e in self.lines]
        at = f"as of {wording.moment(self.at)}"
        under = listed if whole else filter(None, [self.closed])
        return "\n".join([self.banner, self.headline, *under, at])


def read(folder: Path) -> FirstScreen:
    """The first screen of the run whose payload is ``folder``, as its record is now."""
    seen = _Record(folder)
    kept = seen.settings
    server = kept.get("postgres") or {}
    place = (
        f"{server['database']} on {server['host']}" if {"database", "host"} <= set(server) else ""
    )
    headline, tone = _headline(seen)
    return FirstScreen(
        environment=folder.parent.parent.name,
        is_prod=kept.get("kind") == "prod",
        place=place,
        run=folder.parent.name,
        is_made_up=bool(kept.get("sandbox")),
        headline=headline,
        tone=tone,
        at=datetime.now(UTC),
        lines=tuple(_lines(seen)),
        closed=journal.closed(seen.entries),
    )


class _Record:
    """What a record holds so far; None for a value that is not there, or cannot be read."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.entries: Sequence[Entry] = journal.read(folder)
        self.verdict = verdict.judge(self.entries)
        self.is_committed = verdict.is_committed(self.entries)
        self.tense = headline.tense(self.entries, self.verdict)
        self.is_rollback = journal.kind(self.entries) == "rollback"
        self.settings = values.read_object(folder / bag.ENVIRONMENT)
        self.plan = front.value(Plan, folder)
        self.rehearsal = front.value(Rehearsal, folder)
        self.outlook = front.value(Outlook, folder)
        self.approval = front.value(Approval, folder)
        self.preview = front.value(RollbackPreview, folder)
        self.done = front.done_of(folder)

    def report(self, name: str) -> Report | None:
        """The report of one moment's checks."""
        return front.value(Report, self.folder, name)

    @property
    def digest(self) -> str:
        """As much of what approval is asked for as a person types; "" where nothing is asked."""
        return short(self.asked.digest) if self.asked else ""

    @property
    def asked(self) -> Proposal | RollbackProposal | None:
        """What approval is asked for, or was."""
        asked: Proposal | RollbackProposal | None = front.value(Proposal, self.folder)
        return asked or front.value(RollbackProposal, self.folder)

    @property
    def failure(self) -> Entry | None:
        """What stopped the run, unless it was made good since."""
        return journal.cause(self.entries)


# ---------------------------------------------------------------- the headline


def _headline(seen: _Record) -> tuple[str, str]:
    """GO or NO-GO and why, COMPLETE, or what stopped; and its tone."""
    tone = _TONES.get(seen.verdict, "bad")
    match seen.verdict:
        case Verdict.WAITING:
            return _go(seen)
        case Verdict.PARTIAL:
            return _under_way(seen), tone
        case Verdict.STOPPED | Verdict.FAILED:
            return _stopped(seen, seen.verdict), tone
        case Verdict.COMMITTED_UNVERIFIED:
            return _unverified(seen)
    return headline.of(seen.entries, seen.verdict), tone


def _go(seen: _Record) -> tuple[str, str]:
    refusals = seen.outlook.refusals if seen.outlook else ()
    if refusals:
        fix = wording.amount(len(refusals), "thing")
        return f"GO, but an approval of {seen.digest} is refused until {fix} is fixed", "look"
    return f"GO, once somebody approves {seen.digest}", "good"


def _under_way(seen: _Record) -> str:
    if journal.only(seen.entries, Event.SEALED):
        return headline.of(seen.entries, seen.verdict)
    before = seen.report("checks_before")
    if before and before.blocking and not seen.digest:  # stepped through: no line says that it ends
        return _stopped(seen, Verdict.STOPPED)
    if seen.approval:
        return "APPROVED, not executed: nothing was written"
    if seen.digest:
        return "NOT APPROVED: nothing was written"
    return "NOT DECIDED: the steps before the decision are not finished; nothing was written"


def _stopped(seen: _Record, judged: Verdict) -> str:
    """Why it stopped; before the decision it is a NO-GO."""
    meaning = headline.sentence(seen.entries, judged)
    before = seen.report("checks_before")
    what = seen.failure.headline if seen.failure else ""
    if before and before.blocking and not seen.digest:
        what = f"{wording.amount(len(before.blocking), 'check')} failed"
    return headline.of(seen.entries, judged, f"{what}; {meaning}")


def _unverified(seen: _Record) -> tuple[str, str]:
    after = seen.report("checks_rollback" if seen.is_rollback else "checks_after")
    failed = len(after.blocking) if after else 0
    meaning = headline.of_checks(failed) if failed else ""
    tone = "bad" if failed or seen.failure else "look"
    return headline.of(seen.entries, seen.verdict, meaning), tone


# ---------------------------------------------------------------- the lines


def _lines(seen: _Record) -> Iterator[Line]:
    yield from _stops(seen)
    yield from _next(seen)
    yield from _of_rollback(seen) if seen.is_rollback else _of_plan(seen)
    if looks := _looks(seen):
        yield Line(
            "look at this", wording.lines(looks, shown=SHOWN, indent="", noun="point"), "look"
        )
    yield from _checked(seen)
    if waived := model.waived(seen.report):
        yield Line("waived", wording.lines(waived, shown=SHOWN, indent="", noun="claim"), "look")
    if not seen.is_rollback:
        yield from _undo(seen)
    yield from _wait(seen)
    yield _approved(seen)


def _stops(seen: _Record) -> Iterator[Line]:
    """The claims that do not hold, and that stop the run or leave it unverified."""
    reports = (seen.report(name) for name in _CHECKS)
    failed = [r.not_so for report in reports if report for r in report.blocking]
    stops = (Verdict.STOPPED, Verdict.PARTIAL, Verdict.COMMITTED_UNVERIFIED)
    if failed and seen.verdict in stops:
        yield Line("failed", wording.lines(failed, shown=SHOWN, indent="", noun="claim"), "bad")


def _of_plan(seen: _Record) -> Iterator[Line]:
    plan, done = seen.plan, seen.done
    if plan is None:
        return
    if plan.scope is Scope.RELINK:
        name = _verb(seen, "reimports", "reimported", "would reimport")
        yield Line(name, "nothing: only links of documents and images are fixed")
    else:
        entities = plan.entities.values()
        written = done.rows_written if isinstance(done, Applied) else 0  # lost counts claim nothing
        name = _verb(seen, "reimports", wording.reimporting(written), "would reimport")
        yield Line(name, naming.counted({e.entity: e.loaded for e in entities}) + _written(seen))
        if purged := {e.entity: e.purged for e in entities if e.purged}:
            name = _verb(seen, "deletes for good", "deleted for good", "would delete for good")
            yield Line(name, f"{naming.counted(purged)}, which FileMaker does not have", "look")
        if lost := model.losses(entities):
            yield Line(_verb(seen, "loses", "lost", "would lose"), lost, "look")
    links = {p.attachment: p.file.rows for p in plan.links.values()}
    if isinstance(done, Applied):
        links = dict(done.relinked)
    if any(links.values()):
        name = _verb(seen, "links anew", "linked anew", "would link anew")
        yield Line(name, naming.links(links))
    yield Line(_verb(seen, "keeps", "kept", "would keep"), _kept(plan))
    if undecided := model.undecided(plan.entities.values()):
        yield Line("not decided", undecided, "look")


def _verb(seen: _Record, does: str, did: str, would: str) -> str:
    """What the run does, as a name for it: what was committed is done, what has ended is not."""
    return {Tense.DID: did, Tense.WOULD: would, Tense.WILL: does}[seen.tense]


def _written(seen: _Record) -> str:
    """What the transaction itself has counted, once it is committed."""
    if seen.verdict is Verdict.IN_DOUBT:
        return "; either all of this was committed, or nothing"
    if not seen.is_committed:
        nothing = isinstance(seen.asked, Proposal) and seen.asked.writes_nothing
        return "; no row has to be written for it: all are already so" if nothing else ""
    if not isinstance(seen.done, Applied):
        return "; the transaction's own counts were lost"
    if seen.done.rows_written is not None:
        return f"; {wording.had_to_be_written(seen.done.rows_written)}"
    deleted, inserted = sum(seen.done.deleted.values()), sum(seen.done.inserted.values())
    return f"; the transaction deleted {wording.amount(deleted, 'row')} and inserted {inserted:,}"


def _kept(plan: Plan) -> str:
    alone = naming.counted({e.entity: e.kept - e.undecided for e in plan.entities.values()}, "")
    rest = naming.counted({p.attachment: p.rows for p in plan.links.values()}, "")
    parts = [f"what Nexus alone has: {alone}" if alone else "", f"all {rest}" if rest else ""]
    return "; ".join([*filter(None, parts), "everything else in Nexus"])


def _of_rollback(seen: _Record) -> Iterator[Line]:
    yield Line("undoes", f"run {journal.undoes(seen.entries)}")
    if isinstance(seen.done, Undone):
        yield Line("written", attention.written(seen.done))
        yield Line("there after it", naming.counted(seen.done.put_back, "no rows"))
        yield _as_before(seen, seen.done)
    elif seen.is_committed:
        yield Line("written", "the transaction's own counts were lost")
    elif seen.preview:
        name = _verb(seen, "there after it", "", "would be there after it")
        links = naming.links(seen.preview.links, "no links")
        yield Line(name, f"{naming.counted(seen.preview.rows_before)}; {links}")


def _as_before(seen: _Record, done: Undone) -> Line:
    """Whether the data is as it was before the run; the checks after know better than COMMIT."""
    name, after = "as before the run", seen.report("checks_rollback")
    is_simple = done.exact and not any(n.rows for n in done.since.newer)
    tone = "bad" if after and after.blocking else "good" if is_simple else "look"
    return Line(name, attention.as_before(done, after), tone)


def _looks(seen: _Record) -> list[str]:
    """What a person should look at, the largest things first."""
    texts = [r.what for r in seen.outlook.refusals] if seen.outlook and not seen.approval else []
    texts += attention.of_commit(seen.done)
    texts += attention.of_ending(seen.outlook) if not seen.is_committed else []
    texts += attention.of_verification(journal.verified_with(seen.entries), seen.asked)
    # Before the plan's: those were there when it was approved, and the screen holds a few lines.
    texts += attention.of_drift(front.value(Drift, seen.folder), seen.approval)
    if seen.is_committed:
        texts += attention.of_stored(front.value(Survey, seen.folder), seen.preview)
    if seen.plan:
        before = seen.report("checks_before")
        texts += attention.of_plan(seen.plan, before, is_committed=seen.is_committed)
    if seen.preview:
        newer = {n.table: n.created + n.changed + n.deleted for n in seen.preview.since.newer}
        if any(newer.values()):
            texts.append(f"people have written since the run: {naming.counted(newer)}")
    for name in ("checks_before", "checks_after"):
        texts += attention.of_checks(seen.report(name))
    return list(dict.fromkeys(texts))


_CHECKS = {
    "checks_before": "before",
    "checks_rehearsal": "before the rehearsal",  # whether it can prove something, not that it did
    "checks_inside": "inside the transaction",
    "checks_after": "after",
    "checks_rollback": "after the rollback",
}
_COMMITTED = ("after", "after the rollback")  # nothing is left to stop


def _checked(seen: _Record) -> Iterator[Line]:
    """What the checks found, moment by moment; those that stop the run first."""
    reports = {when: seen.report(name) for name, when in _CHECKS.items()}
    if not journal.came_to_checks_inside(seen.entries):  # those are the rehearsal's until then
        inside = _CHECKS["checks_inside"]
        reports = {f"{w}, rehearsed" if w == inside else w: r for w, r in reports.items()}
    run = {when: report for when, report in reports.items() if report and report.results}
    if run:
        texts = " · ".join(f"{when}: {_counts(report, when)}" for when, report in run.items())
        yield Line("checks", texts, "" if all(r.passed for r in run.values()) else "bad")


def _counts(report: Report, when: str) -> str:
    passed = sum(r.passed for r in report.results)
    waived = sum(r.passed and bool(r.offending) for r in report.results)
    look = sum(r.level is Level.REVIEW and not r.passed for r in report.results)
    noted = len(report.results) - len(report.blocking) - look - passed
    blocks = "FAILED" if when in _COMMITTED else "STOP"
    counts = {blocks: len(report.blocking), "to review": look, "noted": noted, "waived": waived}
    counts["passed"] = passed - waived
    return ", ".join(f"{n:,} {word}" for word, n in counts.items() if n)


def _undo(seen: _Record) -> Iterator[Line]:
    rehearsed = seen.rehearsal
    if seen.verdict is Verdict.UNDONE:
        yield Line("undo", "done: the run was taken back")
    elif seen.is_committed:
        yield Line(
            "undo", f"nexus-reimport rollback {seen.folder.parent.name} shows what it would do"
        )
    elif rehearsed is None:
        yield Line("undo", "not tried yet: the rehearsal is missing", "look" if seen.plan else "")
    elif rehearsed.ground is Ground.COPY:
        seconds = f"{rehearsed.times.get('undo', rehearsed.undo_waited):,.1f} s"
        yield Line("undo", f"proven on a restored copy: {seconds}")
    else:
        yield Line("undo", f"UNPROVEN, no copy was made: {rehearsed.why_inside}", "bad")


def _wait(seen: _Record) -> Iterator[Line]:
    if seen.done is not None:
        yield Line("writers waited", wording.at_most(seen.done.writers_waited))
    elif seen.rehearsal is not None and not seen.is_committed:  # how long they did is lost then
        yield Line(
            "writers would wait" if seen.tense is Tense.WOULD else "writers wait",
            f"about {seen.rehearsal.writers_waited:,.1f} s, as in the rehearsal",
        )


def _approved(seen: _Record) -> Line:
    given = seen.approval
    if given is None:
        return Line("approved by", "nobody yet")
    return Line("approved by", f"{given.by_account}, {given.how}, {wording.moment(given.at)}")


def _next(seen: _Record) -> Iterator[Line]:
    """What to do where something stopped it, or where it is not finished."""
    environment = seen.folder.parent.parent.name
    remedy = seen.failure.text("next") if seen.failure else ""
    match seen.verdict:
        case Verdict.UNDONE:  # what the failed checks asked for is settled
            return
        case Verdict.KILLED:  # its last failure, if it has one, is of a step before
            kind, undoes = journal.kind(seen.entries), journal.undoes(seen.entries)
            remedy = f"{journal.again(kind, undoes, environment)} begins it anew"
        case Verdict.IN_DOUBT:
            remedy = f"nexus-reimport settle {environment} asks the database"
        case Verdict.COMMITTED_UNVERIFIED if not remedy:
            page = "" if seen.is_rollback else "03_verify; or "
            remedy = f"{page}nexus-reimport finish {environment} verifies it and seals the record"
    if remedy:
        yield Line("next", remedy)
