"""What reading a source costs: bytes, requests, retries."""

from __future__ import annotations

import threading
from dataclasses import replace

from nexus_reimport.filemaker import Usage


class Meter:
    """Counts what reading a source costs; several threads may add."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._usage = Usage()

    def add(self, **more: int) -> None:
        """Add to the named counters of ``Usage``."""
        with self._lock:
            sums = {name: getattr(self._usage, name) + number for name, number in more.items()}
            self._usage = replace(self._usage, **sums)

    def read(self) -> Usage:
        """The counters as they are now."""
        with self._lock:
            return self._usage
