"""``nexus-reimport adopt``: a person says whose database this is, once."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from nexus_reimport.cli.output import AsJson, Environment, give
from nexus_reimport.errors import SettingsError, StopError
from nexus_reimport.nexus.deployment import Deployment
from nexus_reimport.runbook import adoption
from nexus_reimport.runbook.adoption import Candidate

ThisIsACopy = Annotated[
    bool,
    typer.Option(
        "--this-is-a-copy", help="Its marker came along with a copy: overwrite the copied marker."
    ),
]
Yes = Annotated[bool, typer.Option("--yes", help="Ask nobody; needed where there is no terminal.")]


def adopt(
    environment: Environment,
    this_is_a_copy: ThisIsACopy = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Write into a database whose it is; nothing else runs before that."""
    seen = adoption.candidate(environment, this_is_a_copy=this_is_a_copy)
    if not seen.must_be_written:
        _give(seen, seen.database, as_json=as_json)
        return
    if not yes:
        _ask(seen)
    now = adoption.adopt(seen, this_is_a_copy=this_is_a_copy)
    _give(seen, now, as_json=as_json)


def _ask(seen: Candidate) -> None:
    """Let a person who has seen what the database is type the environment's name."""
    if not sys.stdin.isatty():
        raise SettingsError(
            f"nobody is there to say that this database is {seen.environment}",
            where=seen.database.place,
            next="run it on a terminal, or give --yes if you know",
        )
    typer.echo(_page(seen), err=True)
    words = f"If this is the database of {seen.environment}, type its name: "
    typer.echo(words, nl=False, err=True)  # stdout is for the answer alone
    typed = sys.stdin.readline().strip()
    if typed != seen.environment:
        raise StopError(
            f"what was typed is not {seen.environment}",
            where=seen.database.place,
            next="look at what is shown, and type the environment's name if it is the right one",
        )


def _page(seen: Candidate) -> str:
    found = seen.database
    lines = (
        ("environment", f"{seen.environment}, of kind {seen.kind}"),
        ("host", found.host),
        ("port", str(found.port)),
        ("database", f"{found.identity.database} (oid {found.identity.oid})"),
        ("PostgreSQL", found.version),
        ("size", f"{seen.bytes_stored / 1e6:,.1f} MB"),
        ("its marker", _says(found)),
    )
    return "\n".join(f"  {name:<13}{text}" for name, text in lines)


def _says(found: Deployment) -> str:
    marker = found.marker
    if marker is None:
        return "none: it has not been adopted"
    return f"{marker.environment}, written by {marker.adopted_by} on {marker.when}"


def _give(seen: Candidate, now: Deployment, *, as_json: bool) -> None:
    """The marker as it is now, and whether it was written just now."""
    marker = now.marker
    said = {
        "environment": seen.environment,
        "adopted": seen.must_be_written,
        "host": now.host,
        "port": now.port,
        "database": now.identity.database,
        "oid": now.identity.oid,
        "version": now.version,
        "bytes": seen.bytes_stored,
        "marker": marker.environment if marker else "",
        "adopted_at": marker.adopted_at.isoformat() if marker else "",
        "adopted_by": marker.adopted_by if marker else "",
    }
    verb = "is now" if seen.must_be_written else "was already"
    tail = "" if seen.must_be_written else "; nothing was written"
    text = f"{now.place} {verb} {seen.environment}: {_says(now)}{tail}"
    give(said, text, as_json=as_json)
