"""VACUUM (ANALYZE) of the wiped tables, after COMMIT: it cannot run inside of a transaction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import psycopg
from psycopg import sql

from nexus_reimport.nexus.connection.postgres import scalar, statement, table_name
from nexus_reimport.nexus.writing.transaction import Transaction


def vacuum(transaction: Transaction, tables: Iterable[str]) -> Iterator[str]:
    """VACUUM (ANALYZE) these tables; gives warnings only, because the data is committed.

    The server would skip a table of another owner with only a notice, so the right is asked first.
    """
    connection = transaction.connection
    for table in tables:
        place = table_name(transaction.schema, table)
        asked = {"table": place.as_string(connection)}
        if not scalar(connection, statement("may_vacuum"), asked):
            owner = scalar(connection, statement("table_owner"), asked)
            yield (
                f"VACUUM (ANALYZE) {table} was not done: it needs MAINTAIN on the table, or"
                f" its owner {owner}; autovacuum will do it later"
            )
            continue
        try:
            # of a large table it may take longer than the session's limit for a statement
            connection.execute("SET statement_timeout = '10min'")
            connection.execute(sql.SQL("VACUUM (ANALYZE) {}").format(place))
        # The run is committed: what fails now is a warning, never a failed run.
        except psycopg.Error as error:
            why = f"SQLSTATE {error.sqlstate}" if error.sqlstate else "the connection was lost"
            yield f"VACUUM (ANALYZE) {table} failed: {why}; run it by hand"
            if connection.closed:
                return  # autovacuum will do the other tables
