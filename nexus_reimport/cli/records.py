"""``nexus-reimport record …``: what was run, and whether it was edited since."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import typer

from nexus_reimport import record, show
from nexus_reimport import settings as environments
from nexus_reimport.cli.output import AsJson, RunId, give
from nexus_reimport.errors import ReimportError, SettingsError, TargetError
from nexus_reimport.model import Applied, Plan, Report
from nexus_reimport.record import Run, Verdict, anchor
from nexus_reimport.runner.notebook import last_error
from nexus_reimport.settings import Settings

app = typer.Typer(help="What was run, and whether it was edited since.", no_args_is_help=True)
OneOrAll = Annotated[str, typer.Argument(help="An environment; all of them unless named.")]


@dataclass(frozen=True, slots=True)
class Checked:
    """One record: what is wrong with it, and what could not be compared."""

    environment: str
    run: str
    verdict: str
    sealed: bool
    problems: tuple[str, ...]
    remarks: tuple[str, ...]


@app.command("list")
def list_runs(environment: OneOrAll = "", as_json: AsJson = False) -> None:
    """List all runs, oldest first."""
    runs = [run for settings in _chosen(environment) for run in record.every(settings)]
    undone = record.taken_back(runs)
    rows = [
        (
            r.environment,
            r.id,
            r.kind,
            r.standing(),
            "sealed" if r.is_sealed else "open",
            f"taken back by {undone[r.id]}" if r.id in undone else "",
        )
        for r in runs
    ]
    found = [
        {
            "environment": e,
            "run": run,
            "kind": kind,
            "verdict": verdict,
            "sealed": state == "sealed",
            "taken_back_by": undone.get(run, ""),
        }
        for e, run, kind, verdict, state, _ in rows
    ]
    text = show.table("", "environment | run | kind | verdict | record | since", rows).as_text()
    give({"runs": found}, text if rows else "no runs yet", as_json=as_json)


@app.command("show")
def show_run(
    environment: Annotated[str, typer.Argument()], run: RunId = "", as_json: AsJson = False
) -> None:
    """Show one run, the latest unless named: summary, plan, reports."""
    settings = environments.load(environment)
    found = _one(settings, run)
    verdict = found.standing()
    undone_by = record.taken_back(record.every(settings)).get(found.id, "")
    said = {
        "environment": found.environment,
        "run": found.id,
        "verdict": verdict,
        "exit_code": None if verdict is Verdict.RUNNING else found.exit_code(),
        "database": found.state(),
        "taken_back_by": undone_by,
        "sealed": found.is_sealed,
        "seal": found.seal_digest(),
        "record": str(found.folder),
        "journal": [dict(entry.line) for entry in found.events()],
    }
    since = f"taken back since, by run {undone_by}\n\n" if undone_by else ""
    give(said, since + "\n\n".join(_pages(found)), as_json=as_json)


@app.command("check")
def check_runs(environment: OneOrAll = "", run: RunId = "", as_json: AsJson = False) -> None:
    """Compare sealed records with their seals, with each other, and with the database."""
    chosen = _chosen(environment)
    checked = [
        _check(settings, found)
        for settings in chosen
        for found in ([_one(settings, run)] if run else record.every(settings))
    ]
    rows = [
        (c.environment, c.run, c.verdict, "; ".join(c.problems) or _state(c), "; ".join(c.remarks))
        for c in checked
    ]
    bad = any(c.problems for c in checked)
    text = show.table("", "environment | run | verdict | record | remarks", rows).as_text()
    give(
        {"checked": [_plain(c) for c in checked], "as_sealed": not bad},
        text if rows else "no runs yet",
        as_json=as_json,
    )
    raise typer.Exit(1 if bad else 0)


def _chosen(environment: str) -> list[Settings]:
    """One environment, or all that can be loaded."""
    if environment:
        return [environments.load(environment)]
    return list(environments.every(_say_left_out))


def _say_left_out(name: str, error: SettingsError) -> None:
    typer.echo(f"{name} is left out: {error.what.splitlines()[0]}", err=True)


def _one(settings: Settings, run_id: str) -> Run:
    """The run that is named, else the latest."""
    runs = record.every(settings)
    if not run_id and runs:
        return runs[-1]
    found = next((r for r in runs if r.id == run_id), None)
    if found is None:
        raise SettingsError(
            f"{settings.name} has no run {run_id}".rstrip(),
            next=f"nexus-reimport record list {settings.name}",
        )
    return found


def _pages(run: Run) -> Iterator[str]:
    yield show.summary(run)
    if error := last_error(run):
        yield error
    if run.has(Plan):
        yield show.plan_text(run.load(Plan))
    for name in ("checks_before", "checks_inside", "checks_after", "checks_rollback"):
        if run.has(Report, name):
            yield show.report_text(run.load(Report, name))


def _check(settings: Settings, run: Run) -> Checked:
    problems = run.problems() if run.is_sealed else []
    remarks: list[str] = []
    if run.is_sealed and run.has(Applied):
        _compare_anchor(settings, run, problems, remarks)
    verdict = run.standing()
    return Checked(run.environment, run.id, verdict, run.is_sealed, tuple(problems), tuple(remarks))


def _compare_anchor(settings: Settings, run: Run, problems: list[str], remarks: list[str]) -> None:
    try:
        anchored = anchor.read(settings, run)
    except TargetError:
        remarks.append("the database could not be asked for the seal")
        return
    except ReimportError as error:
        remarks.append(error.what.splitlines()[0])
        return
    if not anchored:
        remarks.append("the database knows no seal of this run: restored since?")
    elif anchored != run.seal_digest():
        problems.append("the database holds another seal of this run")


def _state(checked: Checked) -> str:
    return "as sealed" if checked.sealed else "open"


def _plain(checked: Checked) -> dict[str, object]:
    return {name: getattr(checked, name) for name in Checked.__slots__}
