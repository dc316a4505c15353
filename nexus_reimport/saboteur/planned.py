"""A plan that was wrong itself, and was done faithfully: rows and plan say the same.

Comparing rows with the plan finds nothing here. What does is asked of FileMaker's records, of the
rows before, and of the application's own questions.
"""

from __future__ import annotations

from functools import partial

from psycopg import sql

from nexus_reimport.saboteur.kinds import kind
from nexus_reimport.saboteur.scene import Field, Scene

SORT = "the plan and the rows alike"


def _clear(scene: Scene, entity: str, column: str) -> int:
    """One row that has a value in ``column`` has none, by the plan too."""
    table = scene.entity(entity)
    found = table.column(column)
    done = scene.change(Field(table, found), "NULL") if found else 0
    if done:
        scene.follows.add(entity)
    return done


@kind(SORT, only_links=False)
def a_patient_was_never_planned(scene: Scene) -> int:
    """A patient of FileMaker is neither planned nor there."""
    entity = scene.database.mapping.people()
    scene.follows.add(entity)
    return scene.delete(scene.people, scene.keys(scene.people)[-1:])


@kind(SORT, only_links=False)
def an_appointment_was_never_planned(scene: Scene) -> int:
    """An appointment of FileMaker is neither planned nor there."""
    entity = scene.database.mapping.application.calendar.entity
    scene.follows.add(entity)
    return scene.delete(scene.appointments, scene.keys(scene.appointments)[-1:])


@kind(SORT, only_links=False)
def a_note_was_never_planned(scene: Scene) -> int:
    """A note of FileMaker is neither planned nor there."""
    for entity in scene.database.mapping.entities:
        table = scene.entity(entity)
        if table in scene.others and scene.delete(table, scene.keys(table)[-1:]):
            scene.follows.add(entity)
            return 1
    return 0


@kind(SORT, only_links=False)
def a_patient_was_planned_without_a_clinic(scene: Scene) -> int:
    """A patient has no clinic, by the plan too."""
    mapping = scene.database.mapping
    return _clear(scene, mapping.people(), mapping.application.patient_clinic)


@kind(SORT, only_links=False)
def an_appointment_was_planned_without_a_clinic(scene: Scene) -> int:
    """An appointment has no clinic, by the plan too."""
    calendar = scene.database.mapping.application.calendar
    return _clear(scene, calendar.entity, calendar.clinic)


@kind(SORT, only_links=False)
def an_appointment_was_planned_without_a_clinician(scene: Scene) -> int:
    """An appointment has no clinician, by the plan too."""
    calendar = scene.database.mapping.application.calendar
    return _clear(scene, calendar.entity, calendar.clinician)


@kind(SORT, only_links=False)
def an_appointment_was_planned_without_a_type(scene: Scene) -> int:
    """An appointment has no type, by the plan too."""
    calendar = scene.database.mapping.application.calendar
    return _clear(scene, calendar.entity, calendar.type)


@kind(SORT, only_links=False)
def an_appointment_was_planned_without_an_end(scene: Scene) -> int:
    """An appointment has no end, by the plan too: the calendar's code fails on it."""
    calendar = scene.database.mapping.application.calendar
    return _clear(scene, calendar.entity, calendar.end)


@kind(SORT, only_links=False)
def a_patient_was_planned_without_a_name(scene: Scene) -> int:
    """A patient has no name, by the plan too."""
    mapping = scene.database.mapping
    scene.follows.add(mapping.people())
    query = sql.SQL("UPDATE {} SET {} WHERE {}::text = %s").format(
        scene.place(scene.people),
        sql.SQL(", ").join(
            sql.SQL("{} = ''").format(sql.Identifier(c)) for c in mapping.application.patient_name
        ),
        sql.Identifier(scene.people.primary_key[0]),
    )
    return scene.do(query, scene.keys(scene.people)[0])


@kind(SORT, only_links=False)
def a_carried_value_was_planned_away(scene: Scene) -> int:
    """A value that only Nexus knows is another one, by the plan too."""

    def attempt(entity: str) -> int:
        fed = scene.database.mapping.entities[entity].fed_columns()
        fields = scene.texts(scene.entity(entity))
        done = scene.change_first((f for f in fields if f.column.name not in fed), "{0} || '.'")
        if done:
            scene.follows.add(entity)
        return done

    return scene.first(partial(attempt, entity) for entity in scene.database.mapping.entities)


@kind(SORT)
def a_document_was_planned_under_another_patient(scene: Scene) -> int:
    """A document hangs on another patient than FileMaker names, by the plan too."""
    return _planned_elsewhere(scene, through=False)


@kind(SORT)
def an_image_was_planned_under_another_patient(scene: Scene) -> int:
    """An image hangs on another patient than FileMaker names, by the plan too."""
    return _planned_elsewhere(scene, through=True)


def _planned_elsewhere(scene: Scene, *, through: bool) -> int:
    for name, spec in scene.database.mapping.attachments.items():
        if bool(spec.through) != through:
            continue
        table = scene.database.catalog.tables[spec.link_table]
        column = table.column(spec.link.object)
        owner = scene.entity(spec.owner.entity)
        known = sql.SQL("{} IN (SELECT {} FROM {})").format(
            sql.Identifier(spec.link.object),
            sql.Identifier(owner.primary_key[0]),
            scene.place(owner),
        )
        done = scene.swap_where(Field(table, column), known) if column else 0
        if done:
            scene.links_follow.add(name)
        return done
    return 0
