"""Values that do not fit their columns: what becomes of them, their sums, and how many may be."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

from nexus_reimport import parts
from nexus_reimport.mapping import Entity
from nexus_reimport.model import ColumnFit, Misfits

STAYS, EMPTY, DERIVED = "Nexus's value stays", "empty", "derived"
BESIDE = "the card has its other values"  # whichever side they are of
OTHER_PARTS = "the text has its other parts"
BLOCKED = "Nexus has a value of another kind where this key belongs"
Misfit = tuple[str, str, str, str]  # column, reason, FileMaker id, what became of it
SAMPLE = 5
# How many values of a column may be misfits if the mapping does not say: five, or 1% if that is
# more. 1% alone would allow less than one misfit in a column with few values. Links that may not
# stay empty have none.
FEW, BUDGET = 5, 0.01


def sums(misfits: Sequence[Misfit]) -> Iterator[Misfits]:
    """The sums by column and reason."""
    by_reason: dict[tuple[str, str], list[tuple[str, str]]] = defaultdict(list)
    for column, reason, filemaker_id, became in misfits:
        by_reason[column, reason].append((filemaker_id, became))
    for (column, reason), cases in sorted(by_reason.items()):
        counts = Counter(became for _, became in cases)
        sample = tuple(sorted({filemaker_id for filemaker_id, _ in cases})[:SAMPLE])
        stays = counts[STAYS] + counts[BESIDE] + counts[OTHER_PARTS]
        yield Misfits(column, reason, stays, counts[EMPTY], counts[DERIVED], sample)


def fits(spec: Entity, held: Mapping[str, int], misfits: Sequence[Misfit]) -> Iterator[ColumnFit]:
    """Of each column: how many values FileMaker holds, how many do not fit, and how many may."""
    counts = Counter(column for column, _, _, became in misfits if became != DERIVED)
    for name, column in spec.columns.items():
        holds, most = held.get(name, 0), column.misfits_at_most
        if most is None and column.must_find:
            most = 0
        usual = max(FEW, parts.budget(BUDGET, holds))
        budget = usual if most is None else parts.budget(most, holds)
        yield ColumnFit(name, holds, counts[name], budget, most == 1)
