"""The page without a server: its templates filled in, its commands started, a journal's lines."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from jinja2 import Environment, FileSystemLoader

from nexus_reimport.page import commands, front, words, work
from nexus_reimport.record.journal import Entry
from nexus_reimport.settings import Settings

START = datetime(2026, 11, 26, 10, 0, tzinfo=UTC)


def journal(*told: tuple[float, str, str, str]) -> list[Entry]:
    """Lines of a journal: seconds, event, stage, step or what."""
    return [
        Entry.of(
            {
                "at": (START + timedelta(seconds=seconds)).isoformat(),
                "event": event,
                **({"stage": stage} if stage else {}),
                **({"step": more} if event == "step" else {"what": more}),
            }
        )
        for seconds, event, stage, more in told
    ]


def rendered(name: str, **given: object) -> str:
    """The words of one of the page's templates, filled in."""
    loader = FileSystemLoader(Path(front.__file__).parent / "templates")
    templates = Environment(loader=loader, autoescape=True)
    templates.filters |= words.FILTERS
    return " ".join(re.sub("<[^>]+>", " ", templates.get_template(name).render(**given)).split())


def ended(settings: Settings, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while commands.at_work(settings):
        assert time.monotonic() < end
        time.sleep(0.05)


def refused(settings: Settings, action: str) -> commands.Command:
    """A command of that kind that has ended without a run."""
    started = commands.start(settings, action, ["record", "list", "nobody"], "Ada")
    ended(settings)
    return started


def failed_actions(settings: Settings) -> list[str]:
    return [failed.command.action for failed in work.failed_commands(settings)]
