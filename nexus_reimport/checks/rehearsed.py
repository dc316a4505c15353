"""What must hold before a run is rehearsed: the rehearsal will prove the backup."""

from __future__ import annotations

from dataclasses import dataclass

from nexus_reimport.checks import Finding, check
from nexus_reimport.model import Level
from nexus_reimport.settings import EnvironmentKind, Settings


@dataclass(frozen=True, slots=True)
class Rehearsing:
    """Where the rehearsal can take place: ``why_inside`` is empty where a copy can be made."""

    settings: Settings
    why_inside: str


@check(Rehearsing, Level.STOP, serves=("P1", "M1", "S4", "S6"), links=True)
def the_backup_can_be_proven(rehearsing: Rehearsing) -> Finding:
    """Before anything is deleted, the backup is restored and compared, and the undo proven on it.

    Without that prod needs a waiver; dev goes on, and the page says that nothing was proven.
    """
    if not rehearsing.why_inside:
        return Finding(1)
    note = f"UNPROVEN: {rehearsing.why_inside}; the rehearsal runs inside the real transaction"
    is_prod = rehearsing.settings.kind is EnvironmentKind.PROD
    return Finding(1, ["the restored copy"] if is_prod else [], note=note)
