"""The role owns nothing of the application: every right is listed, asked for first, and enough."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from nexus_reimport import CHECKOUT, mapping, record, runbook, runner, show
from nexus_reimport import settings as environments
from nexus_reimport.errors import Denied, StopError, TargetError
from nexus_reimport.events import Event
from nexus_reimport.mapping import FieldMapping
from nexus_reimport.model import Approval, Plan, Proposal
from nexus_reimport.nexus import rights
from nexus_reimport.nexus.connection import denied, pg_tools
from nexus_reimport.nexus.connection.postgres import connected, statement
from nexus_reimport.nexus.rights import RULES, Right, Task
from nexus_reimport.nexus.writing.table_locks import AUTOVACUUM
from nexus_reimport.runbook import adoption
from nexus_reimport.stages import apply
from nexus_sandbox import process
from nexus_sandbox.postgres.server import PostgresServer, binaries
from support import SUPPORT
from support.clinic import OWNER, ROLE, Clinic, planned
from support.second_installation import SCHEMA

DEV, PROD = "sandbox-dev", "sandbox-prod"
DOCS = CHECKOUT / "docs" / "rights.md"
ODD = 'Ro"le; of {ours}'
ODDLY = "\"; Od'd {0}"


def administrator(server: PostgresServer, database: str = "postgres") -> psycopg.Connection[Any]:
    return psycopg.connect(server.dsn(database), autocommit=True)


def test_the_paper_is_the_list() -> None:
    text = DOCS.read_text()
    assert show.rights_paper() in text
    assert all(rule.on in text for rule in RULES.values())


# ------------------------------------------------------------------ each statement gives its right


@pytest.fixture
def odd(postgres: PostgresServer) -> Iterator[tuple[str, FieldMapping]]:
    """A database whose every name is a trap, and a role that has been granted nothing."""
    spec = mapping.load("second_installation.toml", SUPPORT)
    entities = {
        n: e.model_copy(update={"table": e.table + ODDLY}) for n, e in spec.entities.items()
    }
    attachments = {
        n: a.model_copy(update={"table": a.table + ODDLY}) for n, a in spec.attachments.items()
    }
    spec = spec.model_copy(
        update={"schema_name": ODDLY, "entities": entities, "attachments": attachments}
    )
    postgres.create_database("odd", owner=OWNER)
    with administrator(postgres, "odd") as admin:
        admin.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'x'").format(sql.Identifier(ODD)))
        admin.execute(SCHEMA)
        admin.execute("""
            CREATE TYPE practice.mood AS ENUM ('well'); REVOKE USAGE ON TYPE practice.mood FROM PUBLIC;
            CREATE FUNCTION practice.fits(text) RETURNS boolean IMMUTABLE LANGUAGE sql
                AS 'SELECT true';
            REVOKE EXECUTE ON FUNCTION practice.fits(text) FROM PUBLIC;
            ALTER TABLE practice.carer ADD mood practice.mood, ADD CHECK (practice.fits(named));
            CREATE SEQUENCE practice.own_default;
            ALTER TABLE practice.carer ADD number bigint DEFAULT nextval('practice.own_default');
            ALTER TABLE practice.carer ENABLE ROW LEVEL SECURITY;
            CREATE SCHEMA other; CREATE TABLE other.of_nobody (x int);
            CREATE EXTENSION pg_trgm; CREATE TABLE other.of_an_extension (x int);
            ALTER EXTENSION pg_trgm ADD TABLE other.of_an_extension;
            UPDATE pg_extension SET extconfig = ARRAY['other.of_an_extension'::regclass::oid],
                extcondition = ARRAY[''] WHERE extname = 'pg_trgm';
            CREATE SCHEMA nexus_reimport; CREATE TABLE nexus_reimport.deployment (x int);
            CREATE SCHEMA nexus_reimport_undo_x;
            SELECT lo_create(4711); SELECT lo_create(4712);
            REVOKE ALL ON DATABASE odd FROM PUBLIC; GRANT CONNECT ON DATABASE odd TO nexus;
            REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC;
        """)  # noqa: E501
        for table in ("person", "visit", "document", "carer"):
            admin.execute(
                sql.SQL("ALTER TABLE practice.{} RENAME TO {}").format(
                    sql.Identifier(table), sql.Identifier(table + ODDLY)
                )
            )
        admin.execute(sql.SQL("ALTER SCHEMA practice RENAME TO {}").format(sql.Identifier(ODDLY)))
        admin.execute("SET allow_in_place_tablespaces = on")
        place = sql.Identifier(ODDLY)
        admin.execute(sql.SQL("CREATE TABLESPACE {} LOCATION ''").format(place))
        admin.execute(sql.SQL("ALTER DATABASE odd SET default_tablespace = {}").format(place))
    yield "odd", spec
    postgres.drop_database("odd")
    with administrator(postgres) as admin:
        admin.execute(sql.SQL("DROP TABLESPACE {}").format(place))
        admin.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(ODD)))


def of_the_odd_role(postgres: PostgresServer, spec: FieldMapping) -> list[Right]:
    """The rights of the odd role, asked for as this role would."""
    with psycopg.connect(
        postgres.dsn("odd"), autocommit=True, options="-c search_path=pg_catalog"
    ) as connection:
        connection.execute(sql.SQL("SET ROLE {}").format(sql.Identifier(ODD)))
        return list(rights.read(connection, spec))


def test_each_statement_that_is_printed_gives_the_right_whatever_the_names_are(
    postgres: PostgresServer, odd: tuple[str, FieldMapping]
) -> None:
    _, spec = odd
    lacking = [r for r in of_the_odd_role(postgres, spec) if not r.held]
    expected = RULES.keys() - {"create_own", "undo_usage", "undo_select"}  # nothing to be put back
    assert {name for name, rule in RULES.items() if rule in {r.rule for r in lacking}} == expected
    with administrator(postgres, "odd") as admin:
        for right in lacking:
            admin.execute(right.statement.encode())
            now = of_the_odd_role(postgres, spec)
            of_the_object = [r for r in now if (r.rule, r.object) == (right.rule, right.object)]
            assert all(r.held for r in of_the_object), right.statement
    assert [r for r in of_the_odd_role(postgres, spec) if not r.held] == []


def test_what_is_printed_together_gives_all_of_it(
    postgres: PostgresServer, odd: tuple[str, FieldMapping]
) -> None:
    _, spec = odd
    found = of_the_odd_role(postgres, spec)
    lacking = [r for r in found if not r.held]
    told = rights.lines(lacking)
    assert len(told) < len(lacking) / 2
    assert any("INSERT, DELETE" in one.grant and one.grant.count("practice") == 0 for one in told)
    with administrator(postgres, "odd") as admin:
        for one in told:
            admin.execute(one.grant.encode())
    assert [r for r in of_the_odd_role(postgres, spec) if not r.held] == []


CARER = sql.Identifier(ODDLY, f"carer{ODDLY}").as_string()
DOCUMENT = sql.Identifier(f"document{ODDLY}").as_string()
WHO = sql.Identifier(ODD).as_string()
PLACE = sql.Identifier(ODDLY).as_string()
IN_SCHEMA = f"IN SCHEMA {PLACE}"
LATER = "ALTER DEFAULT PRIVILEGES"
NO_LATER = f"{LATER} {IN_SCHEMA} REVOKE SELECT ON TABLES FROM {WHO}"
AN_OBJECT = "SELECT lo_create(4713)"
A_TYPE = "CREATE TYPE other.kind AS ENUM ('a'); REVOKE USAGE ON TYPE other.kind FROM PUBLIC"
A_FUNCTION = """
    CREATE FUNCTION other.said(text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT $1';
    REVOKE EXECUTE ON FUNCTION other.said(text) FROM PUBLIC"""
A_TRIGGER = f"""
    CREATE FUNCTION other.fired() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
    REVOKE EXECUTE ON FUNCTION other.fired() FROM PUBLIC;
    CREATE TRIGGER t BEFORE INSERT ON {CARER} FOR EACH ROW EXECUTE FUNCTION other.fired()"""
A_GROUP = f"CREATE ROLE of_both; GRANT of_both TO {WHO}"
OF_AN_EXTENSION = "CREATE {0}; ALTER EXTENSION pg_trgm ADD {1}"

# what somebody changes where the role has all rights -> the rights that it has no longer
BESIDE: dict[str, dict[str, str]] = {
    f"CREATE TABLE other.{DOCUMENT} (LIKE {PLACE}.{DOCUMENT});"
    f" GRANT SELECT ON other.{DOCUMENT} TO {WHO}": {},
    AN_OBJECT: {"dump_object": "4713"},
    f"{AN_OBJECT}; GRANT UPDATE ON LARGE OBJECT 4713 TO {WHO}": {"dump_object": "4713"},
    f"{AN_OBJECT}; GRANT SELECT ON LARGE OBJECT 4713 TO {ROLE}": {"dump_object": "4713"},
    f"{AN_OBJECT}; GRANT SELECT ON LARGE OBJECT 4713 TO PUBLIC": {},
    f"{AN_OBJECT}; {A_GROUP}; GRANT SELECT ON LARGE OBJECT 4713 TO of_both": {},
    f"{AN_OBJECT}; {A_GROUP}; ALTER LARGE OBJECT 4713 OWNER TO of_both": {},
    f"{AN_OBJECT}; SET LOCAL lo_compat_privileges = on": {},
    f"{A_TYPE}; ALTER TABLE {CARER} ADD kind other.kind": {"type": "other.kind"},
    f"{A_TYPE}; ALTER TABLE {CARER} ADD kinds other.kind[]": {"type": "other.kind"},
    f"{A_TYPE}; ALTER TABLE other.of_nobody ADD kind other.kind": {},
    f"{A_TYPE}; CREATE TABLE other.{DOCUMENT} (kind other.kind);"
    f" GRANT SELECT ON other.{DOCUMENT} TO {WHO}": {},
    f"{A_FUNCTION}; CREATE INDEX ON {CARER} (other.said(named))": {"function": "other.said(text)"},
    f"{A_FUNCTION}; ALTER TABLE {CARER} ADD a text DEFAULT other.said('x')": {
        "function": "other.said(text)"
    },
    f"{A_FUNCTION}; CREATE TABLE other.more (a text CHECK (other.said(a) = a));"
    f" CREATE INDEX ON other.more (other.said(a)); GRANT SELECT ON other.more TO {WHO};"
    " ALTER TABLE other.more ADD b text DEFAULT other.said('x')": {},
    A_TRIGGER: {},
    NO_LATER: {"later_table": "IN SCHEMA"},
    f"{LATER} {IN_SCHEMA} REVOKE SELECT ON SEQUENCES FROM {WHO}": {"later_sequence": "IN SCHEMA"},
    f"{NO_LATER}; {LATER} {IN_SCHEMA} GRANT INSERT ON TABLES TO {WHO}": {
        "later_table": "IN SCHEMA"
    },
    f"{NO_LATER}; {LATER} IN SCHEMA other GRANT SELECT ON TABLES TO {WHO}": {
        "later_table": "IN SCHEMA"
    },
    f"{NO_LATER}; {LATER} {IN_SCHEMA} GRANT SELECT ON TABLES TO {ROLE}": {
        "later_table": "IN SCHEMA"
    },
    f"{NO_LATER}; {LATER} FOR ROLE {OWNER} {IN_SCHEMA} GRANT SELECT ON TABLES TO {WHO}": {
        "later_table": "IN SCHEMA"
    },
    f"{NO_LATER}; {LATER} GRANT SELECT ON TABLES TO {WHO}": {},
    f"{NO_LATER}; {LATER} {IN_SCHEMA} GRANT SELECT ON TABLES TO PUBLIC": {},
    f"{NO_LATER}; {A_GROUP}; {LATER} {IN_SCHEMA} GRANT SELECT ON TABLES TO of_both": {},
    f"ALTER ROLE {WHO} NOCREATEDB NOBYPASSRLS": {"rehearse": "", "restore": "", "every_row": ""},
    f"ALTER ROLE {WHO} NOCREATEDB NOBYPASSRLS SUPERUSER": {},
    "CREATE TABLE other.more (x int)": {"dump": "other.more"},
    "CREATE UNLOGGED TABLE other.more (x int)": {"dump": "other.more"},
    "CREATE TABLE other.more (x int) PARTITION BY RANGE (x)": {"dump": "other.more"},
    "CREATE SEQUENCE other.more": {"dump_sequence": "other.more"},
    f"REVOKE SELECT ON other.of_an_extension FROM {WHO}": {"dump": "other.of_an_extension"},
    f"ALTER EXTENSION pg_trgm ADD TABLE {CARER}; REVOKE INSERT ON {CARER} FROM {WHO}": {
        "insert": "carer"
    },
    OF_AN_EXTENSION.format("TABLE other.more (x int)", "TABLE other.more"): {},
    OF_AN_EXTENSION.format("SEQUENCE other.more", "SEQUENCE other.more"): {},
    OF_AN_EXTENSION.format(f"SEQUENCE {PLACE}.more", f"SEQUENCE {PLACE}.more")
    + f"; REVOKE ALL ON SEQUENCE {PLACE}.more FROM {WHO}": {},
    OF_AN_EXTENSION.format("TABLE other.more (x int)", "TABLE other.more")
    + "; UPDATE pg_extension SET extconfig = NULL WHERE extname = 'pg_trgm'": {},
    f"CREATE TABLE {PLACE}.more (x int) PARTITION BY RANGE (x);"
    f" ALTER TABLE {PLACE}.more OWNER TO {OWNER}": {"later_table": OWNER, "later_sequence": OWNER},
    f"CREATE VIEW {PLACE}.more AS SELECT 1; ALTER VIEW {PLACE}.more OWNER TO {OWNER}": {},
    "SET LOCAL default_tablespace = pg_default": {},
    "CREATE VIEW other.more AS SELECT 1; CREATE TEMP TABLE more (x int)": {},
}


def test_what_lies_beside_takes_no_right_away_and_what_is_near_gives_none(
    postgres: PostgresServer, odd: tuple[str, FieldMapping]
) -> None:
    _, spec = odd
    with administrator(postgres, "odd") as admin:
        for right in of_the_odd_role(postgres, spec):
            if not right.held:
                admin.execute(right.statement.encode())
        assert [r for r in of_the_odd_role(postgres, spec) if not r.held] == []
        names = {rule: name for name, rule in RULES.items()}
        differing = {}
        for changed, expected in BESIDE.items():
            with admin.transaction(force_rollback=True):
                admin.execute(changed.encode())
                admin.execute(f"SET LOCAL ROLE {WHO}; SET LOCAL search_path = pg_catalog".encode())
                lacking = [r for r in rights.read(admin, spec) if not r.held]
            found = {names[r.rule]: r.object for r in lacking}
            if found.keys() != expected.keys() or not all(
                text in found[name] for name, text in expected.items()
            ):
                differing[changed] = found
    assert differing == {}


# ------------------------------------------------------------------ as the server itself decides


def held(clinic: Clinic, rule: str, on: str) -> bool:
    """Whether our role has a right of the list on one object, as the list sees it."""
    with connected(environments.load(DEV).postgres) as connection:
        found = rights.read(connection, mapping.load("nexus"))
    (right,) = [r for r in found if r.rule is RULES[rule] and r.object == on]
    return right.held


@pytest.fixture
def group(clinic: Clinic) -> Iterator[str]:
    name = f"group_{clinic.databases['dev']}"
    with administrator(clinic.server) as admin:
        admin.execute(f"CREATE ROLE {name} NOLOGIN")
    yield name
    for database in (clinic.databases["dev"], "postgres"):
        with administrator(clinic.server, database) as admin:
            admin.execute(f"DROP OWNED BY {name}")
    with administrator(clinic.server) as admin:
        admin.execute(f"DROP ROLE {name}")


def test_groups_public_inheritance_and_single_columns_count_as_the_server_counts_them(
    clinic: Clinic, group: str
) -> None:
    clinic.do(f"REVOKE SELECT ON notes FROM {ROLE}")
    assert not held(clinic, "select", "public.notes")
    clinic.do(f"GRANT SELECT (id, content) ON notes TO {ROLE}")
    assert not held(clinic, "select", "public.notes"), "single columns are not enough for a dump"
    clinic.do(f"GRANT SELECT ON notes TO {group}")
    with administrator(clinic.server) as admin:
        admin.execute(f"GRANT {group} TO {ROLE} WITH INHERIT FALSE")
        assert not held(clinic, "select", "public.notes"), "it would have to SET ROLE first"
        admin.execute(f"GRANT {group} TO {ROLE} WITH INHERIT TRUE")
        assert held(clinic, "select", "public.notes")
        admin.execute(f"REVOKE {group} FROM {ROLE}")
    clinic.do("GRANT SELECT ON notes TO PUBLIC")
    assert held(clinic, "select", "public.notes")


def test_a_lock_is_had_with_exactly_the_privileges_that_the_list_names(clinic: Clinic) -> None:
    """LOCK TABLE IN EXCLUSIVE MODE, privilege by privilege, against the server of these tests."""
    lock = "BEGIN; LOCK TABLE public.sms_templates IN EXCLUSIVE MODE NOWAIT; ROLLBACK"
    clinic.do(f"REVOKE ALL ON sms_templates FROM {ROLE}")
    (version,) = clinic.rows("SELECT current_setting('server_version_num')::int")[0]
    could = []
    for privilege in rights.table_privileges(version):
        clinic.do(f"GRANT {privilege} ON sms_templates TO {ROLE}")
        try:
            clinic.do(lock, role=ROLE)
            could.append(privilege)
        except psycopg.errors.InsufficientPrivilege:
            pass
        clinic.do(f"REVOKE {privilege} ON sms_templates FROM {ROLE}")
    clinic.do(f"GRANT UPDATE (name) ON sms_templates TO {ROLE}")
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        clinic.do(lock, role=ROLE)
    assert tuple(could) == rights.lock_privileges(version)
    assert rights.lock_privileges(160004) == ("UPDATE", "DELETE", "TRUNCATE")


def test_pg_dump_fails_without_each_right_that_the_list_asks_for_it(
    clinic: Clinic, tmp_path: Path
) -> None:
    """Other schemas, sequences, large objects and tables of extensions are in a whole dump."""
    settings = environments.load(DEV).postgres
    with administrator(clinic.server, clinic.databases["dev"]) as admin:
        admin.execute(f"""
            CREATE SCHEMA elsewhere; CREATE TABLE elsewhere.plain (x int);
            CREATE EXTENSION pg_trgm; CREATE TABLE elsewhere.of_an_extension (x int);
            ALTER EXTENSION pg_trgm ADD TABLE elsewhere.of_an_extension;
            UPDATE pg_extension SET extconfig = ARRAY['elsewhere.of_an_extension'::regclass::oid],
                extcondition = ARRAY[''] WHERE extname = 'pg_trgm';
            CREATE EXTENSION hstore; CREATE TABLE elsewhere.in_no_dump (x int);
            ALTER EXTENSION hstore ADD TABLE elsewhere.in_no_dump;
            CREATE SEQUENCE elsewhere.counted; SELECT lo_create(4711);
            GRANT USAGE ON SCHEMA elsewhere TO {ROLE};
            GRANT SELECT ON ALL TABLES IN SCHEMA elsewhere TO {ROLE};
            GRANT SELECT ON ALL SEQUENCES IN SCHEMA elsewhere TO {ROLE};
            GRANT SELECT ON LARGE OBJECT 4711 TO {ROLE};
        """)
        admin.execute(f"REVOKE SELECT ON elsewhere.in_no_dump FROM {ROLE}")
        dump: list[str | Path] = [
            binaries() / "pg_dump",
            "--format=custom",
            "--no-password",
            f"--file={tmp_path / 'dump'}",
        ]
        pg_tools.run(dump, settings, tmp_path / "log")
        for privilege, on, rule, name in (
            ("USAGE", "SCHEMA elsewhere", "usage", "elsewhere"),
            ("SELECT", "TABLE elsewhere.plain", "dump", "elsewhere.plain"),
            ("SELECT", "TABLE elsewhere.of_an_extension", "dump", "elsewhere.of_an_extension"),
            ("SELECT", "SEQUENCE elsewhere.counted", "dump_sequence", "elsewhere.counted"),
            ("SELECT", "LARGE OBJECT 4711", "dump_object", "4711"),
        ):
            admin.execute(f"REVOKE {privilege} ON {on} FROM {ROLE}")
            assert not held(clinic, rule, name)
            with pytest.raises(TargetError) as told:
                pg_tools.run(dump, settings, tmp_path / "log")
            assert isinstance(told.value, Denied), (on, (tmp_path / "log").read_text())
            assert on.split()[-1].rpartition(".")[2] in str(told.value)
            admin.execute(f"GRANT {privilege} ON {on} TO {ROLE}")


# ------------------------------------------------------------------ asked for before anything


REVOKED = (
    ("INSERT, DELETE ON TABLE notes", "INSERT, DELETE, UPDATE on table public.notes"),
    ("SELECT ON TABLE clinics", "SELECT on table public.clinics"),
    ("UPDATE (object_id) ON TABLE documents_document", "on table public.documents_document"),
    ("USAGE ON SCHEMA public", "USAGE on schema public"),
    ("CREATE ON DATABASE {database}", "CREATE on database"),
)


def test_all_that_is_missing_is_told_at_once_before_filemaker_is_read(clinic: Clinic) -> None:
    database = clinic.databases["dev"]
    with administrator(clinic.server, database) as admin:
        admin.execute("REVOKE USAGE ON SCHEMA public FROM PUBLIC")
        for given, _ in REVOKED:
            admin.execute(f"REVOKE {given.format(database=database)} FROM {ROLE}".encode())
        admin.execute(f"REVOKE UPDATE ON ALL TABLES IN SCHEMA public FROM {ROLE}")
        before = clinic.state()
        with pytest.raises(StopError) as told:
            runbook.begin(DEV)
        assert told.value.what.startswith("14 rights are missing for role nexus_reimport\n")
        assert all(said in told.value.what for _, said in REVOKED)
        assert not clinic.simulator.requests
        assert record.every(environments.load(DEV)) == []
        assert clinic.state() == before
        statements = told.value.next.splitlines()[1:]
        assert all(s.endswith(f" TO {ROLE};") for s in statements)
        for given in statements:
            admin.execute(given.strip().encode())
    runbook.begin(DEV)


def test_prod_without_a_copy_to_rehearse_on_is_refused_before_filemaker_is_read(
    no_createdb: Clinic,
) -> None:
    no_createdb.add_prod()
    with administrator(no_createdb.server) as admin:
        admin.execute(f"ALTER ROLE {ROLE} NOCREATEDB")
    with pytest.raises(StopError, match=f"ALTER ROLE {ROLE} CREATEDB;"):
        runbook.begin(PROD)
    assert not no_createdb.simulator.requests


def test_a_right_that_is_revoked_after_the_preflight_stops_before_the_window(
    clinic: Clinic, rehearsed: Path, tmp_path: Path
) -> None:
    path = clinic.folder / f"{DEV}.toml"
    sign = tmp_path / "closed"
    path.write_text(f'{path.read_text()}\n[hooks]\nenter = ["touch", "{sign}"]\nleave = ["true"]\n')
    book = clinic.approved(rehearsed)
    before = clinic.state()
    clinic.do(f"REVOKE INSERT ON notes FROM {ROLE}")
    with pytest.raises(StopError, match=r"INSERT on table public\.notes") as told:
        book.apply()
    assert f"GRANT INSERT ON TABLE public.notes TO {ROLE};" in told.value.next
    assert not sign.exists(), "no maintenance page went up"
    assert clinic.state() == before
    clinic.do(f"GRANT INSERT ON notes TO {ROLE}")
    assert book.apply().committed


def test_a_right_that_is_revoked_under_the_locks_is_named_and_all_is_as_it_was(
    clinic: Clinic, rehearsed: Path
) -> None:
    book = clinic.approved(rehearsed)
    before = clinic.state()
    journal = book.run.journal

    def watched(event: Event, **facts: Any) -> None:
        journal(event, **facts)
        if facts.get("step") == "insert":
            clinic.do(f"REVOKE INSERT ON notes FROM {ROLE}")

    load = book.run.load
    order = book._request(
        load(Plan),
        load(Proposal),
        load(Approval),
    )
    with pytest.raises(Denied) as told:
        book.execute(
            "applied",
            "apply",
            book.window,
            lambda: apply.apply(
                book.settings.postgres,
                order,
                book._check_inside,
                commit=True,
                journal=watched,
            ),
        )
    assert "SQLSTATE 42501, a right is missing: table notes" in told.value.what
    assert "INSERT on table public.notes: rows are loaded" in told.value.what
    assert f"GRANT INSERT ON TABLE public.notes TO {ROLE};" in told.value.next
    assert "rolled back" in told.value.state
    assert clinic.state() == before


def test_each_command_asks_for_what_it_needs_before_it_starts(
    clinic: Clinic,
) -> None:
    run = clinic.whole().run.id
    schema = f"nexus_reimport_undo_{run.lower().replace('-', '_')}"
    database, live = clinic.databases["dev"], clinic.state()
    with administrator(clinic.server, database) as admin:
        admin.execute(f"ALTER SCHEMA {schema} OWNER TO {OWNER}")
        with pytest.raises(StopError, match=f"ALTER SCHEMA {schema} OWNER TO {ROLE};"):
            runner.purge_undo(DEV, 0)
        with pytest.raises(StopError, match=f"GRANT USAGE ON SCHEMA {schema} TO {ROLE};"):
            runner.rollback(runner.RollbackOptions(run=run))
        admin.execute(f"ALTER SCHEMA {schema} OWNER TO {ROLE}")
        admin.execute(f"ALTER ROLE {ROLE} NOCREATEDB")
        try:
            with pytest.raises(StopError, match=f"ALTER ROLE {ROLE} CREATEDB;"):
                runner.restore_into(run, f"{database}_back")
        finally:
            admin.execute(f"ALTER ROLE {ROLE} CREATEDB")
        admin.execute(f"REVOKE DELETE ON appointments FROM {ROLE}")
        with pytest.raises(StopError, match=r"GRANT DELETE ON TABLE public\.appointments"):
            runner.rollback(runner.RollbackOptions(run=run))
        runbook.begin(DEV, links_only=True)  # which deletes nothing
        admin.execute(f"GRANT DELETE ON appointments TO {ROLE}")
        assert clinic.state() == live
        assert runner.purge_undo(DEV, 0)


def test_adopting_asks_for_its_rights_and_a_marker_of_another_role_is_told(clinic: Clinic) -> None:
    database = clinic.databases["dev"]
    with administrator(clinic.server, database) as admin:
        admin.execute("DROP SCHEMA nexus_reimport CASCADE")
        admin.execute(f"REVOKE CREATE ON DATABASE {database} FROM {ROLE}")
        with pytest.raises(StopError, match=f"GRANT CREATE ON DATABASE {database} TO {ROLE};"):
            adoption.candidate(DEV)
        admin.execute(f"GRANT CREATE ON DATABASE {database} TO {ROLE}")
        adoption.adopt(adoption.candidate(DEV))
        admin.execute("ALTER SCHEMA nexus_reimport OWNER TO nexus")
        admin.execute("ALTER TABLE nexus_reimport.deployment OWNER TO nexus")
        with pytest.raises(StopError, match=r"ownership on nexus_reimport\.deployment") as told:
            runbook.begin(DEV)
        assert f"GRANT USAGE, CREATE ON SCHEMA nexus_reimport TO {ROLE};" in told.value.next
        for given in told.value.next.splitlines()[1:]:
            admin.execute(given.strip().encode())
    runbook.begin(DEV)


def test_an_autovacuum_is_known_by_a_role_that_may_not_read_what_others_do(tmp_path: Path) -> None:
    """Who holds a lock: to such a role PostgreSQL hides even that it is an autovacuum."""
    slow = {
        "autovacuum_naptime": "1s",
        "autovacuum_vacuum_cost_delay": "100ms",
        "autovacuum_vacuum_cost_limit": "1",
    }
    with PostgresServer.start(tmp_path / "slow", durable=False, tuned=slow) as server:
        server.create_role(ROLE)
        with server.access.connect() as admin, server.access.connect("postgres", ROLE) as ours:
            admin.execute(
                "CREATE TABLE t AS SELECT repeat('x', 500) FROM generate_series(1, 20000)"
            )
            admin.execute("DELETE FROM t")
            found: list[str] = []

            def seen() -> bool:
                holders = ours.execute(statement("lock_holders"), {"tables": ["public.t"]})
                found[:] = [kind for _, _, kind, _ in holders]
                return bool(found)

            assert process.until(seen, seconds=120, pause=0.1)
        server.remove()
    assert set(found) == {AUTOVACUUM}


# ------------------------------------------------------------------ what is refused all the same


def test_a_refused_right_names_the_object_and_no_text_that_people_wrote(clinic: Clinic) -> None:
    settings = environments.load(DEV).postgres
    clinic.do(f"REVOKE SELECT ON notes FROM {ROLE}")
    with (
        pytest.raises(Denied, match="a right is missing: table notes"),
        connected(settings) as connection,
    ):
        connection.execute("SELECT count(*) FROM public.notes")
    clinic.do(
        "CREATE FUNCTION public.refuses() RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION"
        " 'permission denied for table Wendelgard' USING ERRCODE = '42501'; END $$"
    )
    with pytest.raises(Denied) as told, connected(settings) as connection:
        connection.execute("SELECT public.refuses()")
    assert "Wendelgard" not in str(told.value)
    assert "docs/rights.md" in told.value.next


@pytest.mark.parametrize(
    ("message", "named"),
    [
        ("permission denied for sequence patients_id_seq", "sequence patients_id_seq"),
        ("must be owner of table runs", "table runs"),
        ("permission denied for large object 4711", "large object 4711"),
        ("keine Berechtigung für Tabelle notes", "notes"),
        ("droit refusé pour la table « notes »", "notes"),
    ],
)
def test_the_object_is_found_in_the_servers_own_message(message: str, named: str) -> None:
    assert denied._object(message) == named


def test_a_vacuum_that_is_not_ours_to_do_is_a_warning_that_says_who_may(clinic: Clinic) -> None:
    clinic.do(f"REVOKE MAINTAIN ON notes, reminders FROM {ROLE}")
    book = clinic.preflight(dry=True)
    book.approve(rehearsed=True)
    applied = book.apply()
    (warning,) = applied.warnings
    assert warning == (
        "VACUUM (ANALYZE) was not done of notes, reminders: it needs MAINTAIN, or their owner"
        f" {OWNER}; autovacuum will do it later"
    )


def test_a_table_whose_rows_are_hidden_from_the_role_stops(clinic: Clinic) -> None:
    clinic.do("ALTER TABLE notes ENABLE ROW LEVEL SECURITY")
    with pytest.raises(StopError, match=f"ALTER ROLE {ROLE} BYPASSRLS;"):
        runbook.begin(DEV)


def test_a_sequence_whose_stand_may_not_be_read_or_set_stops(
    postgres: PostgresServer, odd: tuple[str, FieldMapping]
) -> None:
    """Behind an identity and behind a default that owns no sequence: both are set by a run."""
    _, spec = odd
    found = [r.object for r in of_the_odd_role(postgres, spec) if r.rule is RULES["sequence"]]
    assert len(found) == 4 - 1
    assert any("own_default" in name for name in found)
    assert rights.missing(of_the_odd_role(postgres, spec), Task.RUN)


def test_what_a_migration_makes_later_can_be_read_by_default(clinic: Clinic) -> None:
    clinic.do("CREATE TABLE made_by_a_migration (id serial PRIMARY KEY)")
    assert planned().run.has(Plan)


def test_a_copy_of_the_database_has_the_tables_rights_and_asks_for_the_rest(
    clinic: Clinic,
) -> None:
    name = f"{clinic.databases['dev']}_copied"
    clinic.server.create_database(name, template=clinic.databases["dev"], owner=OWNER)
    try:
        clinic.edit(DEV, clinic.databases["dev"], name)
        with connected(environments.load(DEV).postgres) as connection:
            lacking = rights.missing(rights.read(connection, mapping.load("nexus")), Task.RUN)
        assert [r.statement for r in lacking] == [f"GRANT CREATE ON DATABASE {name} TO {ROLE};"]
    finally:
        clinic.server.drop_database(name)
