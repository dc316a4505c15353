"""What the application asks of the tables, asked in the same way: patient, calendar, search.

``ask`` looks at every row; ``shown`` gives what Nexus's own HTTP API gives, to be compared with it.
"""

from __future__ import annotations

import hashlib
import heapq
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from psycopg import sql

from nexus_reimport import strict_json
from nexus_reimport.mapping import Attachment
from nexus_reimport.nexus.connection.postgres import in_default, table_name
from nexus_reimport.nexus.connection.readings import Gone
from nexus_reimport.nexus.structure.database import Database

ACTIVE, ARCHIVED = "not archived", "archived"


@dataclass(frozen=True, slots=True)
class Answers:
    """What the application's own queries gave; keys of the rows that did not appear."""

    opened: int  # patients that open by their id
    not_opened: tuple[str, ...]
    shown: dict[str, int]  # attachments that the patients' pages show
    hidden: dict[str, int]  # attachments of patients that no page shows, since they are inactive
    calendar_events: int
    calendar_broken: tuple[str, ...]  # appointments on which the calendar's code fails
    found_by_name: int
    not_found: tuple[str, ...]
    sample: str  # one patient drawn at random: its FileMaker id, and what its page shows


@dataclass(frozen=True, slots=True)
class Asked:
    """The patients that are asked for one by one, and the clinics."""

    patients: tuple[str, ...]
    names: Mapping[str, str]  # of them, as the search gets them
    clinics: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Shown:
    """What screens show: ids, as text in lower case."""

    patients: Mapping[str, frozenset[str]]  # ``ACTIVE`` and ``ARCHIVED``
    by_clinic: Mapping[str, int]  # clinic -> patients that are not archived
    events: frozenset[tuple[str, str]]  # appointment, start in UTC
    by_name: frozenset[str]  # of the patients that are asked: those whom the search finds
    attachments: Mapping[str, Mapping[str, frozenset[str]]]  # patient -> kind -> ids


def ask(database: Database) -> Answers:
    """The application's own questions: patient, documents, images, calendar, search."""
    application = database.mapping.application
    people = database.mapping.entities[database.mapping.people()]
    table = database.place(people.table)
    key = database.catalog.tables[people.table].primary_key[0]
    ids = [str(row[0]) for row in database.connection.execute(_select(key, table))]
    shown: dict[str, dict[str, int]] = {
        name: _shown(database, spec) for name, spec in database.mapping.attachments.items()
    }
    hidden = {
        name: _shown(database, spec, hidden=True)
        for name, spec in database.mapping.attachments.items()
        if spec.active
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
        raise Gone("a patient that the list shows does not open")
    filemaker_id = _filemaker_id(row[0], people.filemaker_id) if row and column else ""
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
        shown=_sums(shown, live),
        hidden=_sums(hidden, live),
        calendar_events=calendar[0],
        calendar_broken=calendar[1],
        found_by_name=len(ids) - len(not_found),
        not_found=tuple(not_found),
        sample=f"drawn at random: {filemaker_id or 'made in Nexus'}, its page shows {pages}",
    )


def _select(key: str, table: sql.Composable) -> sql.Composed:
    return sql.SQL("SELECT {} FROM {} ORDER BY 1").format(sql.Identifier(key), table)


def _sums(counts: Mapping[str, Mapping[str, int]], live: set[str]) -> dict[str, int]:
    """How many of each kind belong to patients that exist."""
    return {
        name: sum(n for patient, n in by_patient.items() if patient in live)
        for name, by_patient in counts.items()
    }


def _shown(database: Database, spec: Attachment, *, hidden: bool = False) -> dict[str, int]:
    """Patient -> how many attachments its page shows, or does not, by the application's filter."""
    source, conditions = _on_pages(database, spec, hidden=hidden)
    query = sql.SQL("SELECT h.{}::text, count(*) FROM {} WHERE {} GROUP BY 1").format(
        sql.Identifier(spec.link.object), source, conditions
    )
    return dict(database.connection.execute(query).fetchall())


def _on_pages(
    database: Database, spec: Attachment, *, hidden: bool = False
) -> tuple[sql.Composable, sql.Composable]:
    """Where attachments lie, and which of them a patient's page shows, or hides as inactive."""
    link, schema = spec.link, database.schema
    source: sql.Composable = sql.SQL("{} AS h").format(table_name(schema, spec.table))
    if spec.through:
        # An image's link is held by its batch.
        source = sql.SQL("{} AS a JOIN {} AS h ON h.{} = a.{}").format(
            table_name(schema, spec.table),
            table_name(schema, spec.through.table),
            sql.Identifier(database.key(spec.through.table)),
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
    if spec.active:
        own = sql.Identifier("a" if spec.through else "h", spec.active)
        conditions.append(sql.SQL("{} IS NOT TRUE" if hidden else "{}").format(own))
    return source, sql.SQL(" AND ").join(conditions)


def _calendar(database: Database) -> tuple[int, tuple[str, ...]]:
    """How many events the calendar gives, and the appointments on which its code fails."""
    calendar = database.mapping.application.calendar
    entity = database.mapping.entities[calendar.entity]
    people = database.mapping.entities[database.mapping.people()].table
    key = database.catalog.tables[entity.table].primary_key[0]
    rows = database.connection.execute(
        sql.SQL(
            # The calendar's code fails on a patient's appointment without an end.
            "SELECT a.{key}::text, a.{patient} IS NOT NULL"
            " AND (a.{end} IS NULL OR p.{person} IS NULL)"
            " FROM {table} AS a LEFT JOIN {people} AS p ON p.{person} = a.{patient}"
            " ORDER BY a.{start}"
        ).format(
            key=sql.Identifier(key),
            start=sql.Identifier(calendar.start),
            end=sql.Identifier(calendar.end),
            patient=sql.Identifier(calendar.patient),
            person=sql.Identifier(database.catalog.tables[people].primary_key[0]),
            table=database.place(entity.table),
            people=database.place(people),
        )
    ).fetchall()
    return len(rows), tuple(key for key, is_broken in rows if is_broken)


def _not_found(database: Database, key: str) -> list[str]:
    """Patients that the search does not find by their own name.

    The application asks, for each word, whether it stands in one of the searched columns, case
    folded; whether a row is found depends on that row alone, so each is asked for itself. One that
    has nothing but blanks for a name has no word by which it could be found.
    """
    application = database.mapping.application
    people = database.mapping.entities[database.mapping.people()]
    full_name = sql.SQL(" || ' ' || ").join(
        sql.SQL("coalesce(p.{}, '')").format(sql.Identifier(c)) for c in application.patient_name
    )
    # A line end between the columns, so that no word is found across two of them.
    searched = sql.SQL(" || E'\\n' || ").join(
        sql.SQL("coalesce(p.{}, '')").format(sql.Identifier(c)) for c in application.search
    )
    query = sql.SQL(
        "SELECT p.{key}::text FROM {table} AS p WHERE EXISTS ("
        " SELECT FROM regexp_split_to_table({name}, '\\s+') AS word"
        # Django's `icontains` also compares both sides in upper case.
        " WHERE word <> '' AND strpos(upper({searched}), upper(word)) = 0)"
        " OR (({named}) AND {name} !~ '\\S')"
    ).format(
        named=sql.SQL(" OR ").join(
            sql.SQL("p.{} <> ''").format(sql.Identifier(c)) for c in application.patient_name
        ),
        key=sql.Identifier(key),
        table=table_name(database.mapping.schema_name, people.table),
        name=in_default(full_name),
        searched=in_default(searched),
    )
    return [row[0] for row in database.connection.execute(query)]


def _filemaker_id(text: str, place: str) -> str:
    """The FileMaker id that a row carries in a column, or under a key of a JSON column."""
    keys = place.split(".")[1:]
    value = strict_json.loads(text) if keys and text else text
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return str(value or "")


# ---------------------------------------------------------------- to be compared with the API


def choose(database: Database, seed: str, size: int) -> Asked:
    """Which patients are asked for: some with attachments of each kind, and some whoever they are.

    ``seed`` decides, so that nobody chooses them.
    """
    people = database.mapping.entities[database.mapping.people()]
    key, place = database.key(people.table), database.place(people.table)
    names = _names(database, key, place)
    chosen: set[str] = set()
    pages = [_shown(database, spec) for spec in database.mapping.attachments.values()]
    groups: list[Mapping[str, object]] = [*pages, names]
    for group in groups:
        chosen.update(drawn((k for k in group if k in names), seed, size))
    clinics: tuple[str, ...] = ()
    if column := database.mapping.application.patient_clinic:
        query = sql.SQL("SELECT DISTINCT {0}::text FROM {1} WHERE {0} IS NOT NULL ORDER BY 1")
        rows = database.connection.execute(query.format(sql.Identifier(column), place))
        clinics = tuple(clinic for (clinic,) in rows)
    return Asked(tuple(sorted(chosen)), {k: names[k] for k in chosen if names[k]}, clinics)


def shown(database: Database, asked: Asked) -> Shown:
    """What the screens show, by the application's own filters."""
    return Shown(
        patients=_patients(database),
        by_clinic=_by_clinic(database),
        events=_events(database),
        by_name=frozenset(asked.names) - frozenset(_not_found(database, _person_key(database))),
        attachments={
            key: {
                name: _attached(database, spec, key)
                for name, spec in database.mapping.attachments.items()
            }
            for key in asked.patients
        },
    )


def drawn(keys: Iterable[str], seed: str, size: int) -> list[str]:
    """``size`` of the keys, which ``seed`` decides: the same each time, and nobody chooses them."""

    def rank(key: str) -> str:
        return hashlib.sha256(f"{seed} {key}".encode()).hexdigest()

    return heapq.nsmallest(size, keys, key=rank)


def _person_key(database: Database) -> str:
    return database.key(database.mapping.entities[database.mapping.people()].table)


def _names(database: Database, key: str, place: sql.Composable) -> dict[str, str]:
    """Patient -> the words under which somebody would search."""
    words = sql.SQL(", ").join(map(sql.Identifier, database.mapping.application.patient_name))
    query = sql.SQL("SELECT {}::text, concat_ws(' ', {}) FROM {}").format(
        sql.Identifier(key), words, place
    )
    return {k: " ".join(name.split()) for k, name in database.connection.execute(query)}


def _patients(database: Database) -> dict[str, frozenset[str]]:
    column = database.mapping.application.archived
    archived = sql.Identifier(column) if column else sql.SQL("false")
    table = database.place(database.mapping.entities[database.mapping.people()].table)
    query = sql.SQL("SELECT {}::text, {} FROM {}").format(
        sql.Identifier(_person_key(database)), archived, table
    )
    patients: dict[str, set[str]] = {ACTIVE: set(), ARCHIVED: set()}
    for key, is_archived in database.connection.execute(query):
        patients[ARCHIVED if is_archived else ACTIVE].add(key)
    return {name: frozenset(keys) for name, keys in patients.items()}


def _by_clinic(database: Database) -> dict[str, int]:
    application = database.mapping.application
    if not application.patient_clinic:
        return {}
    active: sql.Composable = sql.SQL("true")
    if application.archived:
        active = sql.SQL("NOT {}").format(sql.Identifier(application.archived))
    query = sql.SQL(
        "SELECT {0}::text, count(*) FILTER (WHERE {1}) FROM {2} WHERE {0} IS NOT NULL GROUP BY 1"
    ).format(
        sql.Identifier(application.patient_clinic),
        active,
        database.place(database.mapping.entities[database.mapping.people()].table),
    )
    return dict(database.connection.execute(query).fetchall())


def _events(database: Database) -> frozenset[tuple[str, str]]:
    calendar = database.mapping.application.calendar
    table = database.mapping.entities[calendar.entity].table
    query = sql.SQL(
        # In UTC, to the microsecond: the API gives the clinic's own offset.
        "SELECT {}::text, to_char({} AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') FROM {}"
    ).format(
        sql.Identifier(database.key(table)), sql.Identifier(calendar.start), database.place(table)
    )
    return frozenset((key, start or "") for key, start in database.connection.execute(query))


def _attached(database: Database, spec: Attachment, patient: str) -> frozenset[str]:
    """The attachments that the page of one patient shows."""
    source, conditions = _on_pages(database, spec)
    own = sql.Identifier("a" if spec.through else "h", database.key(spec.table))
    query = sql.SQL("SELECT {}::text FROM {} WHERE {} AND h.{}::text = %s").format(
        own, source, conditions, sql.Identifier(spec.link.object)
    )
    return frozenset(key for (key,) in database.connection.execute(query, (patient,)))
