"""What is to be put back, and the proof that it is back."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from nexus_reimport.mapping import FieldMapping
from nexus_reimport.nexus import changes
from nexus_reimport.nexus.changes import Since
from nexus_reimport.nexus.connection.postgres import table_name
from nexus_reimport.nexus.registry import UndoData, UndoPart, UndoTable
from nexus_reimport.nexus.structure.fingerprint import Fingerprint
from nexus_reimport.nexus.structure.references import Reference
from nexus_reimport.nexus.writing import differences, undo_data, versions
from nexus_reimport.nexus.writing.differences import Difference, Wanted
from nexus_reimport.nexus.writing.transaction import Transaction
from nexus_reimport.nexus.writing.versions import Written


@dataclass(frozen=True, slots=True)
class Findings:
    """What is to be done: found before the first lock, and again under the locks if need be."""

    newer: Since
    now: dict[str, Fingerprint]  # of each table of the undo data, as it is
    wanted: dict[str, Wanted]
    differing: dict[str, Difference]
    foretold: dict[UndoPart, Fingerprint]


class Finder:
    """Finds it, and proves it afterwards; made once for each rollback."""

    def __init__(
        self,
        transaction: Transaction,
        mapping: FieldMapping,
        undo: UndoData,
        known: tuple[Reference, ...],
        *,
        keep: bool,
    ) -> None:
        self._transaction, self._schema_name = transaction, mapping.schema_name
        self._undo, self._known, self._keep = undo, known, keep

    def find(self, same: Collection[UndoPart]) -> Findings:
        """What is to be done; the parts ``same`` are as they were hashed, others are read again."""
        newer = changes.find(self._transaction, self._undo, self._known, keep=self._keep, same=same)
        wanted = {part.table: self._wanted(part) for part in self._undo.tables}
        return Findings(
            newer,
            changes.fingerprints(self._transaction, self._undo),
            wanted,
            {part.table: self._differing(part, wanted[part.table]) for part in self._undo.tables},
            changes.foretell(self._transaction, self._undo, keep=self._keep),
        )

    def are_still(self, findings: Findings, same: Collection[UndoPart]) -> bool:
        """Whether what was found before the locks is so under them."""
        return (
            len(same) == len(self._undo.parts)
            # Where something is referenced, that may have ended: asked afresh, as it is rare.
            and not findings.newer.pointed_at
            and not changes.keep_newly_pointed_at(
                self._transaction, self._undo, self._known, keep=self._keep
            )
        )

    def proven(self, findings: Findings, same: Collection[UndoPart]) -> frozenset[UndoPart]:
        """The parts of which each row is as it was foretold, without hashing them again."""
        return frozenset(
            part
            for part in findings.foretold
            if part in same and self._is_back(part, findings.wanted)
        )

    def _is_back(self, part: UndoPart, wanted: Mapping[str, Wanted]) -> bool:
        """Whether each row is of the version that was hashed, or stored as before the run."""
        if isinstance(part, UndoTable):
            if wanted[part.table].whole:
                return False
            written = wanted[part.table].written
        else:
            back = changes.written_links(self._undo, part, keep=self._keep)
            written = Written(back, undo_data.hashed_columns(part))
        astray = versions.astray(self._transaction, part, written)
        return not astray.moved and not astray.unlike

    def misplaced(self, proven: Collection[UndoPart]) -> dict[str, int]:
        """Table -> rows that are not as they were; those of a ``proven`` part are not asked for."""
        return {
            part.table: 0 if part in proven else changes.misplaced(self._transaction, part)
            for part in self._undo.parts
        }

    def _wanted(self, part: UndoTable) -> Wanted:
        """The rows of a wiped table that are to be put back; only those not as they were."""
        return Wanted(
            name=part.after,
            table=part.table,
            key=part.key,
            columns=part.loads,
            place=changes.unlike(part, self._undo.before(part)),
            limits=differences.limits(self._transaction.connection, self._schema_name, part.table),
            whole=not changes.is_comparable(part),
        )

    def _differing(self, part: UndoTable, wanted: Wanted) -> Difference:
        changes.find_unlike(self._transaction, part)
        present = changes.unlike(part, table_name(self._schema_name, part.table))
        return differences.find(self._transaction, wanted, present)
