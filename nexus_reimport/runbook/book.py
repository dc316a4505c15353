"""Opens a run: a new one, one that exists, or the one that is open."""

from __future__ import annotations

from nexus_reimport import mapping as mappings
from nexus_reimport import record
from nexus_reimport import settings as environments
from nexus_reimport.errors import NOT_BY_THIS_STEP
from nexus_reimport.model import Scope
from nexus_reimport.record import lab_pages
from nexus_reimport.runbook.execution import Execution
from nexus_reimport.runbook.opening import (
    Bar,
    clear_scratch,
    create,
    no_bar,
    require_own_database,
    require_ready,
)
from nexus_reimport.runbook.preflight import Preflight
from nexus_reimport.runbook.rehearsing import Rehearsing
from nexus_reimport.runbook.self_testing import SelfTesting
from nexus_reimport.runbook.steps import TASKS
from nexus_reimport.runbook.verification import Verification


class Runbook(Preflight, Rehearsing, SelfTesting, Execution, Verification):
    """One open run, with the steps of all its pages."""

    __slots__ = ()


def begin(
    environment: str = "", run_id: str = "", bar: Bar = no_bar, *, links_only: bool = False
) -> Runbook:
    """A new run, or the one that is named; the first call of 01_preflight.

    ``links_only`` begins a run that re-links documents and images and does nothing else.

    Raises:
        StopError: the database is not the one that this environment adopted, or rights are missing.
            No run was opened, and nothing was written.
    """
    settings = environments.load(environment)
    lab_pages.require_own(settings)
    mapping = mappings.load_for(settings, environments.folder())
    kind = Scope.RELINK if links_only else Scope.REIMPORT
    existing = record.find(settings, run_id) if run_id else None
    task = TASKS[existing.kind if existing else kind]
    require_ready(settings, mapping, task, fitting=existing is None)
    clear_scratch(settings)
    run = existing or create(settings, kind)
    lab_pages.opened(settings, run)
    return Runbook(settings, mapping, run, bar)


def resume(environment: str = "", run_id: str = "", bar: Bar = no_bar) -> Runbook:
    """The named run, or the environment's one open run; the first call of the later notebooks.

    Raises:
        StopError: the database is not the one that this environment adopted. Nothing was written by
            this step.
    """
    require_own_database(environments.load(environment), NOT_BY_THIS_STEP)
    book = reopen(environment, run_id, bar)
    lab_pages.opened(book.settings, book.run)
    return book


def reopen(environment: str = "", run_id: str = "", bar: Bar = no_bar) -> Runbook:
    """The same for programs, which show nothing in a page; settling and sealing ask the database.

    A program may run in a kernel too, as under a scheduler: no page is stepped through there.
    """
    settings = environments.load(environment)
    mapping = mappings.load(settings.mapping, environments.folder())
    run = record.find(settings, run_id)
    return Runbook(settings, mapping, run, bar)
