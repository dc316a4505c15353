"""The addresses of runs: all of them, the page and the log of one, the files of its record."""

from __future__ import annotations

import asyncio
import mimetypes
import os
from pathlib import Path
from typing import BinaryIO

from jupyter_server.base.handlers import JupyterHandler
from tornado import web

from nexus_reimport import record, show
from nexus_reimport.page import history, log, work
from nexus_reimport.page.handlers import PATH, PageHandler
from nexus_reimport.record import Run
from nexus_reimport.record.anchor import Apart
from nexus_reimport.record.run import gone
from nexus_reimport.runner import notebook

ARCHIVED = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:;"
    " form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
_PIECE = 1 << 20  # bytes of a file that are in memory
_TEXT = {".json", ".jsonl", ".csv", ".txt", ".md", ".sha256"}


class OneRun(PageHandler):
    """One run: what became of it, its whole log, its files."""

    @web.authenticated
    async def get(self, run_id: str) -> None:
        """The page of the run."""
        self.write(await asyncio.to_thread(lambda: self._page(self.run_of(run_id))))

    def run_of(self, run_id: str) -> Run:
        """The run of that name."""
        run = history.find(self.desk.settings, run_id)
        if run is None:
            self._refuse_lost(run_id)
            raise web.HTTPError(404)
        return run

    @property
    def _apart(self) -> Apart | None:
        """What the database has said of its runs, if it was asked."""
        return self.desk.status.value.apart if self.desk.status.value else None

    def _refuse_lost(self, run_id: str) -> None:
        """Say of a run that the database knows, and whose record is not here, that it is so."""
        settings = self.desk.settings
        if self._apart and run_id in self._apart.away:
            raise gone(settings.name, settings.records_folder / run_id)

    @record.listed_once()
    def _page(self, run: Run) -> str:
        settings = self.desk.settings
        undone = history.taken_back(record.every(settings), self._apart)
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
        self.write(await asyncio.to_thread(self._table, newest))

    def _table(self, newest: str) -> str:
        settings = self.desk.settings
        if newest:
            self.run_of(newest)
        at_work = work.now(settings)
        table = history.of(settings, at_work.run if at_work else None, newest, self._apart)
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
        path = await asyncio.to_thread(lambda: history.file(self.run_of(run_id), name))
        if path is None:
            raise web.HTTPError(404)
        self.set_header("Content-Type", _type(path))
        if path.suffix not in (".html", *_TEXT):
            self.set_header("Content-Disposition", f'attachment; filename="{path.name}"')
        with path.open("rb") as file:  # a list of a large clinic's ids has hundreds of megabytes
            self.set_header("Content-Length", os.fstat(file.fileno()).st_size)
            while self.request.method != "HEAD" and (piece := await _piece_of(file)):
                self.write(piece)
                await self.flush()


async def _piece_of(file: BinaryIO) -> bytes:
    return await asyncio.to_thread(file.read, _PIECE)


def _type(path: Path) -> str:
    if path.suffix == ".html":
        return "text/html; charset=utf-8"
    if path.suffix in _TEXT:
        return "text/plain; charset=utf-8"
    return mimetypes.guess_type(path.name)[0] or "application/octet-stream"


ROUTES: list[tuple[str, type[JupyterHandler]]] = [
    (PATH + "/runs/?", Runs),
    (PATH + r"/runs/([^/]+)/?", OneRun),
    (PATH + r"/runs/([^/]+)/files/(.+)", OneFile),
]
