"""The addresses of runs: all of them, the page and the log of one, the files of its record."""

from __future__ import annotations

import asyncio
import json
import mimetypes
from pathlib import Path

from jupyter_server.base.handlers import JupyterHandler
from tornado import iostream, web

from nexus_reimport import record, show
from nexus_reimport.page import front, history, log, work
from nexus_reimport.page.handlers import PATH, Nothing, PageHandler
from nexus_reimport.record import Run
from nexus_reimport.record.run import gone
from nexus_reimport.runner import notebook

PAUSE = 1.0  # second between two looks at the journal
LIVE = ("work", "log")  # parts of the page that change while a command is at work
ARCHIVED = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:;"
    " form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
_TEXT = {".json", ".jsonl", ".csv", ".txt", ".md", ".sha256"}


class OneRun(PageHandler):
    """One run: what became of it, its whole log, its files."""

    @web.authenticated
    async def get(self, run_id: str) -> None:
        """The page of the run."""
        run = self.run_of(run_id)
        self.write(await asyncio.to_thread(self._page, run))

    def run_of(self, run_id: str) -> Run:
        """The run of that name."""
        run = history.find(self.desk.settings, run_id)
        if run is None:
            self._refuse_lost(run_id)
            raise web.HTTPError(404)
        return run

    def _refuse_lost(self, run_id: str) -> None:
        """Say of a run that the database knows, and whose record is not here, that it is so."""
        seen, settings = self.desk.status.value, self.desk.settings
        if seen and run_id in seen.apart.away:
            raise gone(settings.name, settings.records_folder / run_id)

    @record.listed_once()
    def _page(self, run: Run) -> str:
        settings = self.desk.settings
        undone = record.taken_back(record.every(settings))
        return self.page(
            "run.html",
            settings,
            past=history.past(run, undone),
            facts=show.facts(run),
            error=notebook.last_error(run),
            lines=log.lines(run.events()),
            files=history.files(run),
            changed=history.changed(run),
        )


class Runs(OneRun):
    """All runs, a table at a time."""

    @web.authenticated
    async def get(self) -> None:
        """The table from the ``newest`` run on that the address names, else of all."""
        newest = self.get_query_argument("newest", "")
        if newest:
            self.run_of(newest)
        self.write(await asyncio.to_thread(self._table, newest))

    def _table(self, newest: str) -> str:
        settings = self.desk.settings
        at_work = work.now(settings)
        table = history.of(settings, at_work.run if at_work else None, newest)
        return self.page("all_runs.html", settings, table=table, newest=newest)


class OneFile(OneRun):
    """One file of a run's record, as it lies there; an archived page can do nothing."""

    @property
    def content_security_policy(self) -> str:
        """The styles and pictures that stand in the page itself, and no script."""
        return ARCHIVED

    @web.authenticated
    async def get(self, run_id: str, name: str) -> None:
        """The file."""
        path = history.file(self.run_of(run_id), name)
        if path is None:
            raise web.HTTPError(404)
        self.set_header("Content-Type", _type(path))
        if path.suffix not in (".html", *_TEXT):
            self.set_header("Content-Disposition", f'attachment; filename="{path.name}"')
        self.write(await asyncio.to_thread(path.read_bytes))


def _type(path: Path) -> str:
    if path.suffix == ".html":
        return "text/html; charset=utf-8"
    if path.suffix in _TEXT:
        return "text/plain; charset=utf-8"
    return mimetypes.guess_type(path.name)[0] or "application/octet-stream"


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
            try:
                await self._send_changes(sent)
            except iostream.StreamClosedError:
                return
            await asyncio.sleep(PAUSE)

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
        it = front.live(self.desk)
        parts = {name: self.page(f"{name}.html", it.settings, it=it) for name in LIVE}
        return {"state": it.state, **parts}


ROUTES: list[tuple[str, type[JupyterHandler]]] = [
    (PATH + "/events", Events),
    (PATH + "/runs/?", Runs),
    (PATH + r"/runs/([^/]+)/?", OneRun),
    (PATH + r"/runs/([^/]+)/files/(.+)", OneFile),
    (PATH + "/(?!static/).*", Nothing),
]
