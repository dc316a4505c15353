"""What one server of the page keeps between requests: its environment, and what was read last."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from nexus_reimport import settings as environments
from nexus_reimport.model import NewerDecision
from nexus_reimport.page import commands, status, way_back, work
from nexus_reimport.page.commands import Command
from nexus_reimport.page.readings import Reading
from nexus_reimport.page.status import Status
from nexus_reimport.page.way_back import WayBack
from nexus_reimport.record import Run, lock
from nexus_reimport.record.sealed import register
from nexus_reimport.runbook import connections
from nexus_reimport.runbook.connections import Connections
from nexus_reimport.settings import Settings

TITLE = "Data management: reimport from FileMaker"
OLD = timedelta(minutes=5)  # what was tried before that is read again when somebody looks


@dataclass(frozen=True, slots=True)
class Head:
    """What stands at the top of each page: where we are, by word and colour, and who looks."""

    word: str  # DEV or PROD
    kind: str  # dev or prod: its colour
    environment: str
    database: str
    is_made_up: bool
    user: str

    @property
    def title(self) -> str:
        """The title of the browser's tab."""
        return f"{self.word} · {TITLE}"


class Desk:
    """One environment's page; its file is read anew for each request, as it may be edited."""

    def __init__(self, environment: str) -> None:
        self.environment = environment
        self.newer = NewerDecision.UNDECIDED
        self.status: Reading[Status] = Reading(lambda: status.read(self.settings))
        self.connections: Reading[Connections] = Reading(lambda: connections.read(self.settings))
        self.look: Reading[WayBack] = Reading(lambda: way_back.read(self.settings, self.newer))
        self._state = ""

    def forget_look(self) -> None:
        """What was looked at is void: a run has begun, or has ended."""
        self.newer = NewerDecision.UNDECIDED
        self.look = Reading(lambda: way_back.read(self.settings, self.newer))

    @property
    def settings(self) -> Settings:
        """The environment as its file is now.

        Raises:
            SettingsError: the file is not as it must be.
        """
        return environments.load(self.environment)

    def head(self, settings: Settings, user: str) -> Head:
        """The head of each page."""
        place = settings.postgres
        return Head(
            word=settings.kind.upper(),
            kind=settings.kind,
            environment=settings.name,
            database=f"{place.database} on {place.host}",
            is_made_up=settings.sandbox,
            user=user,
        )

    def is_busy(self, settings: Settings) -> bool:
        """Whether a command is at work, by whoever it was started."""
        return lock.is_taken(settings) or commands.at_work(settings) is not None

    def state(self, settings: Settings) -> str:
        """What stands now, as one text: when it is another one, the page is another one."""
        busy = self.is_busy(settings)
        started = commands.latest_of_each(settings)
        parts = [
            f"busy={busy}",
            f"run={_came_to(work.latest(settings), busy=busy)}",
            *(_of_command(one) for one in started),
            f"register={register.size(settings.records_folder)}",
        ]
        for reading in (self.status, self.connections, self.look):
            parts.append(f"{reading.ended} {reading.at} {reading.failing_since}")
        return "; ".join(parts)

    def begin_what_is_due(self, settings: Settings) -> None:
        """Read what nobody has read yet, what is old, and what a run may have changed."""
        busy = self.is_busy(settings)
        now = f"{busy} {_came_to(work.latest(settings), busy=busy)}"
        has_changed, self._state = now != self._state, now
        if has_changed and not self.look.is_at_work:
            self.forget_look()
        for reading in (self.status, self.connections):
            # Of the last try: one that failed is tried again too, and not with each look.
            # Far from now on either side: a clock that was set back would keep it for hours.
            old = reading.tried is not None and abs(datetime.now(UTC) - reading.tried) > OLD
            of_the_run = has_changed and (reading is self.status or not busy)
            if reading.is_new or old or of_the_run:
                reading.begin()


def _of_command(one: Command) -> str:
    return f"{one.log.stem} {one.is_at_work} {one.cancelled_by is None} {one.seen_by is None}"


def _came_to(run: Run | None, *, busy: bool) -> str:
    """What the last run has come to, as far as the page shows it.

    While a command is at work the verdict is what a kill would leave: another one in each stage.
    """
    if run is None:
        return ""
    return f"{run.id} {run.is_committed()}" if busy else f"{run.id} {run.verdict()} {run.is_sealed}"
