"""PostgreSQL's COPY reads and writes a row as our reader and writer of its text format do."""

from __future__ import annotations

from nexus_reimport.files import copytext
from nexus_sandbox.postgres.server import PostgresServer
from support.odd_texts import ODD_TEXTS


def test_the_server_reads_and_writes_what_was_meant(postgres: PostgresServer) -> None:
    rows = [(str(n), value) for n, value in enumerate([None, *ODD_TEXTS])]
    with postgres.access.connect() as connection:
        connection.execute("CREATE TEMP TABLE odd (n int, value text)")
        with connection.cursor() as cursor, cursor.copy("COPY odd FROM STDIN") as copy:
            copy.write(copytext.lines(list(zip(*rows, strict=True))))
        assert (
            connection.execute("SELECT n::text, value FROM odd ORDER BY odd.n").fetchall() == rows
        )
        query = "COPY (SELECT * FROM odd ORDER BY n) TO STDOUT"
        with connection.cursor() as cursor, cursor.copy(query) as copy:
            batch = copytext.batch(b"".join(copy), ("n", "value"))
    read = zip(*(column.to_pylist() for column in batch.columns), strict=True)
    assert list(read) == rows
