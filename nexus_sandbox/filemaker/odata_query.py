"""The query options of an OData request, as FileMaker reads them.

A ``$`` has to be a ``$``: an option that arrives as ``%24top`` is passed over without a word. So
are names that are no option. ``+`` is no blank and ``%2C`` no comma. A name that is not plain (it
has a blank, a dot, a leading underscore, or is ``id``) stands in double quotes.

Source: Claris FileMaker OData Guide, "Query options"; the refusals as measured.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from nexus_sandbox.filemaker.file import FileTable
from nexus_sandbox.filemaker.message import Refusal
from nexus_sandbox.filemaker.tables import Order

SYNTAX = -1002
SEMANTICS = 8309
OPTIONS = ("$select", "$orderby", "$top", "$skip", "$count", "$filter", "$skiptoken", "$format")
SYSTEM_FIELDS = ("ROWID", "ROWMODID")
_TOKEN = re.compile(r"s(\d+)t\d+")
_ITEM = re.compile(r'\s*("[^"]*"|[^",]+)(?:,|$)')
_PLAIN = re.compile(r"[A-Za-z]\w*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Options:
    """What is asked of a set. ``select`` is empty where every field is."""

    select: tuple[str, ...] = ()
    order: Order = ()
    top: int | None = None
    skip: int = 0
    count: bool = False
    filter: str = ""
    begin: int = 0  # of the page: what ``$skiptoken`` says


def read(target: str, table: FileTable) -> Options:
    """The options in the query of ``target``.

    Raises:
        Refusal: FileMaker does not take one.
    """
    given = dict(_pairs(target))
    return Options(
        select=tuple(field_name(item, table) for item in _items(given.get("$select", ""))),
        order=tuple(_directions(given.get("$orderby", ""), table)),
        top=_number(given, "$top"),
        skip=_number(given, "$skip") or 0,
        count=_flag(given.get("$count", "false")),
        filter=given.get("$filter", ""),
        begin=_begin(given.get("$skiptoken", "")),
    )


def field_name(written: str, table: FileTable) -> str:
    """The field that is meant by a name as it is written in a query."""
    name = written.strip()
    if name in SYSTEM_FIELDS:
        return name
    if name.startswith('"') and name.endswith('"') and len(name) > 2:
        name = name[1:-1]
    elif name.lower() == "id":
        raise Refusal(SYNTAX, 400, name)
    elif not _PLAIN.fullmatch(name):
        raise Refusal(SEMANTICS, 400, name)
    if name not in {field.name for field in table.fields}:
        raise Refusal(SEMANTICS, 400, name)
    return name


def _pairs(target: str) -> Iterator[tuple[str, str]]:
    for part in urlsplit(target).query.split("&"):
        name, _, value = part.partition("=")
        if not name.startswith("$"):
            continue
        wrong = re.search(r"\+|%2C", value, re.IGNORECASE)
        if name not in OPTIONS or wrong:
            raise Refusal(SYNTAX, 400, value[wrong.start() :] if wrong else name)
        yield name, unquote(value)


def _items(written: str) -> Iterator[str]:
    """The parts of a list, at its commas; a comma within quotes is none."""
    position = 0
    while position < len(written):
        match = _ITEM.match(written, position)
        if match is None:
            raise Refusal(SYNTAX, 400, written[position:])
        yield match[1].strip()
        position = match.end()


def _directions(written: str, table: FileTable) -> Iterator[tuple[str, bool]]:
    for part in re.findall(r'(?:"[^"]*"|[^,])+', written):
        match = re.fullmatch(r'\s*("[^"]*"|\S+)(?:\s+(asc|desc))?\s*', part)
        if match is None:
            raise Refusal(SYNTAX, 400, part)
        yield field_name(match[1], table), match[2] == "desc"


def _number(given: Mapping[str, str], name: str) -> int | None:
    value = given.get(name)
    if value is not None and re.fullmatch(r"\d+", value) is None:
        raise Refusal(SYNTAX, 400, value)
    return None if value is None else int(value)


def _flag(value: str) -> bool:
    if value not in {"true", "false"}:
        raise Refusal(SYNTAX, 400, value)
    return value == "true"


def _begin(token: str) -> int:
    match = _TOKEN.fullmatch(token)
    if token and match is None:
        raise Refusal(SYNTAX, 400, token)
    return int(match[1]) if match else 0
