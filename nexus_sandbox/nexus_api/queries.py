"""What Nexus's screens ask of the database, each with the filter that the application has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
from psycopg import sql
from psycopg.rows import dict_row

Connection = psycopg.Connection[dict[str, Any]]
Query = Mapping[str, str]
Answer = dict[str, Any] | None  # None: there is no such thing
PAGE = 100
SYDNEY = ZoneInfo("Australia/Sydney")
_TRUE, _FALSE = ("true", "True", "1"), ("false", "False", "0")


def connect(dsn: str) -> Connection:
    """A connection whose rows are dictionaries."""
    return psycopg.connect(dsn, autocommit=True, row_factory=dict_row)


def patients(connection: Connection, query: Query) -> Answer:
    """GET /api/patients/: of one clinic, archived or not, each word of a search in one column."""
    conditions: list[sql.Composable] = [sql.SQL("true")]
    values: list[Any] = []
    if query.get("archived", "") in (*_TRUE, *_FALSE):
        conditions.append(sql.SQL("archived = %s"))
        values.append(query["archived"] in _TRUE)
    if "clinic" in query:
        conditions.append(sql.SQL("clinic_id::text = %s"))
        values.append(query["clinic"])
    for word in query.get("search", "").split():
        like = [sql.SQL("upper({}) LIKE upper(%s)").format(sql.Identifier(c)) for c in _SEARCHED]
        conditions.append(sql.SQL("({})").format(sql.SQL(" OR ").join(like)))
        values += [f"%{_escaped(word)}%"] * len(_SEARCHED)
    select = sql.SQL(
        "SELECT id, mrn, first_name, last_name, dob, clinic_id FROM public.patients WHERE {}"
        " ORDER BY created_at DESC, id"
    ).format(sql.SQL(" AND ").join(conditions))
    return _paged(connection, query, select, values)


def patient(connection: Connection, key: str) -> Answer:
    """GET /api/patients/{id}/."""
    row = connection.execute(
        "SELECT p.id, p.first_name, p.last_name, p.archived, c.id AS clinic_id, c.name AS clinic"
        " FROM public.patients p LEFT JOIN public.clinics c ON c.id = p.clinic_id"
        " WHERE p.id::text = %s",
        (key,),
    ).fetchone()
    if row is None:
        return None
    clinic = {"id": row.pop("clinic_id"), "name": row.pop("clinic")}
    full_name = f"{row['first_name']} {row['last_name']}".strip()
    return {**row, "full_name": full_name, "clinic": clinic if clinic["id"] else None}


def calendar(connection: Connection, _: Query) -> Answer:
    """GET /api/appointments/calendar_data/: every appointment, in no pages."""
    rows = connection.execute(
        "SELECT a.id, a.start_time, a.end_time, a.clinic_id, a.patient_id, p.first_name,"
        " p.last_name FROM public.appointments a LEFT JOIN public.patients p"
        " ON p.id = a.patient_id ORDER BY a.start_time, a.id"
    ).fetchall()
    events = [
        {
            "id": row["id"],
            "title": f"{row['first_name'] or ''} {row['last_name'] or ''}".strip(),
            "start": row["start_time"].astimezone(SYDNEY).isoformat(),
            "end": _end(row),
            "allDay": False,
            "extendedProps": {"clinic_id": row["clinic_id"], "patient_id": row["patient_id"]},
        }
        for row in rows
    ]
    clinics = connection.execute("SELECT id, name FROM public.clinics ORDER BY name").fetchall()
    return {"resources": clinics, "events": events}


def _end(row: dict[str, Any]) -> str | None:
    """The end of an event; Nexus's code fails on a patient's appointment that has none."""
    if row["patient_id"] is not None or row["end_time"] is not None:
        return str(row["end_time"].astimezone(SYDNEY).isoformat())
    return None


def documents(connection: Connection, query: Query) -> Answer:
    """GET /api/documents/?patient_id=: the active ones of a patient."""
    select = sql.SQL(
        "SELECT id, file_name, s3_key, uploaded_at FROM public.documents_document WHERE is_active"
        " AND {} AND object_id::text = %s ORDER BY uploaded_at DESC, id"
    ).format(_OF_PATIENTS)
    return _paged(connection, query, select, [query.get("patient_id", "")])


def batches(connection: Connection, query: Query) -> Answer:
    """GET /api/images/batches/?patient_id=: a patient's batches, with the number that is kept."""
    select = sql.SQL(
        "SELECT id, name, image_count, uploaded_at FROM public.images_batch WHERE {}"
        " AND object_id::text = %s ORDER BY uploaded_at DESC, id"
    ).format(_OF_PATIENTS)
    return _paged(connection, query, select, [query.get("patient_id", "")])


def batch(connection: Connection, key: str) -> Answer:
    """GET /api/images/batches/{id}/: one batch, with its images."""
    row = connection.execute(
        "SELECT id, name, image_count FROM public.images_batch WHERE id::text = %s", (key,)
    ).fetchone()
    if row is None:
        return None
    images = connection.execute(
        'SELECT id, s3_key FROM public.images_image WHERE batch_id::text = %s ORDER BY "order", id',
        (key,),
    ).fetchall()
    return {**row, "images": images}


LISTS: Mapping[str, Callable[[Connection, Query], Answer]] = {
    "/api/patients/": patients,
    "/api/appointments/calendar_data/": calendar,
    "/api/documents/": documents,
    "/api/images/batches/": batches,
}
ONE: Mapping[str, Callable[[Connection, str], Answer]] = {
    "/api/patients/": patient,
    "/api/images/batches/": batch,
}
ANONYMOUS = ("/api/documents/",)  # answers without a login, as Nexus's does
_SEARCHED = ("first_name", "last_name", "mrn", "health_number")
_OF_PATIENTS = sql.SQL(
    "content_type_id = (SELECT id FROM public.django_content_type WHERE app_label = 'patients'"
    " AND model = 'patient')"
)


def _paged(connection: Connection, query: Query, select: sql.Composed, values: list[Any]) -> Answer:
    """A page of a hundred, whatever is asked for; ``next`` is its number, the server makes it."""
    rows = connection.execute(select, values).fetchall()
    number = max(1, int(query.get("page", "1")))
    start = (number - 1) * PAGE
    return {
        "count": len(rows),
        "next": number + 1 if start + PAGE < len(rows) else None,
        "previous": number - 1 if number > 1 else None,
        "results": rows[start : start + PAGE],
    }


def _escaped(word: str) -> str:
    return word.replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_")
