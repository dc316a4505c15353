"""How FileMaker writes OData: values, ``$metadata`` and errors.

Source: Claris FileMaker OData Guide, "Get metadata", "Request records from a table"; annotations
as a FileMaker server writes them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from xml.sax.saxutils import escape, quoteattr

from nexus_sandbox.filemaker import format as fmt
from nexus_sandbox.filemaker.file import Field, FileTable, Record
from nexus_sandbox.filemaker.message import Refusal, Reply

ENGINE = "OData Engine 20.3.2"
EDM_NAMESPACE = "http://docs.oasis-open.org/odata/ns/edm"
EDM = {
    "text": "Edm.String",
    "number": "Edm.Decimal",
    "date": "Edm.Date",
    "time": "Edm.TimeOfDay",
    "timestamp": "Edm.DateTimeOffset",
    "container": "Edm.Stream",
}
KEYS = ("id", "PrimaryKey")  # the first that a table has
# These declare no key in the real `$metadata`: only ROWID identifies a record.
KEYLESS = frozenset(
    {
        "API_event",
        "API_calendar",
        "API_event_calendar",
        "API_ContactToReferrer",
        "API_ReferrerToCompany_Join",
        "API_Messages",
        "API_Replies",
        "API_Templates",
    }
)
ERRORS = {
    -1002: "Error: syntax error in URL at: '{}'",
    -1020: "Table '{}' not defined in database",
    -1023: "Record not found",
    212: "(212): Invalid account/password",
    802: "(802): Unable to open file",
    1704: "Resource doesn't support the specified HTTP verb",
    8309: "There is a semantic error at: '{}'",
}

Write = Callable[[Record], object]


def key_of(table: FileTable) -> str:
    """The field that is declared as the key; ``""`` where none is, and only ROWID is one."""
    names = {field.name for field in table.fields}
    declared = [name for name in KEYS if name in names]
    return declared[0] if declared and table.name not in KEYLESS else ""


def writers(
    table: FileTable, names: Iterable[str], offset: str, *, exact: bool
) -> tuple[tuple[str, Write], ...]:
    """For every value of a record its name and how it is written, in the order of ``names``.

    Containers and summaries are left out. ``offset`` follows timestamps; with ``exact`` numbers
    are texts.
    """
    fields = {field.name: field for field in table.fields}
    system: dict[str, Write] = {
        "ROWID": lambda record: str(record.record_id),
        "ROWMODID": lambda record: str(record.mod_id),
    }
    chosen = tuple(names) or tuple(fields)
    shown = [n for n in chosen if n in system or not _is_left_out(fields[n])]
    return tuple(
        (name, system.get(name) or _writer(table, fields[name], offset, exact=exact))
        for name in shown
    )


def _is_left_out(field: Field) -> bool:
    return field.type == "container" or field.is_summary


def _writer(table: FileTable, field: Field, offset: str, *, exact: bool) -> Write:
    def one(value: object) -> object:
        return _value(value, field.type, offset, exact=exact)

    if field.is_global:
        values = (record.values.get(field.name, "") for record in table.records)
        shared = one(next((value for value in values if value != ""), ""))
        return lambda record: shared
    if field.repetitions > 1:
        return lambda record: [one(record.values.get(name, "")) for name in field.names]
    return lambda record: one(record.values.get(field.name, ""))


def _value(value: object, kind: str, offset: str, *, exact: bool) -> object:
    """A value as JSON has it: empty is null; of text in a number field, the digits."""
    if value == "":
        return None
    if kind == "timestamp":
        return f"{str(value).replace(' ', 'T')}{offset}"
    if kind == "number":
        return _number(value, exact=exact)
    return str(value)


def _number(value: object, *, exact: bool) -> object:
    number = fmt.number(value)
    if number is None or exact:
        return None if number is None else format(number, "f")
    return value if isinstance(value, int | float) else _plain(number)


def _plain(number: Decimal) -> int | float:
    return int(number) if number == number.to_integral_value() else float(number)


def metadata(database: str, tables: Iterable[FileTable]) -> bytes:
    """The document that describes every set. A type is called as its set, with an underscore."""
    namespace = f"com.filemaker.odata.{database}.fmp12"
    every = tuple(tables)
    lines = [
        '<?xml version="1.0" encoding="utf-8"?>',
        '<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx">',
        "<edmx:DataServices>",
        f'<Schema Namespace={quoteattr(namespace)} xmlns="{EDM_NAMESPACE}">',
        _annotation("ServerVersion", f'String="{ENGINE}"'),
        *(line for table in every for line in _entity_type(table)),
        f"<EntityContainer Name={quoteattr(database)}>",
        *(_entity_set(namespace, table) for table in every),
        "</EntityContainer>",
        "</Schema>",
        "</edmx:DataServices>",
        "</edmx:Edmx>",
    ]
    return "\n".join(lines).encode()


def _entity_type(table: FileTable) -> Iterator[str]:
    yield f"<EntityType Name={quoteattr(table.name + '_')}>"
    if key := key_of(table):
        yield f"<Key><PropertyRef Name={quoteattr(key)}/></Key>"
    for field in table.fields:
        yield from _property(field)
    yield _annotation("com.filemaker.odata.BestRowID", 'String="ROWID"')
    yield _annotation("com.filemaker.odata.RowVersion", 'String="ROWMODID"')
    yield "</EntityType>"


def _property(field: Field) -> Iterator[str]:
    edm = EDM[field.type]
    edm = f"Collection({edm})" if field.repetitions > 1 else edm
    is_stamp = field.auto_enter and field.type == "timestamp"
    default = ' DefaultValue="CURRENT_TIMESTAMP"' if is_stamp else ""
    yield f'<Property Name={quoteattr(field.name)} Type="{edm}"{default}>'
    present = {
        "AutoGenerated": field.auto_enter and not is_stamp,
        "VersionID": is_stamp and "modif" in field.name.lower(),
        "Global": field.is_global,
        "Calculation": field.is_calculation,
        "Summary": field.is_summary,
    }
    for term in (name for name, holds in present.items() if holds):
        yield _annotation(f"com.filemaker.odata.{term}", 'Bool="true"')
    if field.repetitions > 1:
        yield _annotation("com.filemaker.odata.MaxRepetitions", f'Int="{field.repetitions}"')
    if field.is_global or field.is_calculation or field.is_summary:
        yield (
            '<Annotation Term="Org.OData.Core.V1.Permissions">'
            "<EnumMember>Org.OData.Core.V1.Permission/Read</EnumMember></Annotation>"
        )
    yield "</Property>"


def _entity_set(namespace: str, table: FileTable) -> str:
    kind = quoteattr(f"{namespace}.{table.name}_")
    return f"<EntitySet Name={quoteattr(table.name)} EntityType={kind}/>"


def _annotation(term: str, value: str) -> str:
    return f'<Annotation Term="{term}" {value} />'


def refused(refusal: Refusal, *, as_json: bool) -> Reply:
    """An error in OData's form: JSON where it was asked for, else XML."""
    text = ERRORS.get(refusal.code, fmt.ERRORS.get(refusal.code, "Unexpected error"))
    text = text.format(refusal.about)
    headers = {"Content-Type": "application/json" if as_json else "application/xml"}
    if refusal.status == 401:
        headers["WWW-Authenticate"] = 'Basic realm="FileMaker"'
    if as_json:
        content = json.dumps({"error": {"code": str(refusal.code), "message": text}})
    else:
        content = (
            '<?xml version="1.0" encoding="UTF-8"?>'
            '<m:error xmlns:m="http://docs.oasis-open.org/odata/ns/metadata">'
            f"<m:code>{refusal.code}</m:code><m:message>{escape(text)}</m:message></m:error>"
        )
    return Reply(refusal.status, content.encode(), headers)
