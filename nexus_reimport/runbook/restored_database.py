"""A restore of the database from a backup, acknowledged: who says so, when, why, for which runs."""

from __future__ import annotations

import secrets
from dataclasses import asdict
from datetime import UTC, datetime

from nexus_reimport import program, record
from nexus_reimport import settings as environments
from nexus_reimport.errors import StopError
from nexus_reimport.events import Event
from nexus_reimport.nexus import deployment, registry
from nexus_reimport.nexus.connection import standbys
from nexus_reimport.nexus.connection.postgres import connected
from nexus_reimport.nexus.registry import Restore, restores
from nexus_reimport.record import anchor, statements
from nexus_reimport.record.anchor import Forgotten
from nexus_reimport.record.sealed import check, register
from nexus_reimport.record.sealed.check import Checked
from nexus_reimport.settings import Settings
from nexus_reimport.text import one_line

_STATE = "register and database may say so already, or one of them: it counts where both do"


def advice(environment: str, forgotten: Forgotten) -> str:
    """What to do where the database does not know a run that was committed."""
    if forgotten.restore:
        return f"nexus-reimport run {environment}"
    return (
        "find out who restored the database, and why (or which database this is);"
        f" then: nexus-reimport record restored {environment} --why TEXT"
    )


def unknown_runs(environment: str) -> list[Checked]:
    """The sealed runs that were committed, and that the database does not know any more.

    Raises:
        StopError: it knows all of them, or the restore was acknowledged. Nothing was written.
    """
    settings = environments.load(environment)
    place = settings.records_folder
    checked, rows = anchor.with_rows(settings, lambda: check.of_folder(place, settings.name))
    known = {row.run for row in rows}
    covered = {pair for one in anchor.restores(settings)[0] for pair in one.runs}
    runs = [
        one
        for one in checked
        if one.kind == check.SEALED
        and one.was_committed
        and one.run not in known
        and (one.run, one.seal) not in covered
    ]
    if wrong := [one for one in runs if one.problems]:
        raise StopError(
            f"the record of run {wrong[0].run} is not as it was sealed: {wrong[0].problems[0]}",
            where=f"environment {environment}",
            next="a record that was changed is not acknowledged: find out who changed it",
        )
    if not runs:
        raise StopError(
            "the database knows every run whose record is here, or its restore is acknowledged",
            where=f"environment {environment}",
            next=f"nothing has to be acknowledged; see nexus-reimport record check {environment}",
        )
    return runs


def acknowledge(environment: str, runs: list[Checked], why: str) -> Restore:
    """Write it into the register beside the records, and into the database: only both count.

    Raises:
        StopError: there is no reason, or the database is not this environment's own, or these are
            not the runs any more that it does not know: somebody else has acknowledged it, say.
        SettingsError: the reason identifies a patient. Nothing was written.
    """
    if not why.strip():
        raise StopError("a restore is acknowledged with a reason", next='add --why "…"')
    settings = environments.load(environment)
    statements.refuse_patient(settings, "the reason", "", why)
    now, name = datetime.now(UTC), secrets.token_hex(8)
    covered = tuple((one.run, one.seal) for one in runs)
    restore = Restore(name, program.account(), one_line(why), now, covered)
    with record.at_work(settings), connected(settings.postgres, _STATE) as connection:
        here = deployment.read(connection)
        deployment.require(connection, settings.name)
        if {(one.run, one.seal) for one in unknown_runs(environment)} != set(covered):
            raise StopError(
                "these are not the runs any more that the database does not know",
                where=f"environment {environment}",
                next=f"somebody was faster; look again: nexus-reimport record check {environment}",
            )
        last = max(registry.runs(connection), key=lambda row: row.sequence, default=None)
        _note(settings, restore, asdict(here.identity), last.run if last else "")
        standbys.do_not_wait(connection)
        with connection.transaction():
            restores.write(connection, restore)
    return restore


def _note(settings: Settings, restore: Restore, database: dict[str, object], last: str) -> None:
    place = settings.records_folder
    facts = {"id": restore.id, "why": restore.why, "runs": [list(pair) for pair in restore.runs]}
    register.note(place, Event.RESTORED, **facts, database=database, last_known=last)
