"""Records that are gathered into cards of other records: only their places are in memory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from nexus_reimport.files.spool import Spool
from nexus_reimport.ids import Id
from nexus_reimport.intake import Intake
from nexus_reimport.model import KEY

Fields = Mapping[str, str]  # of one record


@dataclass(frozen=True, slots=True)
class Gathered:
    """The records of one source, by the FileMaker id of their owner."""

    _columns: tuple[str, ...]
    _spool: Spool[tuple[str, ...]]
    _by_owner: Mapping[Id, list[int]]

    @classmethod
    def read(cls, intake: Intake, source: str) -> Gathered:
        """All records of ``source``."""
        columns = intake.snapshot.extracts[source].file.columns
        link = intake.mapping.sources[source].links[0].field
        spool: Spool[tuple[str, ...]] = Spool(intake.folder)
        by_owner: dict[Id, list[int]] = defaultdict(list)
        for record in intake.records(source):
            by_owner[record.id_in(link)].append(spool.add(tuple(record.values())))
        return cls(columns, spool, dict(by_owner))

    def of(self, owner: Id) -> list[Fields]:
        """The records of ``owner``, in the order of their own keys.

        The same records always give the same card, whatever the channel.
        """
        records = [
            dict(zip(self._columns, self._spool[number], strict=True))
            for number in self._by_owner.get(owner, ())
        ]
        return sorted(records, key=lambda record: record[KEY])
