"""VACUUM (ANALYZE) of the wiped tables, after COMMIT: it cannot run inside of a transaction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import psycopg
from psycopg import sql

from nexus_reimport.nexus.connection import standbys
from nexus_reimport.nexus.connection.driver_errors import code_and_name
from nexus_reimport.nexus.connection.postgres import Connection, scalar, statement, table_name
from nexus_reimport.nexus.connection.session import MAINTAIN_SINCE
from nexus_reimport.nexus.writing.transaction import Transaction


def vacuum(transaction: Transaction, tables: Iterable[str]) -> Iterator[str]:
    """VACUUM (ANALYZE) these tables; gives warnings only, because the data is committed.

    The server would skip a table of another owner with only a notice, so the right is asked first.
    """
    connection = transaction.connection
    standbys.do_not_wait(connection)
    by_owner: dict[str, list[str]] = {}
    for table in tables:
        place = table_name(transaction.schema, table)
        asked = {"table": place.as_string(connection)}
        if not scalar(connection, statement("may_vacuum"), asked):
            owner = str(scalar(connection, statement("table_owner"), asked))
            by_owner.setdefault(owner, []).append(table)
            continue
        try:
            # of a large table it may take longer than the session's limit for a statement
            connection.execute("SET statement_timeout = '10min'")
            connection.execute(sql.SQL("VACUUM (ANALYZE) {}").format(place))
        # The run is committed: what fails now is a warning, never a failed run.
        except psycopg.Error as error:
            why = code_and_name(error.sqlstate) if error.sqlstate else "the connection was lost"
            yield f"VACUUM (ANALYZE) {table} failed: {why}; run it by hand"
            if connection.closed:
                return  # autovacuum will do the other tables
    for owner, others in by_owner.items():
        yield _not_ours(connection, owner, others)


def _not_ours(connection: Connection, owner: str, tables: Sequence[str]) -> str:
    who = f"{'its' if len(tables) == 1 else 'their'} owner {owner}"
    if connection.info.server_version >= MAINTAIN_SINCE:
        who = f"MAINTAIN, or {who}"
    return (
        f"VACUUM (ANALYZE) was not done of {', '.join(tables)}: it needs {who}; autovacuum will do"
        " it later"
    )
