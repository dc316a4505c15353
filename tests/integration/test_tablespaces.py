"""Tables and indexes in another tablespace than the others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from nexus_reimport.errors import MissingRights
from nexus_reimport.record import Verdict
from nexus_sandbox.postgres.server import PostgresServer
from nexus_sandbox.s3.server import S3Server
from support.altered import altered
from support.clinic import ROLE, taken_back

APART = """
ALTER TABLE practice.person SET TABLESPACE apart;
ALTER TABLE practice.document SET TABLESPACE apart;
ALTER INDEX practice.visit_pkey SET TABLESPACE apart;
CREATE INDEX of_person ON practice.visit (person_id) TABLESPACE apart;
"""
PLACED = """
SELECT relname FROM pg_class WHERE relnamespace = 'practice'::regnamespace AND reltablespace <> 0
ORDER BY 1
"""


@pytest.fixture
def apart(postgres: PostgresServer) -> Iterator[None]:
    """A tablespace of that name."""
    with psycopg.connect(postgres.dsn("postgres"), autocommit=True) as connection:
        connection.execute("SET allow_in_place_tablespaces = on")
        connection.execute("CREATE TABLESPACE apart LOCATION ''")
        yield
        connection.execute("DROP TABLESPACE apart")


@pytest.mark.parametrize("default", ["pg_default", "apart"])
@pytest.mark.usefixtures("apart")
def test_what_lies_in_another_tablespace_goes_there_and_back_and_stays_in_it(
    postgres: PostgresServer, s3: S3Server, tmp_path: Path, default: str
) -> None:
    grant = "GRANT CREATE ON TABLESPACE apart TO PUBLIC;"
    with altered(postgres, s3, tmp_path, admin=grant + APART) as found:
        found.do(f"ALTER DATABASE {found.database} SET default_tablespace = {default}", admin=True)
        before = found.state()
        assert found.whole().run.verdict() is Verdict.COMPLETE
        assert found.state() != before
        assert taken_back("second").passed
        assert found.state() == before
        assert [name for (name,) in found.rows(PLACED)] == [
            "document",
            "of_person",
            "person",
            "visit_pkey",
        ]


@pytest.mark.usefixtures("apart")
def test_a_default_tablespace_that_is_not_ours_to_use_is_told_before_filemaker_is_read(
    postgres: PostgresServer, s3: S3Server, tmp_path: Path
) -> None:
    """A copy does without: only the execution was refused, by a right that nothing had named."""
    with altered(postgres, s3, tmp_path) as found:
        setting = f"ALTER DATABASE {found.database} SET {{}} = apart"
        found.do(setting.format("temp_tablespaces"), admin=True)  # is passed over by the server
        found.do(setting.format("default_tablespace"), admin=True)
        grant = f"GRANT CREATE ON TABLESPACE apart TO {ROLE};"
        with pytest.raises(MissingRights, match="CREATE on tablespace apart: our tables") as told:
            found.begun()
        assert grant in told.value.next
        assert not found.simulator.requests
        found.do(grant, admin=True)
        assert found.whole().run.verdict() is Verdict.COMPLETE
        found.do(f"REVOKE CREATE ON TABLESPACE apart FROM {ROLE}", admin=True)
