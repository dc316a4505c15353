"""A FileMaker server on loopback that speaks the Data API and OData over made-up tables.

In a test, in process:

    with Simulator(tables, password="…") as simulator:
        DataApi(simulator.url, "WalkClinic", "nexus_reader", "…")

Alone, for any other client:

    python -m nexus_sandbox.filemaker.simulator --folder F --port N --password-env NAME
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import signal
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

from nexus_reimport.errors import SandboxError
from nexus_reimport.interrupt import ends_with_us
from nexus_sandbox.filemaker.data_api import Api
from nexus_sandbox.filemaker.faults import Fault
from nexus_sandbox.filemaker.file import FileTable, load
from nexus_sandbox.filemaker.message import Delivery, Reply, Request
from nexus_sandbox.filemaker.odata import BASE, Manner, ODataApi, is_page
from nexus_sandbox.filemaker.sessions import Sessions
from nexus_sandbox.filemaker.tables import Tables

HOST = "127.0.0.1"
ACCOUNT = "nexus_reader"
DATABASE = "WalkClinic"
# Claris FileMaker Data API Guide: a session ends 15 minutes after its last call.
IDLE_SECONDS = 15 * 60


class Simulator:
    """The server. ``requests`` counts by (verb, path), tokens masked; add to ``faults`` freely.

    The tables of ``only_odata`` have no layout: the Data API does not know them. ``odata`` is the
    manner of its OData, ``latency_ms`` how long each answer takes, ``clock`` what the idle minutes
    of a session are counted by: all may be changed freely.
    """

    def __init__(
        self,
        tables: Iterable[FileTable],
        *,
        password: str,
        account: str = ACCOUNT,
        database: str = DATABASE,
        port: int = 0,
        only_odata: Collection[str] = (),
    ) -> None:
        self.requests: Counter[tuple[str, str]] = Counter()
        self.faults: list[Fault] = []
        self.latency_ms = 0.0
        self._port = port
        self._lock = threading.RLock()
        self.odata = Manner()
        self._sessions = Sessions(account, password, IDLE_SECONDS)
        self._shelf = Tables(tables, only_odata)
        self._api = Api(database, self._shelf, self._sessions)
        self._odata_api = ODataApi(database, self._shelf, self._sessions, self.odata)
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    def __repr__(self) -> str:
        return f"Simulator({self._api.database!r}, {len(self.tables)} tables)"

    def __enter__(self) -> Self:
        return self.start()

    def fork(self, processes: int) -> bool:
        """Become so many processes, which end with this one; whether this is the first of them.

        All answer on the port that was taken. What one of them has counted, or is told to change,
        the others do not know: for measurements alone. A single process answers one request at a
        time.
        """
        if processes > 1:
            self._sessions.share()
        tie = ends_with_us(signal.SIGTERM)
        for _ in range(processes - 1):
            if os.fork() == 0:
                if tie is not None:
                    tie()
                return False
        return True

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Where it listens."""
        if self._server is None:
            raise SandboxError("the FileMaker simulator is not running", next="start it")
        return f"http://{HOST}:{self._server.server_address[1]}"

    @property
    def tables(self) -> dict[str, FileTable]:
        """The tables by name. To change them while it runs use ``edit``."""
        return self._shelf.tables

    @property
    def only_odata(self) -> frozenset[str]:
        """The tables on which no layout stands. May be set while it runs."""
        return self._shelf.only_odata

    @only_odata.setter
    def only_odata(self, names: Iterable[str]) -> None:
        self._shelf.only_odata = frozenset(names)

    @property
    def knows_dateformats(self) -> bool:
        """Whether the Data API obeys ``dateformats``: before 19.6.1 it sends US dates always."""
        return self._api.knows_dateformats

    @knows_dateformats.setter
    def knows_dateformats(self, knows: bool) -> None:
        self._api.knows_dateformats = knows

    @property
    def clock(self) -> Callable[[], float]:
        """Seconds, by which a session's idle minutes are counted."""
        return self._sessions.clock

    @clock.setter
    def clock(self, clock: Callable[[], float]) -> None:
        self._sessions.clock = clock

    @property
    def open_sessions(self) -> int:
        """How many tokens are good now."""
        return len(self._sessions)

    @contextlib.contextmanager
    def edit(self) -> Iterator[dict[str, FileTable]]:
        """The tables, for changing: no request is answered meanwhile.

        Afterwards each record that was changed counts one change more.
        """
        with self._lock:
            records = [r for table in self._shelf.tables.values() for r in table.records]
            before = [(record, record.mod_id, dict(record.values)) for record in records]
            yield self._shelf.tables
            for record, changes, values in before:
                if record.mod_id == changes and record.values != values:
                    record.mod_id += 1
            self._shelf.forget()

    def expire_tokens(self) -> None:
        """End every session, as 15 idle minutes do."""
        with self._lock:
            self._sessions.expire()

    def listen(self) -> _Server:
        """Take the port, of 0 a free one. Nothing is answered yet: the process may still fork."""
        try:
            self._server = _Server(self, self._port)
        except OSError as error:
            raise SandboxError(
                f"the FileMaker simulator cannot listen: {error.strerror}",
                where=f"{HOST}:{self._port}",
                next="choose another port, or stop what listens there",
            ) from None
        return self._server

    def start(self) -> Self:
        """Answer, on the port that was taken, or on a new one."""
        server = self._server or self.listen()
        # The library looks for the end twice a second: too slow for many tests.
        self._thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop listening and end every connection."""
        if self._server is not None and self._thread is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server.end_connections()
            self._thread.join()
            self._server = self._thread = None

    def answer(self, request: Request) -> tuple[Reply, Delivery]:
        """The reply to ``request``, faults included, and how it is to be sent."""
        with self._lock:
            path = re.sub(r"(/sessions)/.+", r"\1/*", request.path)
            self.requests[request.verb, path] += 1
            faults = [fault for fault in self.faults if fault.strikes(request)]
            for fault in faults:
                if fault.before is not None:
                    fault.before(self)
            reply = self._reply(request, faults)
        for fault in faults:
            reply = fault.change(reply) if fault.change is not None else reply
        is_slow = path.endswith(("/records", "/_find")) or is_page(path)
        time.sleep(sum(fault.delay for fault in faults) + self.latency_ms / 1000 * is_slow)
        deliveries = (fault.delivery for fault in faults if fault.delivery != Delivery())
        return reply, next(deliveries, Delivery())

    def _reply(self, request: Request, faults: Iterable[Fault]) -> Reply:
        api = self._odata_api if request.path.startswith(BASE) else self._api
        for fault in faults:
            if fault.instead is not None:
                return fault.instead
            if fault.refusal is not None:
                return api.refused(request, fault.refusal)
        return api.answer(request)


class _Server(ThreadingHTTPServer):
    """A thread per connection; connections are known, so that ``stop`` can end them."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, simulator: Simulator, port: int) -> None:
        self.simulator = simulator
        self.connections: set[socket.socket] = set()
        super().__init__((HOST, port), _Handler)
        self.socket.setblocking(False)  # another process may be quicker to take a connection

    def end_connections(self) -> None:
        for connection in list(self.connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away is no event; anything else is, in the way of the library."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    """HTTP/1.1 with kept connections around ``Simulator.answer``."""

    protocol_version = "HTTP/1.1"
    server_version = "FileMakerSimulator"
    sys_version = ""
    disable_nagle_algorithm = True  # else 40 ms pass between header and body of each answer
    # Buffered, so that header and body leave together.
    wbufsize = -1
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.server.connections.add(self.connection)

    def finish(self) -> None:
        self.server.connections.discard(self.connection)
        super().finish()

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        request = Request.read(self.command, self.path, dict(self.headers), body)
        reply, delivery = self.server.simulator.answer(request)
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self._send(reply.body[: len(reply.body) // 2] if delivery.cut else reply.body, delivery)
        self.close_connection = self.close_connection or delivery.cut

    def _send(self, body: bytes, delivery: Delivery) -> None:
        size = -(-len(body) // delivery.pieces) or 1
        for begin in range(0, len(body), size):
            if begin:
                self.wfile.flush()
                time.sleep(delivery.pause)
            self.wfile.write(body[begin : begin + size])

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _serve  # noqa: N815 - the library's names

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: a path may hold a token."""


def main(arguments: list[str] | None = None) -> None:
    """Serve the tables of a folder until interrupted. Prints one line: its URL."""
    parser = argparse.ArgumentParser(description="A FileMaker over made-up tables.")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--latency-ms", type=float, default=0)
    parser.add_argument("--account", default=ACCOUNT)
    parser.add_argument("--database", default=DATABASE)
    parser.add_argument(
        "--only-odata",
        metavar="NAME",
        action="append",
        default=[],
        help="a table without a layout: the Data API does not know it",
    )
    parser.add_argument("--processes", type=int, default=1, help="that answer at the same time")
    parser.add_argument("--password-env", required=True, help="the variable with the password")
    chosen = parser.parse_args(arguments)
    password = os.environ.get(chosen.password_env, "")
    if not password:
        parser.error(f"the environment variable {chosen.password_env} is empty")
    simulator = Simulator(
        load(chosen.folder),
        password=password,
        account=chosen.account,
        database=chosen.database,
        port=chosen.port,
        only_odata=chosen.only_odata,
    )
    simulator.latency_ms = chosen.latency_ms
    simulator.listen()
    is_first = simulator.fork(chosen.processes)
    with simulator, contextlib.suppress(KeyboardInterrupt):
        if is_first:
            sys.stdout.write(f"{simulator.url}\n")
            sys.stdout.flush()
        threading.Event().wait()


if __name__ == "__main__":
    main()
