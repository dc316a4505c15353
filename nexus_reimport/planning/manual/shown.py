"""The planned rows that a by-hand sheet shows: no others, and no column that it does not need."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from nexus_reimport.files.rowfile import Dict
from nexus_reimport.intake import Intake
from nexus_reimport.planning.manual.sheet import ByHandSheet

Read = Callable[[str, Sequence[str]], Iterator[Dict]]  # entity, columns -> its rows, by column


class ShownRows:
    """Rows by entity and id: those that were asked for, and those that they show values of."""

    def __init__(self, kinds: Iterable[ByHandSheet], intake: Intake, read: Read) -> None:
        self._mapping, self._keys, self._read = intake.mapping, intake.survey.keys, read
        self._columns: dict[str, set[str]] = defaultdict(set)
        self._through: dict[str, dict[str, str]] = defaultdict(dict)  # column -> entity
        self._found: dict[str, dict[str, Dict]] = defaultdict(dict)
        for kind in kinds:
            spec, bounded = kind.spec, kind.bounded
            self._columns[spec.entity].update(
                spec.columns, spec.where_any, filter(None, [spec.future]), bounded, bounded.values()
            )
            for place in spec.show:
                self._need(spec.entity, place)

    def _need(self, entity: str, place: str) -> None:
        column, _, further = place.partition(".")
        self._columns[entity].add(column)
        if further:
            target = self._mapping.entities[entity].columns[column].entity
            self._through[entity][column] = target
            self._need(target, further)

    def find(self, entity: str, key: str) -> Dict | None:
        """A row; None if there is none, or if it was not asked for."""
        return self._found[entity].get(key)

    def rows(self, entity: str) -> Iterator[tuple[str, Dict]]:
        """Every row of an entity, and its id; of these nothing is kept."""
        key = self._keys[entity]
        for row in self._read(entity, [key, *sorted(self._columns[entity])]):
            yield row[key] or "", row

    def keep(self, entity: str, key: str, row: Dict) -> None:
        """Keep a row to be found."""
        self._found[entity][key] = row

    def fetch(self, entity: str, keys: Iterable[str]) -> None:
        """Keep these rows to be found, and those that they show values of."""
        wanted = set(keys)
        for key, row in self.rows(entity) if wanted else ():
            if key in wanted:
                self.keep(entity, key, row)
        self.follow(entity)

    def follow(self, entity: str) -> None:
        """Keep the rows of other entities that the kept rows of ``entity`` show values of."""
        pending = {entity}
        while pending:
            wanted = self._pointed_at(pending)
            for target, keys in wanted.items():
                for key, row in self.rows(target):
                    if key in keys:
                        self.keep(target, key, row)
            pending = set(wanted)

    def _pointed_at(self, entities: Iterable[str]) -> Mapping[str, set[str]]:
        """Entity -> the ids that kept rows of ``entities`` name, and that are not kept yet."""
        wanted: dict[str, set[str]] = defaultdict(set)
        for entity in entities:
            for column, target in self._through[entity].items():
                named = {row.get(column) for row in self._found[entity].values()}
                wanted[target] |= {k for k in named if k and k not in self._found[target]}
        return {target: keys for target, keys in wanted.items() if keys}
