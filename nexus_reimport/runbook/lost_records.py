"""Records that the database knows and that are not here: not mounted, elsewhere, or lost for good.

No run begins beside them. What would be written into an empty mount point is hidden as soon as the
records are back, and knows nothing of the runs before it; in another checkout's folder lies a run
that may be unverified.
"""

from __future__ import annotations

from contextlib import suppress

from nexus_reimport import record, wording
from nexus_reimport import settings as environments
from nexus_reimport.errors import StopError, TargetError
from nexus_reimport.events import Event
from nexus_reimport.record import anchor, statements
from nexus_reimport.record.sealed import register
from nexus_reimport.settings import Settings
from nexus_reimport.text import one_line


def advice(environment: str, place: str) -> str:
    """What to do where the record of the latest run that the database knows is not in ``place``."""
    return (
        f"bring back what was in {place} (mount, ls -l), also from a backup or the archive"
        f' (docs/records.md, "An archive"), or work from the checkout that has them, and begin no'
        f" run before; only if those"
        f' records are lost for good: nexus-reimport record lost {environment} --why "…"'
    )


def refuse(settings: Settings) -> None:
    """Stop where the record of the latest run that the database knows is not here.

    Raises:
        StopError: so it is. No run was begun, and nothing was written.
    """
    away: tuple[str, ...] = ()
    # Where it cannot be asked, the first step that needs it reports that.
    with suppress(TargetError, StopError):
        away = anchor.away(settings)
    if away:
        place = settings.records_folder
        raise StopError(
            f"of {wording.amount(len(away), 'run')} that the database knows, no record is here",
            where=f"environment {settings.name}, folder {place}; the last one is {away[0]}",
            state="no run was begun, and nothing was written",
            next=advice(settings.name, str(place)),
        )


def runs(environment: str) -> tuple[str, ...]:
    """The runs that the database knows and whose records are not here, if the latest is one.

    Raises:
        StopError: the latest is here, or it knows none, or the loss was acknowledged. Nothing was
            written.
    """
    settings = environments.load(environment)
    if away := anchor.away(settings):
        return away
    raise StopError(
        "no record is missing that a run would have to wait for",
        where=f"environment {environment}, folder {settings.records_folder}",
        next=f"nothing has to be acknowledged; see nexus-reimport record check {environment}",
    )


def acknowledge(environment: str, lost: tuple[str, ...], why: str) -> None:
    """Write into the register of the new folder that the records of these runs are lost for good.

    Raises:
        StopError: there is no reason, or these are not the runs that are missing any more.
        SettingsError: the reason identifies a patient. Nothing was written.
    """
    if not why.strip():
        raise StopError("a loss is acknowledged with a reason", next='add --why "…"')
    settings = environments.load(environment)
    statements.refuse_patient(settings, "the reason", "", why)
    with record.at_work(settings):
        if runs(environment) != lost:
            raise StopError(
                "these are not the runs any more whose records are missing",
                where=f"environment {environment}, folder {settings.records_folder}",
                next=f"somebody was faster, or some came back; look again:"
                f" nexus-reimport status {environment}",
            )
        register.note(
            settings.records_folder, Event.RECORDS_LOST, runs=list(lost), why=one_line(why)
        )
