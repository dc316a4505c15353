"""What is counted, and does not sway with a busy machine: statements, pages, calls of Python."""

from __future__ import annotations

import cProfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

import psycopg

from benchmarks.clinic import Clinic
from benchmarks.meter import Cost
from nexus_sandbox.postgres.access import SUPERUSER

LIBRARY = "pg_stat_statements"
COUNTING = {"shared_preload_libraries": LIBRARY}  # settings of a server that counts
Administrator = psycopg.Connection[tuple[object, ...]]
_TOUCHED = ("shared_blks_hit", "shared_blks_read", "local_blks_hit", "local_blks_read")
_ASKED = f"""
    SELECT coalesce(sum(calls), 0)::float8,
        coalesce(sum(calls) FILTER (WHERE query LIKE '%md5(%'), 0)::float8,
        coalesce(sum({" + ".join(_TOUCHED)}), 0)::float8,
        coalesce(sum(wal_bytes), 0)::float8
    FROM {LIBRARY} JOIN pg_roles ON pg_roles.oid = userid WHERE rolname <> '{SUPERUSER}'"""


@dataclass(frozen=True, slots=True)
class Asked:
    """What PostgreSQL was asked for: statements, and those of them that hash rows; pages that it
    touched for them, bytes of its log.
    """

    statements: float
    hashing: float
    pages: float
    log: float

    def note(self, cost: Cost) -> None:
        """Keep it with a cost."""
        cost.facts.update(asdict(self))


def begin(administrator: Administrator) -> None:
    """Count from here on."""
    administrator.execute(f"SELECT {LIBRARY}_reset()".encode())


def asked(administrator: Administrator) -> Asked:
    """What was asked for since, by everybody but the administrator."""
    (counts,) = administrator.execute(_ASKED.encode()).fetchall()
    return Asked(*map(float, map(str, counts)))


@contextmanager
def administrator(clinic: Clinic) -> Iterator[Administrator]:
    """Who can ask for the counts of a server that was started with ``COUNTING``."""
    with clinic.stack.postgres.connect() as connection:
        connection.execute(f"CREATE EXTENSION IF NOT EXISTS {LIBRARY}".encode())
        yield connection


@contextmanager
def calls(cost: Cost) -> Iterator[None]:
    """Note how often something was called in this thread, functions of C among them."""
    profile = cProfile.Profile()
    profile.enable()
    try:
        yield
    finally:
        profile.disable()
        cost.facts["calls"] = float(sum(entry.callcount for entry in profile.getstats()))
