"""What was read last, when, or why it could not be: read beside the requests, never inside of one.

A server that does not answer keeps nobody from the rest of the page.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Generic, TypeVar

from nexus_reimport.errors import ReimportError, unforeseen

T = TypeVar("T")


class Reading(Generic[T]):
    """One thing that is read again and again, in a thread of its own, once at a time."""

    def __init__(self, read: Callable[[], T]) -> None:
        self._read = read
        self._task: asyncio.Task[None] | None = None
        self.value: T | None = None
        self.at: datetime | None = None  # of ``value``
        self.error: ReimportError | None = None  # why the last try gave none
        self.failing_since: datetime | None = None
        self.tried: datetime | None = None  # when the last try ended
        self.ended = 0  # how often it was tried, to the end

    @property
    def is_at_work(self) -> bool:
        """Whether it is being read just now."""
        return self._task is not None and not self._task.done()

    @property
    def is_new(self) -> bool:
        """Whether nothing was ever read, nor tried."""
        return self.value is None and self.error is None

    def begin(self) -> asyncio.Task[None]:
        """Read it now; while it is being read, that reading."""
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._again())
        return self._task

    async def soon(self, seconds: float) -> None:
        """Wait for the reading that is at work, for so long at most; it goes on."""
        if self._task is not None and not self._task.done():
            await asyncio.wait({self._task}, timeout=seconds)

    async def _again(self) -> None:
        try:
            value = await asyncio.to_thread(self._read)
        except ReimportError as error:
            self._failed(error)
        except Exception as error:
            self._failed(unforeseen(error))
        else:
            self.value, self.at = value, datetime.now(UTC)
            self.error = self.failing_since = None
        self.tried = datetime.now(UTC)
        self.ended += 1

    def _failed(self, error: ReimportError) -> None:
        self.error = error
        self.failing_since = self.failing_since or datetime.now(UTC)
