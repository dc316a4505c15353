"""What stands now, in one line at the top of the page: what, since when, by whom."""

from __future__ import annotations

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from nexus_reimport import wording
from nexus_reimport.model import Approval
from nexus_reimport.page import history, words
from nexus_reimport.page.outcome import RunOutcome
from nexus_reimport.page.work import Work
from nexus_reimport.record import journal
from nexus_reimport.record.anchor import Forgotten, Unnoted


@dataclass(frozen=True, slots=True)
class Standing:
    """The line, and its tone."""

    text: str
    tone: str  # open, at-work, good, attention, bad


def of_work(work: Work, zone: ZoneInfo) -> Standing:
    """A command is at work."""
    text = f"{work.name} is at work, started {work.started} at {words.lately(work.since, zone)}"
    if work.cancelled_by is None:
        return Standing(text, "at-work")
    by = f" by {work.cancelled_by}" if work.cancelled_by else ""
    return Standing(f"{text}; Cancel was pressed{by}", "attention")


def of_lost(away: tuple[str, ...]) -> Standing:
    """The database knows runs whose records are not here."""
    runs = wording.amount(len(away), "run")
    return Standing(f"Of {runs} that the database knows, no record is here", "bad")


def of_restored(forgotten: Forgotten) -> Standing:
    """The database does not know the last run, which was committed."""
    return Standing(f"The database {forgotten}", "attention" if forgotten.restore else "bad")


def of_unnoted(unnoted: Unnoted) -> Standing:
    """The database knows a run whose journal does not say that it was committed."""
    return Standing(f"The database {unnoted}", "bad")


def of_outcome(outcome: RunOutcome | None, zone: ZoneInfo) -> Standing:
    """What became of the last run, or of the one to be finished."""
    if outcome is None:
        return Standing("There was no run yet", "open")
    entries, approval = outcome.run.events(), outcome.run.loaded(Approval)
    facts = [history.kind_of(outcome.run, entries)]
    if entries:
        facts.append(words.moment(entries[-1].at, zone))
    if approval:
        facts.append(f"approved by {approval.by}")
    elif opened := journal.opened(entries):
        facts.append(f"begun by {opened.text('name') or opened.text('who')}")
    return Standing(f"{outcome.headline} ({', '.join(facts)})", outcome.tone)
