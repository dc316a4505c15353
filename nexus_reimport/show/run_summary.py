"""A whole run on one screen: for the last cell, for the command line, for the demo."""

from __future__ import annotations

from nexus_reimport.model import Applied, Plan, Proposal, Report, Scope, Undone
from nexus_reimport.record import EXIT_CODES, Run
from nexus_reimport.show.page import Line, Page, Tone, listed
from nexus_reimport.show.planned import changed
from nexus_reimport.show.result import counted
from nexus_reimport.window import ENTERED, FAILED, LEFT

_REPORTS = (
    ("checks_before", "before"),
    ("checks_inside", "inside"),
    ("checks_after", "after"),
    ("checks_rollback", "after"),
)


def signed_off(run: Run) -> Page:
    """The end of a run, as its record tells it."""
    verdict = run.verdict()
    tone = Tone.GOOD if EXIT_CODES[verdict] == 0 else Tone.BAD
    place = "/".join(run.folder.parts[-3:])
    lines = [f"{name + ':':<11} {text}" for name, text in [*_facts(run), ("record", place)]]
    return Page(
        f"{run.environment}: run {run.id}", (Line(f"Verdict: {verdict}", tone), *map(Line, lines))
    )


def summary(run: Run) -> str:
    """Wiped, loaded, left out and why, kept and why, re-linked, waited, verdict, record."""
    verdict = run.verdict()
    facts = [*_facts(run), ("verdict", f"{verdict}, exit code {run.exit_code()}")]
    facts.append(("record", str(run.folder)))
    if run.is_sealed:
        facts.append(("seal", run.seal_digest()))
    lines = [f"  {name:<12}{text}" for name, text in facts]
    return "\n".join([f"{run.environment}: run {run.id}", *lines])


def _facts(run: Run) -> list[tuple[str, str]]:
    return [*_planned(run), *_done(run), *_checked(run), *_window(run)]


def _planned(run: Run) -> list[tuple[str, str]]:
    if not run.has("plan"):
        return []
    plan = run.load(Plan, "plan")
    entities = plan.entities.values()
    links = ("re-linked", listed({n: p.file.rows for n, p in plan.links.items()}, "nothing"))
    if plan.scope is Scope.RELINK:
        return [links]
    left_out = [f"{e.entity}: {listed(e.left_out)}" for e in entities if e.left_out]
    kept = [
        f"{e.entity}: {listed({str(u.cause): u.count for u in e.unreturned})}"
        for e in entities
        if e.kept
    ]
    closed = sum(u.kept_by_closure for e in entities for u in e.unreturned)
    changes = {f"values of {e.entity}": changed(e) for e in entities}
    return [
        ("wiped", listed({e.entity: e.rows_before for e in entities})),
        ("loaded", listed({e.entity: e.loaded for e in entities})),
        ("new", listed({e.entity: e.new for e in entities}, "nothing")),
        ("changed", listed(changes, "nothing")),
        ("left out", "; ".join(left_out) or "nothing"),
        ("kept", "; ".join(kept) or "nothing"),
        *([("of these", f"{closed:,} kept since something points at them")] if closed else []),
        ("purged", listed({e.entity: e.purged for e in entities}, "nothing")),
        links,
    ]


def _done(run: Run) -> list[tuple[str, str]]:
    if run.has("undone"):
        undone = run.load(Undone, "undone")
        put_back = listed(undone.put_back, "no rows")
        links = listed(undone.relinked, "none")
        return [
            ("taken back", undone.undoes),
            ("put back", f"{put_back}; links of {links}"),
            ("exact", "yes" if undone.exact else "but for what people have written since"),
            ("writers", f"waited {undone.writers_waited:,.2f} s at most"),
        ]
    if run.has("applied"):
        applied = run.load(Applied, "applied")
        return [("writers", f"waited {applied.writers_waited:,.2f} s at most")]
    if run.has("proposal"):
        return [("proposal", f"{run.load(Proposal, 'proposal').digest}, nothing was written")]
    return [("state", "nothing was written")]


def _checked(run: Run) -> list[tuple[str, str]]:
    return [
        ("checks", f"{when}: {counted(run.load(Report, name))}")
        for name, when in _REPORTS
        if run.has(name)
    ]


def _window(run: Run) -> list[tuple[str, str]]:
    """Only where the maintenance window could not be taken down."""
    events = [e for e in run.events() if e["event"] in (ENTERED, LEFT, FAILED)]
    if not events or events[-1]["event"] != FAILED or events[-1]["hook"] != "leave":
        return []
    return [("window", f"STILL UP, {events[-1]['how']}; nexus-reimport says how to take it down")]
