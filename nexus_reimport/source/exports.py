"""Files that somebody exported from FileMaker, as a ``Source``."""

from __future__ import annotations

from collections.abc import Mapping

from nexus_reimport.settings import Exports
from nexus_reimport.source.data_api import DataApi


class ExportedFiles(DataApi):
    """Stands here until the channel does."""

    def __init__(self, place: Exports, headers: Mapping[str, tuple[str, ...]]) -> None:
        raise NotImplementedError
