"""The ledger: one line for every record of FileMaker and every row of Nexus, with its outcome.

A record is loaded into its own row, merged into another record's row (a contact detail), linked (a
document or an image of Nexus), looked up (clinics, calendars), or left out by a named rule with a
budget. A row of Nexus is replaced, kept or purged. Without a line for each record, "nothing was
lost" was once reported while 35% of the appointments had been skipped.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from nexus_reimport import parts
from nexus_reimport.files import rowfile
from nexus_reimport.ids import Id
from nexus_reimport.intake import IdPairs
from nexus_reimport.mapping import FieldMapping
from nexus_reimport.model import OF_NEXUS_ALONE, Account, Outcome

COLUMNS = ("source", "entity", "outcome", "why", "filemaker_id", "nexus_id")
RecordOutcome = tuple[str, Outcome, str, str | None]  # FileMaker id, outcome, rule, Nexus id


class Ledger:
    """Adds lines, and sums them up by source and purpose."""

    def __init__(self, mapping: FieldMapping, out: rowfile.Writer) -> None:
        self._mapping, self._out = mapping, out
        self._counts: dict[tuple[str, str], Counter[tuple[Outcome, str]]] = defaultdict(Counter)

    def add(
        self,
        source: str,
        entity: str,
        outcome: Outcome,
        why: str = "",
        filemaker_id: str = "",
        nexus_id: str | None = None,
    ) -> None:
        """Add a line. ``entity`` is an entity, an attachment, or "" for a record only looked up."""
        self._out.add((source, entity, outcome, why or None, filemaker_id or None, nexus_id))
        # The sums account for FileMaker's records: a row of Nexus alone is none of them.
        if outcome not in OF_NEXUS_ALONE:
            self._counts[source, entity][outcome, why] += 1

    def add_all(self, source: str, entity: str, outcomes: Iterable[RecordOutcome]) -> None:
        """Add a line for each record."""
        self.open(source, entity)
        for filemaker_id, outcome, why, nexus_id in outcomes:
            self.add(source, entity, outcome, why, filemaker_id, nexus_id)

    def open(self, source: str, entity: str) -> None:
        """Give a source its sums even if it has no record."""
        self._counts.setdefault((source, entity), Counter())

    def accounts(self) -> tuple[Account, ...]:
        """The sums, and the budgets of the rules, in the order in which sources were added."""
        return tuple(
            Account(
                source=source,
                entity=entity,
                records=counts.total(),
                loaded=_of(counts, Outcome.REPLACED, Outcome.NEW),
                merged=_of(counts, Outcome.MERGED),
                linked=_of(counts, Outcome.LINKED),
                looked_up=_of(counts, Outcome.LOOKED_UP),
                left_out=left_out,
                budgets={
                    r: parts.budget(self._part(source, entity, r), counts.total()) for r in left_out
                },
            )
            for (source, entity), counts in self._counts.items()
            for left_out in [
                {w: n for (o, w), n in sorted(counts.items()) if o is Outcome.LEFT_OUT}
            ]
        )

    def _part(self, source: str, entity: str, rule: str) -> float:
        """The part of the records that a rule may leave out."""
        spec = self._mapping.entities.get(entity)
        of_rules = {r.name: r.at_most for r in spec.left_out} if spec else {}
        of_source = {str(n): part for n, part in self._mapping.sources[source].at_most.items()}
        return of_rules.get(rule, of_source.get(rule, 0.0))


@contextmanager
def opened(
    mapping: FieldMapping, path: Path
) -> Iterator[tuple[Ledger, Callable[[], rowfile.RowFile]]]:
    """A new ledger at ``path``, and a function that gives its row file once it is closed."""
    with rowfile.writer(path, COLUMNS) as out:
        yield Ledger(mapping, out), out.done


def merged(
    records: Iterable[tuple[list[str], list[Id], list[bool]]], loaded: IdPairs
) -> Iterator[RecordOutcome]:
    """The outcomes of records that are merged into other records' rows.

    ``records`` are FileMaker ids, owners' ids, and whether no card uses any of their values.
    ``loaded`` are the owners that become rows.
    """
    for page, owners, nothing in records:
        for written, key, holds_nothing in zip(page, loaded.find(owners), nothing, strict=True):
            if key is None:
                yield written, Outcome.LEFT_OUT, "owner_not_loaded", None
            elif holds_nothing:
                yield written, Outcome.LEFT_OUT, "holds_nothing", None
            else:
                yield written, Outcome.MERGED, "", key


def _of(counts: Counter[tuple[Outcome, str]], *outcomes: Outcome) -> int:
    return sum(n for (outcome, _), n in counts.items() if outcome in outcomes)
