"""What of the page changes while a command is at work: sent to the browser as it changes."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass

from jupyter_server.base.handlers import JupyterHandler
from tornado import iostream, web

from nexus_reimport import record
from nexus_reimport.page import work
from nexus_reimport.page.desk import Desk
from nexus_reimport.page.handlers import PATH, PageHandler
from nexus_reimport.page.log import Line
from nexus_reimport.page.work import Work
from nexus_reimport.settings import Settings

PAUSE = 1.0  # second between two looks at the journal
SHARE = 10  # a page that is open looks at most a tenth of the time: there may be years of runs
PARTS = ("work", "log")  # of the page, as their templates are called


@dataclass(frozen=True, slots=True)
class Live:
    """What changes while a command is at work; cheap, since it is asked for again and again."""

    settings: Settings  # as they were read for all of it
    state: str
    work: Work | None
    lines: list[Line]
    lines_of: str


@record.listed_once()
def gather(desk: Desk) -> Live:
    """The live parts of the page as they are now."""
    settings = desk.settings
    state = desk.state(settings)  # first: see ``front.gather``
    at_work = work.now(settings)
    of = at_work.run if at_work and at_work.run else work.latest(settings)
    return Live(settings, state, at_work, work.last_lines(of), of.id if of else "")


def pause_after(took: float) -> float:
    """Seconds until the next look, after one that took so many."""
    return max(PAUSE, took * (SHARE - 1))


class Events(PageHandler):
    """What changes, as it changes: server-sent events, fed by the run's journal.

    ``part`` brings a part of the page anew; ``state`` says that the page is another one now.
    """

    def on_connection_close(self) -> None:
        """The browser has gone."""
        self._gone = True

    @web.authenticated
    async def get(self) -> None:
        """Until the browser goes."""
        self._gone = False
        self.set_header("Content-Type", "text/event-stream")
        self.set_header("X-Accel-Buffering", "no")  # for a proxy: pass each on at once
        sent: dict[str, str] = {}
        while not self._gone:
            began = time.monotonic()
            try:
                await self._send_changes(sent)
            except iostream.StreamClosedError:
                return
            await asyncio.sleep(pause_after(time.monotonic() - began))

    async def head(self, *_: str) -> None:
        """What never ends has no length to tell."""
        raise web.HTTPError(405)

    async def _send_changes(self, sent: dict[str, str]) -> None:
        now = await asyncio.to_thread(self._parts)
        changed = {name: text for name, text in now.items() if sent.get(name) != text}
        for name, text in changed.items():
            event, data = (
                ("state", text) if name == "state" else ("part", {"id": name, "html": text})
            )
            self.write(f"event: {event}\ndata: {json.dumps(data)}\n\n")
        sent.update(changed)
        if not changed:
            self.write(": nothing new\n\n")  # so that a connection that is gone is noticed
        await self.flush()

    def _parts(self) -> dict[str, str]:
        it = gather(self.desk)
        parts = {name: self.page(f"{name}.html", it.settings, it=it) for name in PARTS}
        return {"state": it.state, **parts}


ROUTES: list[tuple[str, type[JupyterHandler]]] = [(PATH + "/events", Events)]
