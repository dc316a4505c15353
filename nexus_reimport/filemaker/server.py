"""What the Data API and OData have in common: one file on one server, its address, its errors."""

from __future__ import annotations

from typing import Self

from nexus_reimport.filemaker import Origin, Usage
from nexus_reimport.filemaker.answer import place
from nexus_reimport.filemaker.http import RetryPolicy, Wire


class Server:
    """One FileMaker file on one server; closed at the end of ``with``.

    Raises:
        SettingsError: the address is not one that a password may be sent to.
    """

    channel: str

    def __init__(
        self, url: str, database: str, *, verify: bool | str, retries: RetryPolicy | None
    ) -> None:
        self._wire = Wire(url, verify=verify, retries=retries or RetryPolicy())
        self._database = database

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._wire.origin!r}, {self._database!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection. A server that does not answer is no error here."""
        self._wire.close()

    def origin(self, table: str) -> Origin | None:
        """None: the records come from a server, not from a file."""
        return None

    def usage(self) -> Usage:
        """What was read so far, and at what cost."""
        return self._wire.meter.read()

    def _where(self, table: str = "") -> str:
        """The ``where`` of an error."""
        return place(self.channel, self._wire.server, self._database, table)
