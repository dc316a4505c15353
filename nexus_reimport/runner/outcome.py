"""What a command gives back for one environment."""

from __future__ import annotations

from dataclasses import dataclass

from nexus_reimport.record import Verdict


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result for one environment; ``run`` is empty if no run was started."""

    environment: str
    run: str
    verdict: Verdict | None
    exit_code: int
    sealed: bool
    record: str
    error: str
    advice: str
    summary: str
    window: str = ""  # what a person must do if the maintenance window is still up
    untold: str = ""  # what a person must do if the hook `told` failed
