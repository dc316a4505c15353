"""``nexus-reimport doctor``: whether a run would find all that it needs, in seconds."""

from __future__ import annotations

from dataclasses import asdict

import typer

from nexus_reimport.cli.output import AsJson, Environment, give


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
