"""Each place that tells of a run says the same of it, and no more than the database holds.

The summary at the terminal, the first screen of a page, the page's own words, the list of runs, the
front of the record and the list of records: for every way in which a run can end.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from nexus_reimport import naming, record, runner, show
from nexus_reimport import settings as environments
from nexus_reimport.model import Report
from nexus_reimport.page import history, outcome
from nexus_reimport.record import Run, State, Verdict
from nexus_reimport.record.notebooks import first_screen
from nexus_reimport.record.sealed import bag, front, index
from support import ends
from support.clinic import Clinic
from support.ends import DEV, ENDS, TABLES, End, committed

NAMED = {naming.counted({e: n})[2:]: e for e in TABLES for n in (1, 2)}
# Words that claim that something was written; each stands only in a run that was committed.
DONE = re.compile(
    r"\b(wiped|loaded|reimported|purged|re-linked|linked anew|restored|undone|put back|kept"
    r"|deleted and inserted|had to be written|taken back by)\b",
    re.IGNORECASE,
)
VERIFIED = re.compile(r"(?<!not )(?<!nobody has )\bverified\b", re.IGNORECASE)
NEGATED = re.compile(
    r"nothing was (written|taken back)|not verified|whether the run was taken back|never verified"
    r"|would [\w-]+|to [\w-]+ |owner not loaded|on a restored copy",
    re.IGNORECASE,
)


OPEN = (Verdict.WAITING, Verdict.PARTIAL)  # the first screen and the page say what comes next


@dataclass(frozen=True, slots=True)
class Places:
    """What each place says of a run."""

    run: Run
    facts: dict[str, str]
    screen: first_screen.FirstScreen
    outcome: outcome.RunOutcome
    past: history.Past
    front: front.Front

    @classmethod
    def of(cls, run: Run) -> Places:
        undone = record.taken_back(record.every(environments.load(DEV)))
        return cls(
            run,
            dict(show.facts(run)),
            first_screen.read(run.folder),
            outcome.of(run),
            history.past(run, undone),
            front.read(run.bag),
        )

    @property
    def headlines(self) -> dict[str, str]:
        return {
            "terminal": f"{self.run.verdict()}: {self.run.meaning()}",
            "first screen": self.screen.headline,
            "page": self.outcome.headline,
            "list of runs": self.past.headline,
            "record": f"{self.front.verdict or self.run.verdict()}: {self.front.meaning}",
        }

    def line(self, name: str) -> str:
        return next((line.text for line in self.screen.lines if line.name == name), "")

    @property
    def texts(self) -> dict[str, str]:
        """What each place says of what was done, in all its words but those of single checks."""
        named = (f"{n}: {t}" for n, t in self.facts.items() if n not in ("changed", "look at this"))
        lines = (
            f"{e.name}: {e.text}" for e in self.screen.lines if e.name not in ("look at this",)
        )
        return {
            "terminal": "\n".join([self.headlines["terminal"], *named]),
            "first screen": "\n".join([self.screen.headline, *lines]),
            "page": self.outcome.headline,
            "list of runs": self.past.headline,
            "record": f"{self.front.meaning}. {self.front.changed}",
        }


def found(run: str) -> Run:
    return next(one for one in record.every(environments.load(DEV)) if one.id == run)


def counts(text: str) -> dict[str, int]:
    found = re.findall(r"([\d,]*\d) ([A-Za-z ]+)", text)
    return {NAMED[name]: int(n.replace(",", "")) for n, name in found if name in NAMED}


def rows(clinic: Clinic) -> dict[str, int]:
    """The rows of each wiped table, as the test counts them itself."""
    return {
        entity: int(clinic.value(f"SELECT count(*) FROM {table}"))
        for entity, table in TABLES.items()
        if clinic.value(f"SELECT count(*) FROM {table}")
    }


def _nothing_differed(places: Places) -> None:
    """It is not called wiped anywhere."""
    new = {places.facts[name] for name in ("new", "changed", "purged", "re-linked")}
    assert new == {"nothing"}
    none = "COMPLETE: verified; all was already as imported, and no row had to be written"
    assert {places.headlines["terminal"], places.screen.headline, places.outcome.headline} == {none}
    assert places.facts["written"] == "nothing: all rows were already as imported afresh"
    readme = (places.run.bag / bag.README).read_text()
    assert "no row had to be written for it: all were already so" in readme
    article = index._article(places.run.bag, places.front, "", {})
    for text in (readme, article, places.screen.as_text()):
        assert not re.search(r"\b(wiped|deleted and|deleted, )", text, re.IGNORECASE), text


def _wrote_nothing(places: Places) -> None:
    """A rollback of a run that wrote nothing does not say that rows were put back."""
    assert places.facts["written"] == places.line("written") == "0 rows; no links"
    assert "no row had to be written for it" in places.front.changed
    assert "put back" not in (places.run.bag / bag.README).read_text()


def _taken_back(places: Places) -> None:
    """Its own record is sealed and cannot say so; it stood there as if its data were there."""
    page = (places.run.bag.parent / index.FILE).read_text()
    assert f"It was taken back since, by run {ends.last().id}." in page
    assert page.count("It was taken back since") == 1
    assert page.count("COMPLETE</span>, taken back since") == 1


def _stopped_by_a_check(places: Places) -> None:
    """No line of its journal said that it was stopped: it was told as one that was given up."""
    assert places.run.verdict() is Verdict.STOPPED
    assert places.run.load(Report, "checks_before").blocking
    assert places.screen.headline == "NO-GO: 1 check failed; nothing was written"
    assert places.outcome.headline == "NO-GO: it was stopped; nothing was written"
    assert "1 check failed" in places.front.failure


# What is said at one end alone; its clinic is made once for this and for what holds at each.
AT_ONE_END: dict[End, Callable[[Places], None]] = {
    ends.complete_where_nothing_differed: _nothing_differed,
    ends.rolled_back_what_wrote_nothing: _wrote_nothing,
    ends.taken_back_complete: _taken_back,
    ends.stopped_by_a_check: _stopped_by_a_check,
}


@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.__name__)
def test_no_place_says_more_than_another_or_than_the_database_holds(
    clinic: Clinic, rehearsed: Path, tmp_path: Path, end: End
) -> None:
    places = Places.of(found(end(clinic, rehearsed, tmp_path).id))
    AT_ONE_END.get(end, lambda _: None)(places)
    holds_together(clinic, places)
    if not (places.run.is_sealed or places.run.verdict() is Verdict.IN_DOUBT):
        runner.seal(DEV)
        holds_together(clinic, Places.of(found(places.run.id)))


def holds_together(clinic: Clinic, places: Places) -> None:
    no_stronger_claim(clinic, places)
    the_same_everywhere(places)
    nothing_is_said_twice(places)
    numbers_agree(clinic, places)


def no_stronger_claim(clinic: Clinic, places: Places) -> None:
    """Nobody claims what the database does not hold; nobody calls verified what is not."""
    run = places.run
    is_committed = committed(clinic, run)
    assert places.outcome.is_committed == is_committed or run.verdict() is Verdict.IN_DOUBT
    for place, text in places.texts.items():
        plain = NEGATED.sub("", text)
        if not is_committed or run.verdict() is Verdict.IN_DOUBT:
            assert not DONE.search(plain), (place, DONE.search(plain), text)
        if run.verdict() is not Verdict.COMPLETE:
            assert not VERIFIED.search(plain), (place, text)
        elif place != "page":
            assert "nothing was written" not in text, (place, text)
    if is_committed and run.kind != "rollback" and places.outcome.rows_written == 0:
        for place, text in places.texts.items():
            plain = NEGATED.sub("", text)
            assert not re.search(r"\b(wiped|loaded|deleted)\b", plain), (place, text)
    if run.state() is State.TAKEN_BACK:
        assert "undone since" in places.front.changed
        assert " are " not in places.front.changed


def the_same_everywhere(places: Places) -> None:
    """One verdict, one meaning, one approval, one time of waiting, one result of the checks."""
    run, meaning = places.run, places.run.meaning()
    told = {where: text for where, text in places.headlines.items() if meaning not in text}
    words = {where: text.partition(":")[0] for where, text in places.headlines.items()}
    assert words["list of runs"] == words["first screen"] or run.verdict() in OPEN
    assert words["list of runs"] == words["page"] or run.verdict() is Verdict.WAITING
    # These say more than the meaning: GO with its digest, or what stopped it.
    waits = {"first screen", "page"} if run.verdict() is Verdict.WAITING else set()
    more = {"first screen"} if run.verdict() in (Verdict.STOPPED, Verdict.FAILED) else set()
    if run.verdict() is Verdict.PARTIAL and not run.is_sealed:
        more = {"first screen"}
    assert set(told) <= waits | more, told
    for where in set(told) & more:
        assert "nothing was " in told[where], told
    approval = places.past.approval
    assert (approval is None) == ("nobody yet" in places.line("approved by"))
    assert (approval is None) == (places.front.approval is None)
    if approval:
        assert places.line("approved by").startswith(approval.by)
        assert approval.by in front.approved(places.front)
    waited = places.line("writers waited")
    assert places.facts.get("writers", "").removeprefix("waited ") == waited
    if waited:
        assert waited in front.writers(places.front.waited or 0.0)
        assert places.past.waited == places.front.waited
        assert float(waited.split()[0]) >= (places.front.waited or 0.0)


def nothing_is_said_twice(places: Places) -> None:
    """`Reimported and verified. Wiped and reimported: …` stood in the list of records."""
    told = index._became(places.front) if places.run.is_sealed else ""  # else it is not listed
    for word in ("reimported", "was undone", "linked anew", "to be written", "nothing was written"):
        assert told.lower().count(word) <= 1, told


def numbers_agree(clinic: Clinic, places: Places) -> None:
    """The counts of all places are one, and those that are done are what the database holds."""
    run = places.run
    words = "reimports", "reimported", "wiped and reimported", "would reimport"
    of_screen = counts("; ".join(map(places.line, words)))
    verbs = ("to load", "loaded", "would load", "reimported")
    of_facts = counts("; ".join(places.facts.get(name, "") for name in verbs))
    of_page = {NAMED[kind.name]: kind.imported for kind in places.outcome.kinds if kind.imported}
    assert of_screen == of_facts == of_page
    if run.kind == "rollback" or not run.is_committed() or run.state() is State.TAKEN_BACK:
        after = counts(places.line("there after it"))
        if run.kind == "rollback" and run.is_committed():
            assert after == counts(places.facts["after it"]) == rows(clinic)
            assert places.line("written") == places.facts["written"]
        return
    undone_since = places.past.undone_by
    kept = {NAMED[kind.name]: kind.kept for kind in places.outcome.kinds}
    if places.outcome.kinds and not undone_since:
        both = {e: of_page.get(e, 0) + n for e, n in kept.items() if of_page.get(e, 0) + n}
        assert both == rows(clinic)
    of_front = counts(places.front.changed.partition(". Linked anew")[0])
    if not places.outcome.counts_are_lost:
        assert of_front == of_page
        written = _written(places)
        assert written == (places.outcome.rows_written or 0)


def _written(places: Places) -> int:
    """How many rows the first screen says had to be written; the record and the facts say so."""
    lines = map(places.line, ("reimported", "wiped and reimported"))
    told = f"{' '.join(lines)} {places.front.changed}"
    found = {int(n.replace(",", "")) for n in re.findall(r"([\d,]+) rows? had to be written", told)}
    of_facts = sum(counts(places.facts.get("written", "").partition(";")[0]).values())
    assert found in ({of_facts}, set())
    return of_facts
