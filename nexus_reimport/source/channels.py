"""The channels of one environment, opened: which table of FileMaker is read by which."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Self

from nexus_reimport.mapping import Mapping
from nexus_reimport.settings import Channel, FileMaker
from nexus_reimport.source import Source
from nexus_reimport.source.data_api import DataApi
from nexus_reimport.source.exports import ExportedFiles
from nexus_reimport.source.http import Patience
from nexus_reimport.source.odata import OData


@dataclass(frozen=True, slots=True)
class Place:
    """Where one source of the mapping is read: the channel, and what that calls the table."""

    channel: Channel
    source: Source
    table: str


class Channels:
    """Every channel that an environment uses, each opened once. Closed at the end of ``with``.

    Raises:
        SettingsError: an address is not one that a password may be sent to.
    """

    def __init__(self, place: FileMaker, mapping: Mapping) -> None:
        self._place, self._mapping = place, mapping
        self._opened: dict[Channel, Source] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.ExitStack() as closing:
            for source in self._opened.values():
                closing.callback(source.close)

    @property
    def opened(self) -> dict[Channel, Source]:
        """The channels that were used so far."""
        return dict(self._opened)

    def of(self, source: str) -> Place:
        """Where ``source`` of the mapping is read."""
        channel = self._place.channel_of(source)
        if channel not in self._opened:
            self._opened[channel] = self._open(channel)
        table = self._place.tables.get(source) or self._mapping.sources[source].table_by(channel)
        return Place(channel, self._opened[channel], table)

    def _open(self, channel: Channel) -> Source:
        place = self._place
        if channel == "exports" and place.exports is not None:
            return ExportedFiles(place.exports, self._headers())
        if place.password is None:
            raise TypeError("settings let no server channel through without a password")
        client = OData if channel == "odata" else DataApi
        return client(
            place.url, place.database, place.user, place.password.get_secret_value(),
            patience=Patience(before_page=place.pause),
        )  # fmt: skip

    def _headers(self) -> dict[str, tuple[str, ...]]:
        """File -> its columns, where it has no line of headers."""
        own = {
            s.table_by("exports"): s.columns for s in self._mapping.sources.values() if s.columns
        }
        return own | (self._place.exports.columns if self._place.exports else {})
