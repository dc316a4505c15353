"""dev and prod: the same rows, but dev is the older copy, with other content types and bucket."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

Row = dict[str, object]
Rows = tuple[tuple[str, ...], list[tuple[object, ...]]]

MODELS = (
    ("admin", "logentry"),
    ("auth", "permission"),
    ("auth", "group"),
    ("auth", "user"),
    ("contenttypes", "contenttype"),
    ("sessions", "session"),
    ("sites", "site"),
    ("account", "emailaddress"),
    ("clinicians", "clinic"),
    ("clinicians", "clinician"),
    ("companies", "company"),
    ("patients", "patient"),
    ("appointments", "appointment"),
    ("appointments", "appointmenttype"),
    ("appointments", "encounter"),
    ("notes", "note"),
    ("reminders", "reminder"),
    ("letters", "patientletter"),
    ("sms_integration", "smsmessage"),
    ("sms_integration", "smsinbound"),
    ("sms_integration", "smstemplate"),
    ("referrers", "referrer"),
    ("coordinators", "coordinator"),
    ("contacts", "generalcontact"),
    ("contacts", "contactrelationship"),
    ("documents", "document"),
    ("images", "imagebatch"),
    ("images", "image"),
    ("settings", "fundingsource"),
    ("invoices", "customfundingsource"),
    ("invoices", "emailtemplate"),
    ("xero_integration", "xeroinvoicelink"),
    ("gmail_integration", "sentemail"),
)


@dataclass(frozen=True, slots=True)
class Environment:
    """What differs between two installations of Nexus."""

    name: str
    bucket: str
    content_types: Mapping[tuple[str, str], int]
    is_older: bool


DEV = Environment("dev", "walk-nexus-dev", {m: 7 + n for n, m in enumerate(MODELS)}, is_older=True)
PROD = Environment(
    "prod",
    "walk-nexus-prod",
    {m: 2 + n for n, m in enumerate(reversed(MODELS))},
    is_older=False,
)
ENVIRONMENTS = {one.name: one for one in (DEV, PROD)}


@dataclass(frozen=True, slots=True)
class Varies:
    """A value that differs between the environments."""

    of: Callable[[Environment], object]


def content_type(app: str, model: str) -> Varies:
    """The id of a content type."""
    return Varies(lambda environment: environment.content_types[app, model])


def later(now: object, before: object) -> Varies:
    """A value that changed after dev was copied."""
    return Varies(lambda environment: before if environment.is_older else now)


def table(rows: Iterable[Row]) -> Rows:
    """Rows that have the same columns in the same order."""
    listed = list(rows)
    columns = tuple(listed[0])
    return columns, [tuple(row.values()) for row in listed]


def in_environment(
    tables: Mapping[str, Rows], environment: Environment, recent: Iterable[UUID]
) -> dict[str, Rows]:
    """The tables as one environment has them.

    In an older copy ``recent`` rows are missing, and with them every row that holds one's id.
    """
    missing = _Missing(recent if environment.is_older else ())
    kept: dict[str, Rows] = {}
    for name, (columns, rows) in tables.items():
        kept[name] = columns, [_settled(row, environment) for row in missing.without(rows)]
    return kept


def _settled(row: tuple[object, ...], environment: Environment) -> tuple[object, ...]:
    if not any(type(value) is Varies for value in row):
        return row
    return tuple(value.of(environment) if isinstance(value, Varies) else value for value in row)


class _Missing:
    """Ids of missing rows; rows that reference one of them are left out and added too."""

    def __init__(self, ids: Iterable[UUID]) -> None:
        self._ids: set[object] = set(ids)
        self._texts = {str(one) for one in self._ids}

    def without(self, rows: list[tuple[object, ...]]) -> list[tuple[object, ...]]:
        """The rows that stay."""
        if not self._ids:
            return rows
        kept: list[tuple[object, ...]] = []
        gone: set[object] = set()
        for row in rows:
            if self._names(row):
                gone.add(row[0])
            else:
                kept.append(row)
        if not gone:
            return kept
        self._ids |= gone
        self._texts |= {str(one) for one in gone}
        return self.without(kept)

    def _names(self, row: tuple[object, ...]) -> bool:
        for value in row:
            if isinstance(value, UUID):
                if value in self._ids:
                    return True
            elif isinstance(value, str) and len(value) == 36 and value.lower() in self._texts:
                return True
        return False
