"""A plan that was wrong itself, and was done faithfully: rows and plan say the same.

Comparing rows with the plan finds nothing here. What does is asked of FileMaker's records, of the
rows before, and of the application's own questions.
"""

from __future__ import annotations

from functools import partial

from psycopg import sql

from nexus_reimport.nexus.connection.postgres import names, none_of
from nexus_reimport.nexus.registry import UndoLinks
from nexus_reimport.nexus.structure.catalog import Table
from nexus_reimport.saboteur.kinds import kind
from nexus_reimport.saboteur.scene import EVERY, Field, Scene

SORT = "the plan and the rows alike"


def _never_had(scene: Scene, entity: str, column: str) -> int:
    """One row has no value in ``column``, by the plan and by what was there before the run too."""
    table = scene.entity(entity)
    if not table.column(column):
        return 0
    condition = sql.SQL("t.{} IS NOT NULL AND {}").format(
        sql.Identifier(column), _was_there(scene, table)
    )
    keys = scene.keys(table, condition)[:1]
    scene.follows.add(entity)
    scene.never_had[entity] = dict.fromkeys(keys, (column,))
    return sum(scene.set(table, key, column, None) for key in keys)


def _was_there(scene: Scene, table: Table) -> sql.Composed:
    """The condition that a row of ``table`` (called t) was there before the run."""
    part = next(p for p in scene.undo.tables if p.table == table.name)
    return sql.SQL("t.{key} IN (SELECT {key} FROM {})").format(
        scene.undo.before(part), key=sql.Identifier(part.key)
    )


def _clear(scene: Scene, entity: str, column: str, among: sql.Composable = EVERY) -> int:
    """One row ``among`` them that has a value in ``column`` has none, by the plan too."""
    table = scene.entity(entity)
    field = table.column(column)
    done = scene.change(Field(table, field), "NULL", among=among) if field else 0
    if done:
        scene.follows.add(entity)
    return done


def _never_planned(scene: Scene, entity: str) -> int:
    """Take a loaded row out of the plan and the table; one that nothing points at, if there is."""
    table = scene.entity(entity)
    scene.follows.add(entity)
    return scene.delete(
        table, (scene.alone(table) or scene.keys(table, scene.is_loaded(table)))[-1:]
    )


@kind(SORT, only_links=False)
def a_patient_was_never_planned(scene: Scene) -> int:
    """A patient of FileMaker is neither planned nor there."""
    return _never_planned(scene, scene.database.mapping.people())


@kind(SORT, only_links=False)
def an_appointment_was_never_planned(scene: Scene) -> int:
    """An appointment of FileMaker is neither planned nor there."""
    return _never_planned(scene, scene.database.mapping.application.calendar.entity)


@kind(SORT, only_links=False)
def a_patient_was_taken_for_one_of_nexus_alone(scene: Scene) -> int:
    """The ledger says of a patient's row that FileMaker has no record of it."""
    keys = scene.keys(scene.people, scene.is_loaded(scene.people))[:1]
    for key in keys:
        scene.forgotten[scene.database.mapping.people()] = key
    return len(keys)


@kind(SORT, only_links=False)
def a_patient_of_nexus_alone_was_never_planned(scene: Scene) -> int:
    """A patient that was kept, since FileMaker has none, is neither planned nor there."""
    is_kept = sql.SQL("NOT ({})").format(scene.is_loaded(scene.people))
    scene.follows.add(scene.database.mapping.people())
    return scene.delete(scene.people, scene.keys(scene.people, is_kept)[-1:])


def _another_entity(scene: Scene) -> str:
    """The entity of notes, messages or letters that has the fewest rows."""
    wanted = next((t for t in scene.by_size() if t in scene.others), None)
    names = scene.database.mapping.wiped_tables()
    return names[wanted.name] if wanted else ""


@kind(SORT, only_links=False)
def a_note_was_never_planned(scene: Scene) -> int:
    """A note of FileMaker is neither planned nor there."""
    entity = _another_entity(scene)
    return _never_planned(scene, entity) if entity else 0


@kind(SORT, only_links=False)
def a_note_was_planned_that_nobody_has(scene: Scene) -> int:
    """A note is there that neither FileMaker nor Nexus had, by the plan too."""
    entity = _another_entity(scene)
    if not entity:
        return 0
    scene.follows.add(entity)
    table = scene.entity(entity)
    return scene.double(table, scene.keys(table)[:1])


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
    """An appointment has no clinician, by the plan too, and had none before."""
    calendar = scene.database.mapping.application.calendar
    return _never_had(scene, calendar.entity, calendar.clinician)


@kind(SORT, only_links=False)
def an_appointment_was_planned_without_a_type(scene: Scene) -> int:
    """An appointment has no type, by the plan too, and had none before."""
    calendar = scene.database.mapping.application.calendar
    return _never_had(scene, calendar.entity, calendar.type)


@kind(SORT, only_links=False)
def an_appointment_was_planned_without_an_end(scene: Scene) -> int:
    """An appointment of a patient has no end, by the plan too: the calendar's code fails on it."""
    calendar = scene.database.mapping.application.calendar
    return _clear(scene, calendar.entity, calendar.end, scene.of_a_patient)


@kind(SORT, only_links=False)
def a_patient_was_planned_without_a_name(scene: Scene) -> int:
    """A patient has no name, by the plan too."""
    return _named(scene, "")


@kind(SORT, only_links=False)
def a_patient_was_planned_with_a_blank_for_a_name(scene: Scene) -> int:
    """A patient has nothing but a blank for a name, by the plan too."""
    return _named(scene, " ")


def _named(scene: Scene, name: str) -> int:
    mapping = scene.database.mapping
    scene.follows.add(mapping.people())
    key = scene.keys(scene.people)[0]
    columns = mapping.application.patient_name
    return max(scene.set(scene.people, key, column, name) for column in columns)


@kind(SORT, only_links=False)
def a_carried_value_was_planned_away(scene: Scene) -> int:
    """A value that only Nexus knows is another one, by the plan too."""

    def attempt(entity: str) -> int:
        fed = scene.database.mapping.entities[entity].fed_columns()
        table = scene.entity(entity)
        # Of a new row Nexus knew nothing.
        was_there = _was_there(scene, table)
        done = scene.first(
            partial(scene.change, f, "{0} || '.'", among=was_there)
            for f in scene.texts(table)
            if f.column.name not in fed
        )
        if done:
            scene.follows.add(entity)
        return done

    return scene.first_of(attempt, scene.database.mapping.entities)


@kind(SORT)
def a_document_was_planned_under_another_patient(scene: Scene) -> int:
    """A document hangs on another patient than FileMaker names, by the plan too."""
    return _planned_elsewhere(scene, through=False)


@kind(SORT)
def an_image_was_planned_under_another_patient(scene: Scene) -> int:
    """An image hangs on another patient than FileMaker names, by the plan too."""
    return _planned_elsewhere(scene, through=True)


def _planned_elsewhere(scene: Scene, *, through: bool) -> int:
    """Swap two links that the plan leaves alone, as if it had planned and done that."""
    for part in scene.undo.links:
        spec = scene.database.mapping.attachments[part.attachment]
        if bool(spec.through) != through:
            continue
        table = scene.database.catalog.tables[spec.link_table]
        owner = scene.entity(spec.owner.entity)
        chosen = _two_links(scene, part, owner)
        if len(chosen) < 2:
            continue
        (one, of_one, type_of_one), (other, of_other, type_of_other) = chosen
        columns = names((part.key, *part.columns))
        scene.do(
            sql.SQL("INSERT INTO {} SELECT {} FROM {} WHERE {}::text = ANY (%s)").format(
                scene.undo.before(part), columns, scene.place(table), sql.Identifier(part.key)
            ),
            [one, other],
        )
        scene.set(table, str(one), spec.link.object, of_other)
        scene.set(table, str(other), spec.link.object, of_one)
        scene.links_follow[part.attachment] = [
            (one, of_other, type_of_other),
            (other, of_one, type_of_one),
        ]
        return 2
    return 0


def _two_links(scene: Scene, part: UndoLinks, owner: Table) -> list[tuple[str | None, ...]]:
    """Key, owner and content type of two linking rows of two owners, which the run left alone."""
    mapping = scene.database.mapping
    spec = mapping.attachments[part.attachment]
    of_file = spec.through.column if spec.through else part.key
    query = sql.SQL(
        "SELECT DISTINCT ON (t.{object}) t.{key}::text, t.{object}::text, {type} FROM {table} AS t"
        " WHERE t.{object} IN (SELECT {person} FROM {people}) AND {of_type}"
        " AND {left_alone}"
        " AND t.{key} IN (SELECT m.{of_file} FROM {files} AS m WHERE m.{file_key}::text = ANY (%s))"
        " ORDER BY t.{object}, t.{key} LIMIT 2"
    ).format(
        object=sql.Identifier(spec.link.object),
        key=sql.Identifier(part.key),
        type=sql.SQL("t.{}::text").format(sql.Identifier(spec.link.content_type))
        if spec.link.content_type
        else sql.SQL("NULL"),
        of_type=sql.SQL("t.{} = {}").format(
            sql.Identifier(spec.link.content_type),
            sql.Literal(scene.content_type(spec.owner.entity)),
        )
        if spec.link.content_type
        else sql.SQL("true"),
        table=scene.place(part.table),
        person=sql.Identifier(owner.primary_key[0]),
        people=scene.place(owner),
        left_alone=none_of(
            sql.Identifier("t", part.key),
            sql.SQL("SELECT {} FROM {}").format(sql.Identifier(part.key), scene.undo.before(part)),
        ),
        of_file=sql.Identifier(of_file),
        files=scene.place(spec.table),
        file_key=sql.Identifier(scene.database.key(spec.table)),
    )
    # Of the others FileMaker does not name a patient: nobody could say that it is another one.
    rows = scene.rows(query, sorted(scene.placed.get(part.attachment, ())))
    return [tuple(None if v is None else str(v) for v in row) for row in rows]
