"""Whether a server answers to what a person has just said of it: one line, or an error.

Nothing is read but versions and counts, and nothing is written.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing

from nexus_reimport import mapping as mappings
from nexus_reimport import wording
from nexus_reimport.filemaker import channels
from nexus_reimport.filemaker.exports import ExportedFiles
from nexus_reimport.nexus import deployment
from nexus_reimport.nexus.connection import pg_tools
from nexus_reimport.nexus.connection.postgres import connected
from nexus_reimport.runbook import connections
from nexus_reimport.settings import S3, FileMaker, Postgres
from nexus_reimport.stages import census


def postgres(place: Postgres) -> str:
    """What PostgreSQL says of itself, and that this machine has its pg_dump.

    Raises:
        ReimportError: it lets nobody in, or there is no pg_dump of its version.
    """
    with connected(place) as connection:
        here = deployment.read(connection)
        size = deployment.size(connection)
    pg_tools.folder(here.version, place.binaries)
    return f"PostgreSQL {here.version}, {size / 1e6:,.0f} MB, and its pg_dump is on this machine"


def filemaker(place: FileMaker, mapping: str) -> str:
    """What FileMaker says of itself, and that every table of a shipped mapping can be read.

    A mapping of one's own may not be written yet: then the layouts, tables or files are named that
    it can read.

    Raises:
        ReimportError: it lets nobody in, or a table cannot be read.
    """
    if mapping not in mappings.shipped():
        return _readable(place)
    asked, tables = connections.filemaker(place, mappings.load(mapping))
    errors = [*(one.error for one in asked), *(one.error for one in tables)]
    if first := next(filter(None, errors), None):
        raise first
    products = ", ".join(one.product for one in asked)
    return f"{products}; {wording.amount(len(tables), 'table')} can be read"


def _readable(place: FileMaker) -> str:
    if place.channel == "exports" and place.exports is not None:
        return f"exported files; {_named('file', ExportedFiles(place.exports, {}).tables())}"
    kind = "table" if place.channel == "odata" else "layout"
    with closing(channels.server(place, place.channel, connections.QUICKLY)) as server:
        product, names = server.product(), server.tables()
    return f"{product.name} {product.version}; {_named(kind, names)}"


def _named(kind: str, names: Sequence[str]) -> str:
    listed = f": {wording.some(sorted(names), shown=50)}" if names else ""
    return f"{wording.amount(len(names), kind)}{listed}"


def s3(place: S3) -> str:
    """That the bucket can be listed.

    Raises:
        StorageError: it cannot.
    """
    seconds, _ = census.ask(place)
    return f"the bucket {place.bucket} can be listed ({1000 * seconds:,.0f} ms)"
