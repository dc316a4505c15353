"""Reads everything afresh after COMMIT, and asks what the application itself asks."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from psycopg import sql

from nexus_reimport import checks
from nexus_reimport.checks.after import After, Answers
from nexus_reimport.errors import StopError
from nexus_reimport.files.rowfile import RowFile
from nexus_reimport.intake import Intake, stored_id
from nexus_reimport.mapping import Attachment
from nexus_reimport.model import Census, Plan, Report, Scope
from nexus_reimport.nexus import links, schema, sequences, waiters
from nexus_reimport.nexus.database import Database
from nexus_reimport.nexus.postgres import Connection, copy_out, names, table_name
from nexus_reimport.nexus.tables import Role, fingerprints_now
from nexus_reimport.settings import Postgres, Settings

Progress = Callable[[int, int], None]
STEPS = 6


@dataclass(frozen=True, slots=True)
class Expected:
    """What a verification compares Nexus with: what was read and planned, and S3 before."""

    intake: Intake
    plan: Plan
    census: Census


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy that is verified in the database's place.

    It is read in ``transaction`` where one is open on it, which is left open. ``is_surveyed``: the
    survey is of the copy itself, so that owners, grants and policies are compared as well.
    """

    place: Postgres
    transaction: Connection | None = None
    is_surveyed: bool = False


def run(
    settings: Settings,
    expected: Expected,
    list_objects: Callable[[], Census],
    *,
    today: date,
    copy: Copy | None = None,
    progress: Progress | None = None,
) -> Report:
    """The report of every check after, on a fresh connection.

    On a ``copy`` of the database ``list_objects`` may give the census before: nothing that happens
    there can touch S3.

    Raises:
        TargetError, StorageError: something could not be read. The data is committed; run again.
    """
    after = gather(settings, expected, list_objects, copy=copy, progress=progress)
    only_links = expected.plan.scope is Scope.RELINK
    report = checks.run(after, settings.waivers, today=today, only_links=only_links)
    if progress:
        progress(STEPS, STEPS)
    return report


def gather(
    settings: Settings,
    expected: Expected,
    list_objects: Callable[[], Census],
    *,
    copy: Copy | None = None,
    progress: Progress | None = None,
) -> After:
    """What the checks after look at, read afresh."""
    intake, plan = expected.intake, expected.plan
    mapping, survey, folder = intake.mapping, intake.survey, intake.folder

    def step(done: int) -> None:
        if progress:
            progress(done, STEPS)

    with _opened(settings, copy) as connection:
        database = Database.read(connection, mapping)
        rows = {name: _rows(database, name, folder) for name in plan.entities}
        step(1)
        attached = {
            name: links.dump_attachment(database, spec, folder / f"after_{name}_attached.parquet")
            for name, spec in mapping.attachments.items()
        }
        states = links.attachment_states(database)
        step(2)
        prints = fingerprints_now(database, *Role)
        step(3)
        described = schema.describe(connection, mapping)
        answers = _ask(database)
        wiped = [mapping.entities[name].table for name in plan.entities]
        next_keys = tuple(
            sequences.read(connection, mapping.schema_name, sequence)
            for sequence in sequences.behind(connection, mapping.schema_name, wiped)
        )
        step(4)
    census_now = list_objects()
    step(5)
    return After(
        intake=intake,
        plan=plan,
        census=expected.census,
        now=rows,
        attachments=attached,
        states=states,
        fingerprints=prints,
        census_now=census_now,
        answers=answers,
        next_keys=next_keys,
        schema_changes=schema.differences(
            *(
                (schema.structure(survey.schema), schema.structure(described))
                if copy and not copy.is_surveyed
                else (survey.schema, described)
            )
        ),
    )


@contextmanager
def _opened(settings: Settings, copy: Copy | None) -> Iterator[Connection]:
    """A connection that sees one moment of the database, or of its copy."""
    if copy and copy.transaction:
        yield copy.transaction
        return
    place = copy.place if copy else settings.postgres
    with waiters.reading(place, "committed; nothing was written by this step") as connection:
        connection.execute("BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        yield connection
        connection.execute("ROLLBACK")


def _rows(database: Database, name: str, folder: Path) -> RowFile:
    table = database.catalog.tables[database.mapping.entities[name].table]
    query = sql.SQL("SELECT {} FROM {}").format(
        names(table.names()), table_name(database.mapping.schema_name, table.name)
    )
    return copy_out(database.connection, query, folder / f"after_{name}.parquet", table.names())


def _ask(database: Database) -> Answers:
    """The application's own questions: patient, documents, images, calendar, search."""
    application = database.mapping.application
    people = database.mapping.entities[database.mapping.people()]
    table = table_name(database.mapping.schema_name, people.table)
    key = database.catalog.tables[people.table].primary_key[0]
    ids = [str(row[0]) for row in database.connection.execute(_select(key, table))]
    shown: dict[str, dict[str, int]] = {
        name: _shown(database, spec) for name, spec in database.mapping.attachments.items()
    }
    live = set(ids)
    calendar = _calendar(database)
    not_found = _not_found(database, key)
    one = random.SystemRandom().choice(ids) if ids else ""
    column = people.filemaker_id.partition(".")[0]
    row = database.connection.execute(
        sql.SQL("SELECT {}::text, t::text FROM {} AS t WHERE {}::text = %s").format(
            sql.Identifier(column or key), table, sql.Identifier(key)
        ),
        (one,),
    ).fetchone()
    if one and row is None:
        raise StopError("a patient that the list shows does not open", state="committed")
    filemaker_id = stored_id({column: row[0]}, people.filemaker_id) if row and column else ""
    pages = ", ".join(f"{counts.get(one, 0)} {name}" for name, counts in shown.items())
    unnamed = [
        str(r[0])
        for r in database.connection.execute(
            sql.SQL("SELECT {} FROM {} WHERE {}").format(
                sql.Identifier(key),
                table,
                sql.SQL(" AND ").join(
                    sql.SQL("coalesce({}, '') = ''").format(sql.Identifier(c))
                    for c in application.patient_name
                ),
            )
        )
    ]
    return Answers(
        opened=len(ids) - len(unnamed),
        not_opened=tuple(unnamed),
        shown={
            name: sum(n for i, n in counts.items() if i in live) for name, counts in shown.items()
        },
        calendar_events=calendar[0],
        calendar_broken=calendar[1],
        found_by_name=len(ids) - len(not_found),
        not_found=tuple(not_found),
        sample=f"drawn at random: {filemaker_id or 'made in Nexus'}, its page shows {pages}",
    )


def _select(key: str, table: sql.Composable) -> sql.Composed:
    return sql.SQL("SELECT {} FROM {} ORDER BY 1").format(sql.Identifier(key), table)


def _shown(
    database: Database,
    spec: Attachment,
) -> dict[str, int]:
    """Patient -> how many attachments its page shows, by the application's filter."""
    link, schema = spec.link, database.mapping.schema_name
    source = sql.SQL("{} AS h").format(table_name(schema, spec.table))
    if spec.through:
        source = sql.SQL("{} AS a JOIN {} AS h ON h.{} = a.{}").format(
            table_name(schema, spec.table),
            table_name(schema, spec.through.table),
            sql.Identifier(database.catalog.tables[spec.through.table].primary_key[0]),
            sql.Identifier(spec.through.column),
        )
    conditions = [sql.SQL("h.{} IS NOT NULL").format(sql.Identifier(link.object))]
    if link.content_type:
        model = database.mapping.entities[spec.owner.entity].model
        conditions.append(
            sql.SQL("h.{} = {}").format(
                sql.Identifier(link.content_type), sql.Literal(database.content_types.get(model))
            )
        )
    query = sql.SQL("SELECT h.{}::text, count(*) FROM {} WHERE {} GROUP BY 1").format(
        sql.Identifier(link.object), source, sql.SQL(" AND ").join(conditions)
    )
    return dict(database.connection.execute(query).fetchall())


def _calendar(database: Database) -> tuple[int, tuple[str, ...]]:
    """How many events the calendar gives, and the appointments on which its code fails."""
    calendar = database.mapping.application.calendar
    entity = database.mapping.entities[calendar.entity]
    key = database.catalog.tables[entity.table].primary_key[0]
    rows = database.connection.execute(
        sql.SQL(
            "SELECT a.{key}::text, a.{patient} IS NOT NULL"
            " AND (a.{end} IS NULL OR p.{person} IS NULL)"
            " FROM {table} AS a LEFT JOIN {people} AS p ON p.{person} = a.{patient}"
            " ORDER BY a.{start}"
        ).format(
            key=sql.Identifier(key),
            start=sql.Identifier(calendar.start),
            end=sql.Identifier(calendar.end),
            patient=sql.Identifier(calendar.patient),
            person=sql.Identifier(
                database.catalog.tables[
                    database.mapping.entities[database.mapping.people()].table
                ].primary_key[0]
            ),
            table=table_name(database.mapping.schema_name, entity.table),
            people=table_name(
                database.mapping.schema_name,
                database.mapping.entities[database.mapping.people()].table,
            ),
        )
    ).fetchall()
    return len(rows), tuple(key for key, is_broken in rows if is_broken)


def _not_found(database: Database, key: str) -> list[str]:
    """Patients that the search does not find by their own name.

    The application asks, for each word, whether it stands in one of the searched columns, case
    folded; whether a row is found depends on that row alone, so each is asked for itself.
    """
    application = database.mapping.application
    people = database.mapping.entities[database.mapping.people()]
    full_name = sql.SQL(" || ' ' || ").join(
        sql.SQL("coalesce(p.{}, '')").format(sql.Identifier(c)) for c in application.patient_name
    )
    searched = sql.SQL(" || E'\\n' || ").join(
        sql.SQL("coalesce(p.{}, '')").format(sql.Identifier(c)) for c in application.search
    )
    query = sql.SQL(
        "SELECT p.{key}::text FROM {table} AS p WHERE EXISTS ("
        " SELECT FROM regexp_split_to_table({name}, '\\s+') AS word"
        " WHERE word <> '' AND strpos(upper({searched}), upper(word)) = 0)"
    ).format(
        key=sql.Identifier(key),
        table=table_name(database.mapping.schema_name, people.table),
        name=full_name,
        searched=searched,
    )
    return [row[0] for row in database.connection.execute(query)]
