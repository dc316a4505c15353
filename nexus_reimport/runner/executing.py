"""The pages of a run, each executed with what it must be given, and told as it goes."""

from __future__ import annotations

from nexus_reimport import record
from nexus_reimport import settings as environments
from nexus_reimport.record import Run, journal
from nexus_reimport.runner import notebook
from nexus_reimport.runner.notebook import EXECUTE, PREFLIGHT
from nexus_reimport.runner.watch import Say, watching
from nexus_reimport.stages.approval import Consent

_NONE = Consent()


def check(*pages: str) -> None:
    """Look whether each of these pages is there and takes what it will be given.

    Raises:
        SettingsError: one does not. Nothing was started.
    """
    for page in pages:
        notebook.check(page, _parameters(page))


def execute(run: Run, page: str, say: Say | None, consent: Consent = _NONE) -> None:
    """Execute a page of the run, whose stages are told as they begin and end."""
    if say:
        say(f"{run.environment}: {page}, run {run.id}")
    given = _parameters(page, run.environment, run.id, consent)
    with run.at_work(), watching(run, say, _earlier(run) if say else {}):
        notebook.execute(run, page, given)


def _parameters(
    page: str, environment: str = "", run_id: str = "", consent: Consent = _NONE
) -> notebook.Parameters:
    both: dict[str, str | bool] = {"environment": environment, "run_id": run_id}
    if page == PREFLIGHT:
        both |= {"links_only": False}  # the run is open already, and its record has the scope
    if page == EXECUTE:
        both |= {"approve": consent.typed, "approve_rehearsed": consent.rehearsed}
        both |= {"approved_by": consent.name, "reason": consent.reason}
    return both


def _earlier(run: Run) -> dict[str, float]:
    """Stage -> its seconds in the latest runs of the same kind that came to it."""
    spent: dict[str, float] = {}
    settings = environments.load(run.environment)
    for one in record.every(settings):
        if one.id != run.id and one.kind == run.kind:
            spent |= journal.seconds(one.events())
    if not settings.rehearsal.self_test:  # it is over at once, whatever it took before
        spent.pop("self_test", None)
    return spent
