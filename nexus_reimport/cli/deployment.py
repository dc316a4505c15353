"""``nexus-reimport adopt``: a person records, once, which environment owns a database."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from nexus_reimport.cli.output import AsJson, Environment, give, write
from nexus_reimport.errors import SettingsError, StopError

if TYPE_CHECKING:
    from nexus_reimport.nexus.deployment import Deployment
    from nexus_reimport.runbook.adoption import Candidate

ThisIsACopy = Annotated[
    bool,
    typer.Option(
        "--this-is-a-copy",
        help="The database is a copy of another one: overwrite the marker that was copied with it.",
    ),
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask; needed without a terminal.")]


def adopt(
    environment: Environment,
    this_is_a_copy: ThisIsACopy = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Record in a database which environment owns it; every other command requires this."""
    from nexus_reimport.runbook import adoption

    candidate = adoption.candidate(environment, this_is_a_copy=this_is_a_copy)
    if not candidate.must_be_written:
        _give(candidate, candidate.database, as_json=as_json)
        return
    if not yes:
        _confirm(candidate)
    now = adoption.adopt(candidate, this_is_a_copy=this_is_a_copy)
    _give(candidate, now, as_json=as_json)


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
    write(_page(candidate), err=True)
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


def _page(candidate: Candidate) -> str:
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


def _give(candidate: Candidate, now: Deployment, *, as_json: bool) -> None:
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
