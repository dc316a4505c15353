"""The addresses of OData requests, byte by byte as they are sent.

FileMaker silently ignores ``%24top``, does not read ``+`` as a blank or ``%2C`` as a comma, and
wants names in double quotes. HTTP libraries encode so, so we build the address ourselves.

Source: Claris FileMaker OData Guide, "Query options"; the traps were measured.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import quote, unquote, urljoin, urlsplit

from nexus_reimport.errors import SourceError
from nexus_reimport.filemaker.odata.metadata import CHANGES, RECORD_ID

BASE = "/fmi/odata/v4"
SYSTEM = (RECORD_ID, CHANGES)  # written plainly: in quotes they would be fields of these names
LONGEST = 2_000  # characters of a whole address; every server accepts that many
_PLAIN = re.compile(r"@?\w+", re.ASCII)


def service(database: str) -> str:
    """The path of the document that lists the sets."""
    return f"{BASE}/{quote(database, safe='')}"


def metadata(database: str) -> str:
    """The path of the document that describes them."""
    return f"{service(database)}/$metadata"


def spellings(table: str) -> tuple[str, ...]:
    """The ways to write a set's name in a path.

    Servers agree on plain names only. A name with a blank or a sign is accepted unchanged by one
    server, in quotes by another, encoded twice by a third.
    """
    plain = quote(table, safe="@")
    if _PLAIN.fullmatch(table):
        return (plain,)
    return (plain, f"%22{plain}%22", quote(plain, safe="@"))


def every(
    database: str, table: str, fields: Sequence[str], keys: Sequence[str], *, room: int
) -> str:
    """The path of every record of ``table`` (as spelt) in the order of ``keys``, and the count.

    With only ``fields``; with all fields if that is empty, or too long for ``room`` characters.
    """
    rest = f"$orderby={_listed(keys)}&$count=true"
    chosen = f"{service(database)}/{table}?$select={_listed(fields)}&{rest}"
    return chosen if fields and len(chosen) <= room else f"{service(database)}/{table}?{rest}"


def count(database: str, table: str) -> str:
    """The path of the count of ``table`` (as spelt), without records. There is no ``/$count``."""
    return f"{service(database)}/{table}?$count=true&$top=0"


def greatest(database: str, table: str, field: str) -> str:
    """The path of the record of ``table`` (as spelt) with the greatest ``field``."""
    name = _named(field)
    return f"{service(database)}/{table}?$select={name}&$orderby={name}%20desc&$top=1"


def onward(link: str, path: str, where: str) -> str:
    """Path and query of a link to the next page of the set at ``path``.

    The link's host is ignored: behind a proxy it is an inner one, and it must not get the password.

    Raises:
        SourceError: the link leads to another set.
    """
    if not link:
        return ""
    here = urlsplit(path)
    try:
        # A link may be relative, or begin with a server's address.
        parts = urlsplit(urljoin(here.path, link))
    # An address that cannot be parsed leads nowhere: it is refused below.
    except ValueError:
        parts = urlsplit("")
    if _bare(parts.path) != _bare(here.path):
        raise SourceError(
            "FileMaker's link to the next page leads to another table",
            where=where,
            next="run again; if the problem remains, read this table by another channel"
            " ([filemaker] channels)",
        )
    return f"{here.path}?{parts.query}"


def _listed(fields: Sequence[str]) -> str:
    return ",".join(map(_named, fields))


def _named(field: str) -> str:
    if field in SYSTEM:
        return field
    # Always in quotes: FileMaker makes SQL of names, and `Date`, `To` and `id` are words of SQL.
    return f"%22{quote(field, safe='')}%22"


def _bare(path: str) -> str:
    """A path in the form in which paths compare: servers encode the same path in several ways."""
    return unquote(unquote(path)).replace('"', "").replace(".fmp12/", "/")
