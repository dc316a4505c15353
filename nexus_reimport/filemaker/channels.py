"""The channels of one environment, opened: which table of FileMaker is read by which."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Protocol, Self, TypeVar

from nexus_reimport.filemaker import Source
from nexus_reimport.filemaker.data_api import DataApi
from nexus_reimport.filemaker.exports import ExportedFiles, Known, key
from nexus_reimport.filemaker.http import RetryPolicy
from nexus_reimport.filemaker.odata import OData
from nexus_reimport.mapping import FieldMapping
from nexus_reimport.settings import Channel, FileMaker

T = TypeVar("T")


class Each(Protocol):
    """Does the same work for every name; gives the results by name."""

    def __call__(self, work: Callable[[str], T], names: Iterable[str], /) -> dict[str, T]: ...


@dataclass(frozen=True, slots=True)
class TableSource:
    """Where one source of the mapping is read: the channel, and the table's name there."""

    channel: Channel
    source: Source
    table: str


class Channels:
    """Every channel that an environment uses, each opened once. Closed at the end of ``with``.

    ``retries`` is for who cannot wait as long as a run does.

    Raises:
        SettingsError: a password must not be sent to this address.
    """

    def __init__(
        self, place: FileMaker, mapping: FieldMapping, retries: RetryPolicy | None = None
    ) -> None:
        self.place, self._mapping = place, mapping
        self._retries = retries or RetryPolicy(before_page=place.pause)
        self._opened: dict[Channel, Source] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # One that fails to close must not keep the others' sessions: FileMaker caps their number.
        with contextlib.ExitStack() as closing:
            for source in self._opened.values():
                closing.callback(source.close)

    @property
    def opened(self) -> dict[Channel, Source]:
        """The channels that were used so far."""
        return dict(self._opened)

    def of(self, source: str) -> TableSource:
        """Where ``source`` of the mapping is read."""
        channel = self.place.channel_of(source)
        if channel not in self._opened:
            self._opened[channel] = self._open(channel)
        return TableSource(channel, self._opened[channel], self._table(source, channel))

    @contextlib.contextmanager
    def each(self) -> Iterator[Each]:
        """A function that works on several sources at a time; the first error ends all of it."""
        with ThreadPoolExecutor(self.place.workers, thread_name_prefix="extract") as pool:

            def each(work: Callable[[str], T], names: Iterable[str]) -> dict[str, T]:
                futures = {name: pool.submit(work, name) for name in names}
                try:
                    wait(futures.values(), return_when=FIRST_EXCEPTION)
                    for future in futures.values():
                        if future.done():
                            future.result()  # raises the first error
                    return {name: future.result() for name, future in futures.items()}
                except BaseException:
                    # Tables that have not begun are left; those at work stop at their next page.
                    pool.shutdown(wait=False, cancel_futures=True)
                    raise

            yield each

    def require(self, sources: Iterable[str]) -> None:
        """Check that the files of those ``sources`` that are read from files exist.

        Raises:
            SourceError: the files that are missing, all at once. Nothing was read.
        """
        names = [name for name in sources if self.place.channel_of(name) == "exports"]
        tables = {name: self._table(name, "exports") for name in names}
        if tables and isinstance(files := self.of(names[0]).source, ExportedFiles):
            files.require(tables)

    def _table(self, source: str, channel: Channel) -> str:
        return self.place.tables.get(source) or self._mapping.sources[source].table_by(channel)

    def _open(self, channel: Channel) -> Source:
        place = self.place
        if channel == "exports" and place.exports is not None:
            return ExportedFiles(place.exports, self._known())
        return server(place, channel, self._retries)

    def _known(self) -> dict[str, Known]:
        """File -> what the mapping knows of its columns."""
        known = {}
        for name, spec in self._mapping.sources.items():
            table = self._table(name, "exports")
            # The mapping's columns are those of its own file; a different file may have headers.
            given = spec.columns if table == spec.table_by("exports") else ()
            wanted = (
                frozenset(key(name) for name in (field, *declared.also))
                for field, declared in spec.fields.items()
                if not declared.optional
            )
            known[table] = Known(given, tuple(wanted))
        return known


def server(place: FileMaker, channel: Channel, retries: RetryPolicy) -> Source:
    """FileMaker's server over the Data API or OData, whatever a mapping reads there."""
    if place.password is None:
        raise TypeError("settings let no server channel through without a password")
    client = OData if channel == "odata" else DataApi
    return client(
        place.url,
        place.database,
        place.user,
        place.password.get_secret_value(),
        verify=str(place.ca_file) if place.ca_file else True,
        retries=retries,
    )
