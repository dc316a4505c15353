"""Which words of people were found to identify nobody: they are not searched again.

To gather all that identifies a patient takes seconds for a whole clinic, and the same words are
asked for several times in a night. What was found is good for the same words of the same person,
beside the same data, by the same search with the same labels; it lies beside that data.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from contextlib import suppress

from nexus_reimport.files import private
from nexus_reimport.mapping import FieldMapping
from nexus_reimport.model import Snapshot, Survey
from nexus_reimport.record import values
from nexus_reimport.record.run import Run
from nexus_reimport.record.search import labels
from nexus_reimport.settings import Settings

FILE = "harmless.json"  # in the private folder of the run whose data was searched for
Words = tuple[str, str]  # who has written, and what


class Harmless:
    """The words that identified nobody in what one run has read."""

    def __init__(self, settings: Settings, mapping: FieldMapping | None, run: Run) -> None:
        self._path = run.private / FILE
        facts = hashlib.sha256(labels.of_package())
        # Those of the run only grow, and with more labels less is found.
        for text in labels.of_settings(settings, mapping):
            facts.update(f"{text}\0".encode("utf-8", "replace"))
        for kind in (Snapshot, Survey):
            path = run.folder / values.file_name(kind)
            facts.update(path.read_bytes() if path.is_file() else b"\0")
        self._facts, self._known = facts.digest(), self._read()

    def __contains__(self, words: Words) -> bool:
        return self._key(words) in self._known

    def add(self, several: Iterable[Words]) -> None:
        """Remember these words, too; where it cannot be written, they are searched again."""
        self._known.update(map(self._key, several))
        with suppress(OSError):
            private.replace(self._path, json.dumps(sorted(self._known)).encode())

    def _key(self, words: Words) -> str:
        return hashlib.sha256(self._facts + json.dumps(words).encode()).hexdigest()

    def _read(self) -> set[str]:
        try:
            return {str(key) for key in json.loads(self._path.read_bytes())}
        except (OSError, ValueError, TypeError):
            return set()
