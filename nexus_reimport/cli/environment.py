"""``nexus-reimport adopt``, ``doctor``, ``status``, ``sign``: what an environment is, and needs."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from nexus_reimport.cli.output import AsJson, Environment, OneOrAll, give, say_left_out, write
from nexus_reimport.errors import SettingsError, StopError

if TYPE_CHECKING:
    from nexus_reimport.nexus.deployment import Deployment
    from nexus_reimport.runbook.adoption import Candidate
    from nexus_reimport.runbook.whereabouts import Whereabouts

ThisIsACopy = Annotated[
    bool,
    typer.Option(
        "--this-is-a-copy",
        help="The database is a copy of another one: overwrite the marker that was copied with it.",
    ),
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask; needed without a terminal.")]
Line = Annotated[str, typer.Argument(help="The line to sign: S1 to S7; without it, all are shown.")]
Who = Annotated[str, typer.Option(help="Your name, for the record.")]
Text = Annotated[str, typer.Option(help="What you vouch for, in your words, for the record.")]
Withdraw = Annotated[bool, typer.Option("--withdraw", help="Take the signature back.")]


def adopt(
    environment: Environment,
    this_is_a_copy: ThisIsACopy = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Record in a database which environment owns it; runs and rollbacks require this."""
    from nexus_reimport.runbook import adoption

    candidate = adoption.candidate(environment, this_is_a_copy=this_is_a_copy)
    if not candidate.must_be_written:
        _give_marker(candidate, candidate.database, as_json=as_json)
        return
    if not yes:
        _confirm(candidate)
    now = adoption.adopt(candidate, this_is_a_copy=this_is_a_copy)
    _give_marker(candidate, now, as_json=as_json)


def _confirm(candidate: Candidate) -> None:
    """Show the database to a person, who types the environment's name to confirm it.

    Raises:
        SettingsError: there is no terminal. Nothing was written.
        StopError: another text was typed. Nothing was written.
    """
    if not sys.stdin.isatty():
        raise SettingsError(
            f"a person must confirm that this is the database of {candidate.environment},"
            " and there is no terminal to ask on",
            where=candidate.database.place,
            next="run the command in a terminal, or add --yes if you are sure",
        )
    write(_shown(candidate), err=True)
    text = f"If this is the database of {candidate.environment}, type {candidate.environment}: "
    write(text, nl=False, err=True)  # stdout is only for the result
    typed = sys.stdin.readline().strip()
    if typed != candidate.environment:
        raise StopError(
            f"the text that was typed is not {candidate.environment}",
            where=candidate.database.place,
            next="check the database shown above; if it is the right one, run the command again"
            f" and type {candidate.environment}",
        )


def _shown(candidate: Candidate) -> str:
    database = candidate.database
    lines = (
        ("environment", f"{candidate.environment}, of kind {candidate.kind}"),
        ("host", database.host),
        ("port", str(database.port)),
        ("database", f"{database.identity.database} (oid {database.identity.oid})"),
        ("PostgreSQL", database.version),
        ("size", f"{candidate.bytes_stored / 1e6:,.1f} MB"),
        ("its marker", _marker_text(database)),
    )
    return "\n".join(f"  {name:<13}{text}" for name, text in lines)


def _marker_text(database: Deployment) -> str:
    marker = database.marker
    if marker is None:
        return "none: it has not been adopted"
    return f"{marker.environment}, written by {marker.adopted_by} on {marker.when}"


def _give_marker(candidate: Candidate, now: Deployment, *, as_json: bool) -> None:
    """Print the marker as it is now, and whether it was written just now."""
    marker = now.marker
    result = {
        "environment": candidate.environment,
        "adopted": candidate.must_be_written,
        "host": now.host,
        "port": now.port,
        "database": now.identity.database,
        "oid": now.identity.oid,
        "version": now.version,
        "bytes": candidate.bytes_stored,
        "marker": marker.environment if marker else "",
        "adopted_at": marker.adopted_at.isoformat() if marker else "",
        "adopted_by": marker.adopted_by if marker else "",
    }
    verb = "is now" if candidate.must_be_written else "was already"
    tail = "" if candidate.must_be_written else "; nothing was written"
    text = f"{now.place} {verb} {candidate.environment}: {_marker_text(now)}{tail}"
    give(result, text, as_json=as_json)


def doctor(environment: Environment, as_json: AsJson = False) -> None:
    """Examine machine, servers and rights: what is right, and how to fix the rest.

    Only metadata and counts are read, and nothing is written. Exit code 1: a run would stop.
    """
    from nexus_reimport import settings as environments
    from nexus_reimport import show
    from nexus_reimport.runbook import doctor as doctors

    examination = doctors.examine(environments.load(environment))
    value = {**asdict(examination), "sound": examination.is_sound}
    give(value, show.examination(examination), as_json=as_json)
    raise typer.Exit(0 if examination.is_sound else 1)


def status(environment: OneOrAll = "", as_json: AsJson = False) -> None:
    """Where each environment stands on its way, and the one thing to do next."""
    from nexus_reimport import settings as environments
    from nexus_reimport import show
    from nexus_reimport.runbook import whereabouts

    if environment:
        chosen = [environments.load(environment)]
    else:
        chosen = list(environments.every(say_left_out))
    places = [whereabouts.of(settings) for settings in chosen]
    text = "\n\n".join(show.whereabouts(one) for one in places)
    give({"environments": [_facts(one) for one in places]}, text or "none", as_json=as_json)


def _facts(value: Whereabouts) -> dict[str, object]:
    last = value.last
    return {
        "environment": value.environment,
        "adopted": not value.adopted,
        "last_run": last.id if last else "",
        "verdict": last.standing() if last else "",
        "unknown_to_database": value.apart.forgotten.run if value.apart.forgotten else "",
        "committed_without_record": [one.run for one in value.apart.without_commit],
        "undecided": [question.line for question in value.undecided],
        "dev_run": value.dev,
        "sign_off_open": [line.id for line in value.sheet.open],
        "window": value.window,
        "window_is_open": value.is_open,
        "refused": [refusal.what for refusal in value.refusals],
        "next": value.next,
    }


def sign(
    environment: Environment,
    line: Line = "",
    who: Who = "",
    text: Text = "",
    withdraw: Withdraw = False,
    as_json: AsJson = False,
) -> None:
    """Sign a line of the sign-off before production; without a line, show the sheet.

    A signature stands until a run that relied on it is committed, or until it is withdrawn.
    """
    from nexus_reimport import runner, show

    if not line and (who or text or withdraw):
        raise SettingsError(
            "no line was named, so nothing was signed",
            next=f"nexus-reimport sign {environment} shows the lines; name one, such as S5",
        )
    if not line:
        sheet = runner.sheet(environment)
    elif withdraw:
        sheet = runner.withdraw(environment, line, who, text)
    else:
        sheet = runner.sign(environment, line, who, text)
    value = {**asdict(sheet), "open": [one.id for one in sheet.open]}
    give(value, show.sheet_text(sheet, environment, runner.spent_by(environment)), as_json=as_json)
    raise typer.Exit(1 if sheet.asked and sheet.open and not line else 0)
