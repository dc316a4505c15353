"""A database restored under another name and swapped in by the printed statements, or put back."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from nexus_reimport.nexus import deployment
from nexus_reimport.stages import restore
from support.clinic import ROLE, Clinic, make_database
from support.running import DEV


@pytest.fixture
def named(clinic: Clinic) -> Iterator[str]:
    """A name for a database to restore into, dropped afterwards."""
    name = f"{clinic.databases['dev']}_back"
    yield name
    clinic.server.drop_database(name)


def put_back(clinic: Clinic) -> None:
    """The database as it was before any run, as a backup brings it back, and adopted again."""
    clinic.server.drop_database(clinic.databases["dev"])
    make_database(clinic.server, clinic.databases["dev"], "template_dev")
    with clinic.connect(role=ROLE) as connection:
        deployment.adopt(connection, DEV, this_is_a_copy=True)


def administrator(clinic: Clinic, database: str = "postgres") -> psycopg.Connection[object]:
    return psycopg.connect(clinic.server.dsn(database), autocommit=True)


def swap_in(clinic: Clinic, done: restore.Restored) -> None:
    """Run the printed statements, each in the database that it names."""
    for step in done.swap:
        with administrator(clinic, step.database) as connection:
            connection.execute(step.statement)


def drop_aside(clinic: Clinic) -> None:
    with administrator(clinic) as connection:
        rows = connection.execute(
            "SELECT datname FROM pg_database WHERE datname LIKE %s",
            (f"{clinic.databases['dev']}_before_%",),
        ).fetchall()
    for (name,) in rows:
        clinic.server.drop_database(str(name))
