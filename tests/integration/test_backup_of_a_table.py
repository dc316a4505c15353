"""The backup's CSV of a table is COPY's own."""

from __future__ import annotations

from pathlib import Path

import psycopg

from nexus_reimport.stages import backup
from nexus_sandbox.postgres.server import PostgresServer
from support.values_of_lists import GUARDED, PLAIN


def test_the_backup_of_a_table_is_exact_so_that_copy_reads_it_back(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    postgres.create_database("exact", owner="nexus")
    try:
        with psycopg.connect(postgres.dsn("exact", "nexus"), autocommit=True) as connection:
            connection.execute("CREATE TABLE was (n int, t text)")
            with connection.cursor() as cursor:
                cursor.executemany(
                    "INSERT INTO was VALUES (%s, %s)", enumerate((*GUARDED, *PLAIN, None))
                )
            backup._csv(connection, "public", "was", tmp_path / "was.csv")
            content = (tmp_path / "was.csv").read_bytes()
            assert content.startswith(b"n,t\n")
            connection.execute("CREATE TABLE again (n int, t text)")
            with connection.cursor() as cursor:
                with cursor.copy("COPY again FROM STDIN (FORMAT csv, HEADER true)") as copy:
                    copy.write(content)
                cursor.execute("SELECT count(*) FROM (TABLE was EXCEPT ALL TABLE again) AS d")
                assert cursor.fetchone() == (0,)
    finally:
        postgres.drop_database("exact")
