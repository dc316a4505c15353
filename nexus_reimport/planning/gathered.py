"""Records that are gathered into cards of other records: only their places are in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from nexus_reimport.files import columns
from nexus_reimport.files.spool import Spool
from nexus_reimport.ids import Id
from nexus_reimport.intake import Intake
from nexus_reimport.model import KEY

Detail = Mapping[str, str]  # of one record: field -> text


@dataclass(frozen=True, slots=True)
class Gathered:
    """The records of one source, by the FileMaker id of their owner."""

    _columns: tuple[str, ...]
    _spool: Spool[tuple[str, ...]]
    _by_owner: columns.Index

    @classmethod
    def read(cls, intake: Intake, source: str) -> Gathered:
        """All records of ``source``."""
        names = intake.snapshot.extracts[source].file.columns
        link = intake.mapping.sources[source].links[0].field
        spool: Spool[tuple[str, ...]] = Spool(intake.folder)
        for records in intake.pages(source):
            for values in records.rows(names):
                spool.add(values)
        return cls(names, spool, columns.Index(intake.ids_in(source, link)))

    def of(self, owners: Iterable[Id]) -> list[list[Detail]]:
        """The records of each owner, in the order of their own keys.

        The same records always give the same card, whatever the channel.
        """
        numbers = self._by_owner.rows([owner.compared for owner in owners])
        records = self._spool.several([number for several in numbers for number in several])
        return [
            sorted(
                (dict(zip(self._columns, next(records), strict=True)) for _ in several),
                key=lambda record: record[KEY],
            )
            for several in numbers
        ]
