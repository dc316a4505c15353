"""Planned rows that time has overtaken: their value was right as of the plan, and no longer is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from nexus_reimport import convert
from nexus_reimport.files import columns
from nexus_reimport.intake import Intake
from nexus_reimport.mapping import DefaultRule, Entity
from nexus_reimport.model import Outcome, Plan
from nexus_reimport.settings import EntityDecisions, Settings


@dataclass(frozen=True, slots=True)
class _Timed:
    """A column that holds ``to_come`` until the time in the column ``time`` is over."""

    column: str
    to_come: str
    time: str
    outcomes: frozenset[Outcome]  # of the rows in which a rule of the mapping decides that


def rows(plan: Plan, intake: Intake, settings: Settings, now: datetime) -> dict[str, int]:
    """Entity -> how many rows are planned as still to come, and are over by ``now``.

    An appointment of this morning, say, in a plan of yesterday. Planned now, they would get the
    value of what is over.
    """
    counts = {}
    for name in plan.entities:
        timed = _timed(intake.mapping.entities[name], settings.decisions_for(name))
        over = {
            key
            for one in timed
            for key, time in _to_come(plan, intake, name, one)
            if convert.is_over(time, now, settings.zone)
            and not convert.is_over(time, plan.as_of, settings.zone)
        }
        if over:
            counts[name] = len(over)
    return counts


def _timed(entity: Entity, decisions: EntityDecisions) -> Iterator[_Timed]:
    for column, rule in entity.new.items():
        if isinstance(rule, DefaultRule) and rule.rule == "completed_if_past":
            yield _Timed(column, rule.future, rule.column, frozenset({Outcome.NEW}))
    for override in entity.overrides:
        is_wanted = not override.asks or decisions.past_scheduled == override.becomes
        if override.past and is_wanted:
            brought = frozenset({Outcome.NEW, Outcome.REPLACED})
            yield _Timed(override.column, override.was, override.past, brought)


def _to_come(
    plan: Plan, intake: Intake, entity: str, timed: _Timed
) -> Iterator[tuple[str, str | None]]:
    """Key and time of the rows that are planned as still to come."""
    key, file = intake.survey.keys[entity], plan.entities[entity].file
    brought = columns.read(
        intake.folder, plan.ledger, ("nexus_id",), entity={entity}, outcome=timed.outcomes
    )
    planned = columns.read(intake.folder, file, (key, timed.column, timed.time))
    to_come = columns.where(planned, **{timed.column: {timed.to_come}})
    chosen = to_come.filter(columns.among(to_come[key], brought["nexus_id"]))
    return zip(columns.texts(chosen[key]), columns.values(chosen[timed.time]), strict=True)
