"""S3 is listed while the database is read: by another thread, until somebody waits for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from threading import Thread

from nexus_reimport import progress
from nexus_reimport.model import Census

_PATIENCE = 10.0  # seconds for a page of S3


@contextmanager
def listing(list_them: Callable[[], Census]) -> Iterator[Listing]:
    """The objects of S3, listed beside other work; if that fails, the listing is given up."""
    objects = Listing(list_them)
    try:
        yield objects
    except BaseException:
        objects.give_up()
        raise


class GivenUp(Exception):
    """Nobody waits for the listing any more."""


class Listing:
    """A listing that another thread makes; who waits for it hears how far it is."""

    def __init__(self, list_them: Callable[[], Census]) -> None:
        self._heard: progress.Listener | None = progress.nobody
        self._listed: Future[Census] = Future()
        self._thread = Thread(target=self._work, args=(list_them,), name="list S3", daemon=True)
        self._thread.start()

    def _work(self, list_them: Callable[[], Census]) -> None:
        with progress.heard_by(self._tell):
            try:
                self._listed.set_result(list_them())
            except BaseException as error:
                self._listed.set_exception(error)

    def _tell(self, done: int, total: int, step: str) -> None:
        if self._heard is None:
            raise GivenUp
        self._heard(done, total, step)

    def result(self) -> Census:
        """What it has found; how far it is, is told from now on."""
        self._heard = progress.listener()
        return self._listed.result()

    def give_up(self) -> None:
        """End it at its next page: it must write nothing beside who begins again."""
        self._heard = None
        self._thread.join(_PATIENCE)
