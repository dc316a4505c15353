"""What the by-hand sheet of a plan asks: which rows, and what is shown of each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from nexus_reimport.files import rowfile
from nexus_reimport.intake import Intake, id_pairs
from nexus_reimport.model import Plan
from nexus_reimport.planning import manual
from nexus_reimport.planning.manual.shown import ShownRows
from nexus_reimport.settings import Settings


def write(plan: Plan, intake: Intake, settings: Settings, path: Path) -> None:
    """Write the by-hand sheet: the workbook of values that only a person knows.

    It lists the rows that lack a value, and those that have one from the sheet before. What is over
    is asked for only if the environment wants it.
    """
    as_of, kinds = plan.as_of, manual.kinds(intake)
    rows = ShownRows(
        kinds,
        intake,
        lambda entity, columns: rowfile.read_columns(
            intake.folder, plan.entities[entity].file, columns
        ),
    )
    given: dict[tuple[str, str], set[str]] = defaultdict(set)
    for entity, key, column, why in rowfile.read(intake.folder, plan.overrides):
        if why == manual.BY_HAND:
            given[entity or "", key or ""].add(column or "")

    def listed(kind: manual.ByHandSheet) -> Iterator[manual.SheetRow]:
        """The rows that are asked about, as yet without what is shown of them."""
        entity = kind.spec.entity
        for key, row in rows.rows(entity):
            by_hand = given.get((entity, key), set()).intersection(kind.columns)
            is_over = manual.is_over(kind.spec, row, as_of, settings.zone)
            is_asked = settings.manual.past or not is_over
            if by_hand or (is_asked and manual.lacks(kind.spec, row)):
                rows.keep(entity, key, row)
                yield manual.SheetRow(key, (), row, frozenset(by_hand), is_over)

    asked = [(kind, list(listed(kind))) for kind in kinds]
    for kind in kinds:
        rows.follow(kind.spec.entity)
    shower = manual.Shower(intake, settings.zone, rows.find, _to_come(plan, intake, rows))

    def lines(kind: manual.ByHandSheet, those: list[manual.SheetRow]) -> Iterator[manual.SheetRow]:
        for one in those:
            line = shower.shown(kind, one.key, one.row, one.given)
            yield replace(line, is_over=one.is_over)

    manual.write(path, ((kind, lines(kind, those)) for kind, those in asked))


def _to_come(plan: Plan, intake: Intake, rows: ShownRows) -> dict[tuple[str, str], str]:
    """Entity and number of the listed rows that this plan has numbered -> their FileMaker ids."""
    firsts = {name: first for name, (first, _) in intake.survey.next_keys.items()}
    if not firsts:
        return {}
    return {
        (entity, key): record.compared
        for entity, record, key in id_pairs(rowfile.read(intake.folder, plan.id_map))
        if entity in firsts and key and int(key) >= firsts[entity] and rows.find(entity, key)
    }
