"""Every right that the project needs in PostgreSQL, as docs/rights.md shows the list.

Each rule says which object the right is on, why and at which step it is needed, and which
statement grants it. No right here requires a superuser, or that the role owns a table of the
application. What needs no right is not listed: advisory locks, exported snapshots, session
settings, the catalog.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum


class Task(StrEnum):
    """What the rights are for: the commands that need them."""

    RUN = "run"
    RELINK = "relink"
    FINISH = "finish"
    ROLLBACK = "rollback"
    RESTORE = "restore"
    ADOPT = "adopt"
    SEAL = "seal"
    PURGE = "purge-undo"


READING = (Task.RUN, Task.RELINK, Task.ROLLBACK)
LOADING = (Task.RUN, Task.ROLLBACK)
EVERY = tuple(Task)


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind of right.

    ``kind`` is GRANT's word for the object; if no GRANT gives the right, ``template`` is the
    statement, and ``kind`` only names the object. ``without`` says what a run does without the
    right; "" if it stops.
    """

    privilege: str
    on: str
    why: str
    step: str
    tasks: tuple[Task, ...]
    kind: str = ""
    template: str = ""
    without: str = ""

    def statement(self, privileges: Iterable[str], objects: Iterable[str], role: str) -> str:
        """The statement that grants ``privileges`` on ``objects`` (quoted names) to ``role``."""
        listed = ", ".join(objects)
        if self.template:
            return self.template.format(object=listed, role=role)
        return f"GRANT {', '.join(privileges)} ON {self.kind} {listed} TO {role};"


@dataclass(frozen=True, slots=True)
class Right:
    """One right on one object, and whether the role has it; names are quoted for SQL.

    ``place`` is the server on which to run the statement; "" for the database itself.
    """

    rule: Rule
    privilege: str
    object: str
    role: str
    held: bool
    place: str = ""

    @property
    def statement(self) -> str:
        """The statement that grants it."""
        return self.rule.statement([self.privilege], [self.object], self.role)


RULES: Mapping[str, Rule] = {
    "connect": Rule(
        privilege="CONNECT",
        on="the database",
        why="every command connects",
        step="the first connection",
        tasks=EVERY,
        kind="DATABASE",
    ),
    "create": Rule(
        privilege="CREATE",
        on="the database",
        why="each run keeps its undo data in a schema of its own",
        step="02: before the locks",
        tasks=(Task.RUN, Task.RELINK),
        kind="DATABASE",
    ),
    "create_own": Rule(
        privilege="CREATE",
        on="the database",
        why="our own schema is created if it is missing",
        step="adopt",
        tasks=(Task.ADOPT,),
        kind="DATABASE",
    ),
    "tablespace": Rule(
        privilege="CREATE",
        on="the tablespace that `default_tablespace` of the database or the role names, if it is"
        " not the database's own",
        why="our tables and the undo data are created there",
        step="adopt; 02: before the locks; 90",
        tasks=(Task.RUN, Task.RELINK, Task.ROLLBACK, Task.ADOPT),
        kind="TABLESPACE",
    ),
    "temporary": Rule(
        privilege="TEMPORARY",
        on="the database",
        why="rows are first loaded into temporary tables",
        step="02: before the locks; 90: the preview",
        tasks=READING,
        kind="DATABASE",
    ),
    "usage": Rule(
        privilege="USAGE",
        on="each schema that has tables or sequences",
        why="everything in it is dumped",
        step="01: survey and backup",
        tasks=(*READING, Task.FINISH),
        kind="SCHEMA",
    ),
    "select": Rule(
        privilege="SELECT",
        on="each table of the mapping's schema (single columns are not enough)",
        why="it is counted, compared and dumped",
        step="01: survey and backup; 03; 90",
        tasks=(*READING, Task.FINISH),
        kind="TABLE",
    ),
    "dump": Rule(
        privilege="SELECT",
        on="each table of every other schema (of an extension's: its configuration)",
        why="pg_dump dumps the whole database",
        step="01 and 90: the backup",
        tasks=READING,
        kind="TABLE",
    ),
    "dump_sequence": Rule(
        privilege="SELECT",
        on="each sequence",
        why="it is dumped, and new integer keys continue from its value",
        step="01: survey and backup; 90",
        tasks=READING,
        kind="SEQUENCE",
    ),
    "dump_object": Rule(
        privilege="SELECT",
        on="each large object",
        why="pg_dump dumps it",
        step="01 and 90: the backup",
        tasks=READING,
        kind="LARGE OBJECT",
    ),
    "every_row": Rule(
        privilege="BYPASSRLS",
        on="the role, if row level security of a table hides rows from it",
        why="a count, a hash and a dump must see every row",
        step="01: survey and backup",
        tasks=(*READING, Task.FINISH),
        template="ALTER ROLE {role} BYPASSRLS;",
    ),
    "insert": Rule(
        privilege="INSERT",
        on="each wiped table",
        why="rows are loaded, or restored",
        step="02; 90",
        tasks=LOADING,
        kind="TABLE",
    ),
    "delete": Rule(
        privilege="DELETE",
        on="each wiped table (LOCK TABLE IN EXCLUSIVE MODE requires it too)",
        why="rows are wiped, and the table is locked",
        step="02; 90",
        tasks=LOADING,
        kind="TABLE",
    ),
    "update": Rule(
        privilege="UPDATE",
        on="each wiped table",
        why="rows that differ are updated",
        step="02; 90",
        tasks=LOADING,
        kind="TABLE",
    ),
    "link": Rule(
        privilege="UPDATE (COLUMNS)",
        on="the link columns of each linking table, and no other column",
        why="links of documents and images are fixed",
        step="02; 90",
        tasks=READING,
        kind="TABLE",
    ),
    "lock": Rule(
        privilege="MAINTAIN",
        on="each linking table. LOCK TABLE IN EXCLUSIVE MODE requires a right on the"
        " whole table; UPDATE, DELETE or TRUNCATE are enough too. Before PostgreSQL 17 there"
        " is no MAINTAIN, and UPDATE is required instead",
        why="the table is locked",
        step="02; 90",
        tasks=READING,
        kind="TABLE",
    ),
    "sequence": Rule(
        privilege="UPDATE",
        on="each sequence that fills a column of a wiped table",
        why="the application must not give out a key that was loaded (setval)",
        step="02",
        tasks=(Task.RUN,),
        kind="SEQUENCE",
    ),
    "type": Rule(
        privilege="USAGE",
        on="each type of a column of a wiped or linking table (PUBLIC has it by default)",
        why="temporary tables have the same columns",
        step="02; 90",
        tasks=READING,
        kind="TYPE",
    ),
    "function": Rule(
        privilege="EXECUTE",
        on="each function in a check, default, generated column or index of a wiped or"
        " linking table (PUBLIC has it by default)",
        why="the server calls it for each row",
        step="02; 90",
        tasks=READING,
        kind="FUNCTION",
    ),
    "own_usage": Rule(
        privilege="USAGE",
        on="our own schema, if it exists",
        why="it holds the marker and the runs",
        step="the first connection",
        tasks=tuple(t for t in Task if t is not Task.RESTORE),
        kind="SCHEMA",
    ),
    "own_create": Rule(
        privilege="CREATE",
        on="our own schema, if it exists",
        why="its missing tables are created",
        step="adopt; 02; 90",
        tasks=(*READING, Task.ADOPT),
        kind="SCHEMA",
    ),
    "own_table": Rule(
        privilege="ownership",
        on="each table of our own schema",
        why="it is read, written, and altered if an older version created it",
        step="adopt; 02; 90; seal",
        tasks=tuple(t for t in Task if t is not Task.RESTORE),
        template="ALTER TABLE {object} OWNER TO {role};",
    ),
    "undo_usage": Rule(
        privilege="USAGE",
        on="the schema of the latest run's undo data",
        why="rows are restored from it",
        step="90",
        tasks=(Task.ROLLBACK,),
        kind="SCHEMA",
    ),
    "undo_select": Rule(
        privilege="SELECT",
        on="each table of the latest run's undo data",
        why="rows are restored from it",
        step="90",
        tasks=(Task.ROLLBACK,),
        kind="TABLE",
    ),
    "undo_drop": Rule(
        privilege="ownership",
        on="the schema of undo data that is dropped",
        why="only its owner may drop it",
        step="purge-undo",
        tasks=(Task.PURGE,),
        template="ALTER SCHEMA {object} OWNER TO {role};",
    ),
    "rehearse": Rule(
        privilege="CREATEDB",
        on="the role, on the server for rehearsals",
        why="the backup is restored into a scratch database, which is then dropped",
        step="01: the rehearsal",
        tasks=(Task.RUN, Task.RELINK),
        template="ALTER ROLE {role} CREATEDB;",
        without="the rehearsal runs in a real transaction that is rolled back, and does not"
        " prove the backup; prod needs a waiver for that",
    ),
    "restore": Rule(
        privilege="CREATEDB",
        on="the role",
        why="the dump is restored into a new database",
        step="restore",
        tasks=(Task.RESTORE,),
        template="ALTER ROLE {role} CREATEDB;",
    ),
    "later_table": Rule(
        privilege="SELECT",
        on="tables that the owner of the application's tables creates later",
        why="a migration that creates a table must not stop the next run",
        step="01, after a migration",
        tasks=READING,
        kind="LATER TABLES",
        template="ALTER DEFAULT PRIVILEGES {object} GRANT SELECT ON TABLES TO {role};",
        without="after such a migration the run stops until SELECT is granted",
    ),
    "later_sequence": Rule(
        privilege="SELECT",
        on="sequences that the owner of the application's tables creates later",
        why="a migration that creates a sequence must not stop the next run",
        step="01, after a migration",
        tasks=READING,
        kind="LATER SEQUENCES",
        template="ALTER DEFAULT PRIVILEGES {object} GRANT SELECT ON SEQUENCES TO {role};",
        without="after such a migration the run stops until SELECT is granted",
    ),
    "vacuum": Rule(
        privilege="MAINTAIN",
        on="each wiped table (its owner has it; since PostgreSQL 17)",
        why="VACUUM (ANALYZE) runs after COMMIT",
        step="02: after COMMIT",
        tasks=(Task.RUN,),
        kind="TABLE",
        without="a warning is shown, and autovacuum does it later",
    ),
    "activity": Rule(
        privilege="membership",
        on="pg_read_all_stats",
        why="shows when other sessions were last active",
        step="01: who else writes",
        tasks=(Task.RUN, Task.RELINK),
        template="GRANT {object} TO {role};",
        without="their times are not shown",
    ),
    "server": Rule(
        privilege="EXECUTE",
        on="pg_control_system() (PUBLIC has it by default)",
        why="distinguishes this server from a copy of it",
        step="adopt and every first connection",
        tasks=EVERY,
        kind="FUNCTION",
        without="a copy on another server, with the same name and oid, is taken for the original",
    ),
}
