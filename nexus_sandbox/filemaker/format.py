"""How FileMaker writes values: records, field metadata and error texts of the Data API.

Source: Claris FileMaker Data API Guide, "Get a range of records", "Get layout metadata"; Claris
error codes.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation

from nexus_sandbox.filemaker.file import Field, FileTable, Record

US, LOCALE, ISO = "0", "1", "2"
"""The values of ``dateformats``. The made-up file has an Australian locale."""

ERRORS = {
    0: "OK",
    10: "Requested data is missing",
    101: "Record is missing",
    102: "Field is missing",
    104: "Script is missing",
    105: "Layout is missing",
    112: "Window is missing",
    200: "Record access is denied",
    201: "Field cannot be modified",
    212: "Invalid user account and/or password; please try again",
    214: "Too many login attempts, account locked out",
    400: "Find criteria are empty",
    401: "No records match the request",
    500: "Date value does not meet validation entry options",
    501: "Time value does not meet validation entry options",
    502: "Number value does not meet validation entry options",
    802: "Unable to open the file",
    812: "Exceed host's capacity",
    951: "Unexpected error occurred",
    952: "Invalid FileMaker Data API token (*)",
    953: "Data limit exceeded",
    956: "Maximum number of Data API sessions exceeded",
    958: "Parameter missing",
    959: "Web publishing is disabled",
    960: "Parameter is invalid",
    1630: "URL format is incorrect",
    1704: "Resource doesn't support the specified HTTP verb",
    1705: "Required HTTP header wasn't specified",
    1708: "Parameter value is invalid",
    1710: "JSON input isn't syntactically valid",
}

RESULT_OF_TYPE = {"timestamp": "timeStamp"}  # every other type is called the same in metadata

Write = Callable[[object], object]


def row(record: Record, writers: tuple[tuple[str, Write], ...]) -> dict[str, object]:
    """A record as one entry of ``data``. Ids are strings, there is no portal."""
    values = record.values
    return {
        "fieldData": {name: write(values.get(name, "")) for name, write in writers},
        "portalData": {},
        "recordId": str(record.record_id),
        "modId": str(record.mod_id),
        "portalDataInfo": [],
    }


def writers(table: FileTable, dateformats: str, origin: str) -> tuple[tuple[str, Write], ...]:
    """For every value of a record of the layout its name and how it is written.

    ``origin`` is where container URLs point.
    """
    return tuple(
        (name, _writer(field, dateformats, origin))
        for field in table.fields
        for name in field.shown
    )


def _writer(field: Field, dateformats: str, origin: str) -> Write:
    if field.type == "date":
        return lambda value: date_text(str(value), dateformats)
    if field.type == "timestamp":
        return lambda value: timestamp_text(str(value), dateformats)
    if field.type == "container":
        return lambda value: _container_url(str(value), origin)
    return lambda value: value


def date_text(value: str, dateformats: str) -> str:
    """``2025-11-09`` as the server writes it: ``11/09/2025`` unless ISO was asked for."""
    if dateformats == ISO or not re.fullmatch(r"\d{4}-\d{2}-\d{2}", value):
        return value
    year, month, day = value.split("-")
    return f"{day}/{month}/{year}" if dateformats == LOCALE else f"{month}/{day}/{year}"


def timestamp_text(value: str, dateformats: str) -> str:
    """A wall clock without a zone. With ISO there is a ``T``, although writes want a blank."""
    if not value:
        return value
    date, _, time = value.partition(" ")
    between = "T" if dateformats == ISO else " "
    return f"{date_text(date, dateformats)}{between}{time}"


def date_value(text: str, dateformats: str) -> str:
    """A date of a find request, in the stored form; ``""`` where it is none."""
    pattern = r"(\d{4})-(\d\d?)-(\d\d?)" if dateformats == ISO else r"(\d\d?)/(\d\d?)/(\d{4})"
    match = re.fullmatch(pattern, text.strip())
    if match is None:
        return ""
    first, second, third = (int(part) for part in match.groups())
    year, month, day = {
        US: (third, first, second),
        LOCALE: (third, second, first),
        ISO: (first, second, third),
    }[dateformats]
    return f"{year:04}-{month:02}-{day:02}" if month in range(1, 13) and day in range(1, 32) else ""


def number(value: object) -> Decimal | None:
    """The number in a number field: of text that is none, FileMaker takes the digits in it."""
    text = str(value)
    try:
        decimal = Decimal(text)
    except InvalidOperation:
        digits = "".join(re.findall(r"[\d.]+", text))
        decimal = Decimal(digits) if re.fullmatch(r"\d+\.?\d*|\.\d+", digits) else Decimal("NaN")
    return decimal if decimal.is_finite() else None


def seconds(value: object) -> int | None:
    """A time as a duration; 24:00:00 and more are allowed."""
    match = re.fullmatch(r"(-?\d+):(\d\d)(?::(\d\d))?(?:\.\d+)?", str(value).strip())
    if match is None:
        return None
    hours, minutes, rest = (int(part or 0) for part in match.groups())
    return hours * 3600 + minutes * 60 + rest


def order(value: object, field: Field) -> tuple[bool, object]:
    """A key to sort by: empty first, text without regard to case, numbers by size."""
    if field.type == "number":
        size = number(value)
        return size is not None, size or Decimal()
    if field.type == "time":
        duration = seconds(value)
        return duration is not None, duration or 0
    return bool(value), str(value).casefold()


def metadata(field: Field) -> dict[str, object]:
    """A field as layout metadata shows it."""
    kind = "summary" if field.is_summary else "calculation" if field.is_calculation else "normal"
    return {
        "name": field.name,
        "type": kind,
        "displayType": "editText",
        "result": RESULT_OF_TYPE.get(field.type, field.type),
        "global": field.is_global,
        "autoEnter": field.auto_enter,
        "fourDigitYear": False,
        "maxRepeat": field.repetitions,
        "maxCharacters": 0,
        "notEmpty": False,
        "numeric": False,
        "timeOfDay": False,
        "repetitionStart": 1,
        "repetitionEnd": len(field.shown),
    }


def _container_url(name: str, origin: str) -> str:
    if not name:
        return ""
    digest = hashlib.sha256(name.encode()).hexdigest().upper()
    suffix = name.rpartition(".")[2]
    return f"{origin}/Streaming_SSL/MainDB/{digest}.{suffix}?RCType=EmbeddedRCFileProcessor"
