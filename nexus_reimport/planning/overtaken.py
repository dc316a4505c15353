"""Planned rows that time has overtaken: their value was right as of the plan, and no longer is."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from nexus_reimport import convert
from nexus_reimport.files import columns
from nexus_reimport.intake import Intake
from nexus_reimport.mapping import DefaultRule, Entity
from nexus_reimport.model import Outcome, Plan
from nexus_reimport.settings import EntityDecisions, Settings

# In rows of these outcomes the value of a column depends on whether the time in another is over.
_Timed = tuple[frozenset[Outcome], str, str, str]


def rows(plan: Plan, intake: Intake, settings: Settings, now: datetime) -> dict[str, int]:
    """Entity -> how many rows are planned as still to come, and are over by ``now``.

    An appointment of this morning, say, in a plan of yesterday. Planned now, they would get the
    value of what is over.
    """
    counts = {}
    for name, entity in plan.entities.items():
        key, zone = intake.survey.keys[name], settings.zone
        keys = set[str]()
        for outcomes, column, value, time in _timed(
            intake.mapping.entities[name], settings.decisions_for(name)
        ):
            planned = columns.read(intake.folder, entity.file, (key, column, time))
            brought = columns.read(
                intake.folder, plan.ledger, ("nexus_id",), entity={name}, outcome=outcomes
            )
            to_come = columns.where(planned, **{column: {value}})
            chosen = to_come.filter(columns.among(to_come[key], brought["nexus_id"]))
            pairs = zip(columns.texts(chosen[key]), columns.values(chosen[time]), strict=True)
            keys.update(
                row
                for row, at in pairs
                if convert.is_over(at, now, zone) and not convert.is_over(at, plan.as_of, zone)
            )
        if keys:
            counts[name] = len(keys)
    return counts


def _timed(entity: Entity, decisions: EntityDecisions) -> Iterator[_Timed]:
    for column, rule in entity.new.items():
        if isinstance(rule, DefaultRule) and rule.rule == "completed_if_past":
            yield frozenset({Outcome.NEW}), column, rule.future, rule.column
    for override in entity.overrides:
        is_wanted = not override.asks or decisions.past_scheduled == override.becomes
        if override.past and is_wanted:
            outcomes = frozenset({Outcome.NEW, Outcome.REPLACED})
            yield outcomes, override.column, override.was, override.past
