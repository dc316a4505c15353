"""``nexus-reimport record …``: which runs there were, and whether a record was edited since."""

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

app = typer.Typer(
    help="List runs, show one, check whether records were edited.", no_args_is_help=True
)
OneOrAll = Annotated[str, typer.Argument(help="An environment; without it, all of them.")]


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
            f"undone by {undone[r.id]}" if r.id in undone else "",
        )
        for r in runs
    ]
    values = [
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
    give({"runs": values}, text if rows else "no runs yet", as_json=as_json)


@app.command("show")
def show_run(
    environment: Annotated[str, typer.Argument()], run: RunId = "", as_json: AsJson = False
) -> None:
    """Show one run, by default the latest: summary, plan, reports."""
    settings = environments.load(environment)
    shown = _named_or_latest(settings, run)
    verdict = shown.standing()
    undone_by = record.taken_back(record.every(settings)).get(shown.id, "")
    values = {
        "environment": shown.environment,
        "run": shown.id,
        "verdict": verdict,
        "exit_code": None if verdict is Verdict.RUNNING else shown.exit_code(),
        "database": shown.state(),
        "taken_back_by": undone_by,
        "sealed": shown.is_sealed,
        "seal": shown.seal_digest(),
        "record": str(shown.folder),
        "journal": [dict(entry.line) for entry in shown.events()],
    }
    since = f"undone since, by run {undone_by}\n\n" if undone_by else ""
    give(values, since + "\n\n".join(_pages(shown)), as_json=as_json)


@app.command("check")
def check_runs(environment: OneOrAll = "", run: RunId = "", as_json: AsJson = False) -> None:
    """Compare sealed records with their seals, with each other, and with the database."""
    chosen = _chosen(environment)
    checked = [
        _check(settings, one_run)
        for settings in chosen
        for one_run in ([_named_or_latest(settings, run)] if run else record.every(settings))
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
    """The named environment, or all that can be loaded; the others are named on stderr."""
    if environment:
        return [environments.load(environment)]
    return list(environments.every(_say_left_out))


def _say_left_out(name: str, error: SettingsError) -> None:
    typer.echo(f"{name} is left out: {error.what.splitlines()[0]}", err=True)


def _named_or_latest(settings: Settings, run_id: str) -> Run:
    """The run with this id; the latest run if ``run_id`` is empty.

    Raises:
        SettingsError: there is no such run.
    """
    runs = record.every(settings)
    if not run_id and runs:
        return runs[-1]
    run = next((r for r in runs if r.id == run_id), None)
    if run is None:
        raise SettingsError(
            f"{settings.name} has no run {run_id}".rstrip(),
            next=f"nexus-reimport record list {settings.name} lists the runs",
        )
    return run


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
        # A record must stay checkable while the database is down: this is a remark, not a problem.
        remarks.append("the seal could not be read from the database")
        return
    except ReimportError as error:
        remarks.append(error.what.splitlines()[0])
        return
    if not anchored:
        remarks.append("the database has no seal of this run: was it restored since?")
    elif anchored != run.seal_digest():
        problems.append("the database has a different seal for this run")


def _state(checked: Checked) -> str:
    return "as sealed" if checked.sealed else "open"


def _plain(checked: Checked) -> dict[str, object]:
    return {name: getattr(checked, name) for name in Checked.__slots__}
