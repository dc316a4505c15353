"""The addresses that OData is asked by, byte by byte as they go over the wire.

FileMaker passes over ``%24top`` without a word, takes no ``+`` for a blank and no ``%2C`` for a
comma, and wants names in double quotes. So nothing here is left to a library.

Source: Claris FileMaker OData Guide, "Query options"; the traps as measured.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import quote, unquote, urljoin, urlsplit

from nexus_reimport.errors import SourceError

BASE = "/fmi/odata/v4"
LONGEST = 2_000  # characters of a whole address; every server takes as many
_PLAIN = re.compile(r"@?\w+", re.ASCII)


def service(database: str) -> str:
    """The path of the document that lists the sets."""
    return f"{BASE}/{quote(database, safe='')}"


def metadata(database: str) -> str:
    """The path of the document that describes them."""
    return f"{service(database)}/$metadata"


def spellings(table: str) -> tuple[str, ...]:
    """The ways to write a set's name in a path.

    Servers agree on plain names alone. One with a blank or a sign is taken by one server as it is,
    by another in quotes, by a third encoded twice.
    """
    plain = quote(table, safe="@")
    if _PLAIN.fullmatch(table):
        return (plain,)
    return (plain, f"%22{plain}%22", quote(plain, safe="@"))


def every(
    database: str, table: str, fields: Sequence[str], keys: Sequence[str], *, room: int
) -> str:
    """Every record of ``table``, as it is spelt, in the order of ``keys``, and the count.

    With ``fields`` alone; with all where that is empty, or too long for ``room`` characters.
    """
    rest = f"$orderby={_listed(keys)}&$count=true"
    chosen = f"{service(database)}/{table}?$select={_listed(fields)}&{rest}"
    return chosen if fields and len(chosen) <= room else f"{service(database)}/{table}?{rest}"


def count(database: str, table: str) -> str:
    """No record of ``table``, as it is spelt, and the count. FileMaker has no ``/$count``."""
    return f"{service(database)}/{table}?$count=true&$top=0"


def greatest(database: str, table: str, field: str) -> str:
    """The record of ``table``, as it is spelt, whose ``field`` is the greatest."""
    name = _named(field)
    return f"{service(database)}/{table}?$select={name}&$orderby={name}%20desc&$top=1"


def onward(link: str, path: str, where: str) -> str:
    """The path and query of a link to the next page of the set at ``path``.

    Its host is not looked at: behind a proxy it is an inner one, and no password goes there.

    Raises:
        SourceError: it leads to another set.
    """
    if not link:
        return ""
    here = urlsplit(path)
    try:
        parts = urlsplit(urljoin(here.path, link))
    except ValueError:
        parts = urlsplit("")
    if _bare(parts.path) != _bare(here.path):
        raise SourceError(
            "FileMaker's link to the next page leads out of the table",
            where=where,
            next="run again; if it stays, read this table by another channel",
        )
    return f"{here.path}?{parts.query}"


def _listed(fields: Sequence[str]) -> str:
    return ",".join(map(_named, fields))


def _named(field: str) -> str:
    return f"%22{quote(field, safe='')}%22"


def _bare(path: str) -> str:
    """A path as paths compare: servers encode the same one in several ways."""
    return unquote(unquote(path)).replace('"', "").replace(".fmp12/", "/")
