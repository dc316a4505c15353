"""A repeated check beside a running block, in its own thread and over its own connection."""

from __future__ import annotations

import os
import socket
import threading
from contextlib import AbstractContextManager, suppress
from typing import Self

import psycopg

from nexus_reimport.nexus.connection.postgres import Connection, connected
from nexus_reimport.settings import Postgres

PAUSE = 0.2  # seconds between two checks
RETRY = 1.0  # seconds until we connect again after a lost connection
PATIENCE = 5.0  # seconds to wait at the end for a server that does not answer


class Watch:
    """Checks something while its block runs; thread and connection end with the block.

    A subclass implements ``watch``, which runs until ``done`` is set.
    """

    def __init__(self, target: Postgres, name: str) -> None:
        self.done = threading.Event()
        self._target = target
        self._connection: Connection | None = None
        self._thread = threading.Thread(target=self.watch, daemon=True, name=name)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.done.set()
        self._thread.join(PATIENCE)
        if self._thread.is_alive() and self._connection is not None:
            _hang_up(self._connection)  # the server does not answer: the thread's wait ends
        # One that still waits to be connected has nothing to hang up: it must not keep the run, and
        # ends when the server answers, or with the process.
        self._thread.join(PATIENCE)
        if self._thread.is_alive():
            self.left_behind()

    def watch(self) -> None:
        """Runs in the thread."""
        raise NotImplementedError

    def left_behind(self) -> None:
        """Called where the thread did not end in time, because the server does not answer."""

    def connection(self) -> AbstractContextManager[Connection]:
        """A connection that is closed at the end even if the server does not answer."""
        return connected(self._target, opened=self._opened)

    def _opened(self, connection: Connection) -> None:
        self._connection = connection


def _hang_up(connection: Connection) -> None:
    """End a connection that another thread waits for; that thread closes it.

    To close it here would free its number, which another socket gets: the thread would wait for
    that one, and for ever.
    """
    with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(connection.fileno())) as end:
        end.shutdown(socket.SHUT_RDWR)
