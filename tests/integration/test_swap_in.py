"""A dump comes back under another name, and the printed statements swap it in."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from nexus_reimport import runbook, runner, show
from nexus_reimport.errors import RecordError, SettingsError, StopError
from nexus_reimport.nexus.connection import scratch
from nexus_reimport.nexus.connection.postgres import connected, exported_snapshot
from nexus_reimport.record import Verdict
from nexus_reimport.runbook import adoption
from nexus_reimport.stages import backup, restore
from nexus_sandbox.postgres.server import binaries
from support.clinic import OWNER, ROLE, Clinic, copies, planned
from support.restoring import administrator, drop_aside, named, swap_in
from support.rollbacks import DEV, executed

__all__ = ["named"]


def test_a_dump_comes_back_whole_under_another_name(
    clinic: Clinic, rehearsed: Path, named: str
) -> None:
    before = clinic.state()
    run = executed(clinic, rehearsed)
    after = clinic.state()
    done = runner.restore_into(run.run.id, named)
    assert (done.database, done.live) == (named, clinic.databases["dev"])
    assert f"nexus-reimport adopt {DEV} --this-is-a-copy" in repr(show.restored(done))
    assert clinic.state() == after, "the live database is not touched"
    clinic.databases["restored"] = named
    assert clinic.state("restored", ROLE) == before, "our role's own until it is swapped in"


def test_the_printed_statements_swap_it_in_with_owner_settings_and_grants(
    clinic: Clinic, rehearsed: Path, named: str
) -> None:
    live = clinic.databases["dev"]
    before = clinic.state()
    with administrator(clinic, live) as admin:
        admin.execute(f"CREATE ROLE reader_{live} NOLOGIN")
        admin.execute(f"GRANT SELECT ON notes TO reader_{live}")
        admin.execute(f"GRANT CONNECT ON DATABASE {live} TO reader_{live}")
        admin.execute(f"ALTER DATABASE {live} SET work_mem = '5MB'")
    try:
        book = clinic.preflight(dry=True)
        book.approve(rehearsed=True)
        book.apply()
        done = runner.restore_into(book.run.id, named)
        swap_in(clinic, done)
        assert clinic.state() == before
        assert clinic.value("SHOW work_mem") == "5MB"
        assert clinic.value(f"SELECT has_table_privilege('reader_{live}', 'notes', 'SELECT')")
        assert clinic.value(f"SELECT has_database_privilege('reader_{live}', '{live}', 'CONNECT')")
        with pytest.raises(StopError, match="a copy of"):
            runbook.begin(DEV)
        adoption.adopt(adoption.candidate(DEV, this_is_a_copy=True), this_is_a_copy=True)
        runner.seal(DEV)
        assert clinic.whole(dry=True).run.verdict() is Verdict.COMPLETE
    finally:
        drop_aside(clinic)
        with administrator(clinic, live) as admin:
            admin.execute(f"DROP OWNED BY reader_{live}")
            admin.execute(f"REVOKE ALL ON DATABASE {live} FROM reader_{live}")
            admin.execute(f"DROP ROLE reader_{live}")


BELONGINGS = """
    SELECT 'relation', c.oid::regclass::text, pg_get_userbyid(c.relowner),
           (SELECT array_agg(DISTINCT (a.grantee::regrole::text, a.privilege_type, a.is_grantable)
                ::text ORDER BY (a.grantee::regrole::text, a.privilege_type, a.is_grantable)::text)
              FROM aclexplode(coalesce(c.relacl, acldefault(
                  CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", c.relowner))) a)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname IN ('public', 'nexus_reimport') AND c.relkind IN ('r', 'v', 'S')
    UNION ALL
    SELECT 'column', a.attrelid::regclass || '.' || a.attname, '',
           (SELECT array_agg((x.grantee::regrole::text, x.privilege_type)::text
                ORDER BY (x.grantee::regrole::text, x.privilege_type)::text)
              FROM aclexplode(a.attacl) x)
    FROM pg_attribute a WHERE a.attacl IS NOT NULL AND a.attrelid >= 16384
    UNION ALL
    SELECT 'schema', n.nspname, pg_get_userbyid(n.nspowner),
           (SELECT array_agg((x.grantee::regrole::text, x.privilege_type)::text
                ORDER BY (x.grantee::regrole::text, x.privilege_type)::text)
              FROM aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) x)
    FROM pg_namespace n WHERE n.nspname IN ('public', 'nexus_reimport')
    UNION ALL
    SELECT 'function', p.oid::regprocedure::text, pg_get_userbyid(p.proowner),
           (SELECT array_agg((x.grantee::regrole::text, x.privilege_type)::text
                ORDER BY (x.grantee::regrole::text, x.privilege_type)::text)
              FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) x)
    FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace
    UNION ALL
    SELECT 'type', t.oid::regtype::text, pg_get_userbyid(t.typowner), NULL
    FROM pg_type t WHERE t.typnamespace = 'public'::regnamespace AND t.typtype IN ('e', 'd')
    UNION ALL
    SELECT 'default', d.defaclrole::regrole || d.defaclobjtype::text, '',
           (SELECT array_agg((x.grantee::regrole::text, x.privilege_type)::text
                ORDER BY (x.grantee::regrole::text, x.privilege_type)::text)
              FROM aclexplode(d.defaclacl) x)
    FROM pg_default_acl d
    UNION ALL
    SELECT 'database', d.datname || d.datconnlimit || coalesce(
               shobj_description(d.oid, 'pg_database'), ''), pg_get_userbyid(d.datdba),
           (SELECT array_agg((x.grantee::regrole::text, x.privilege_type)::text
                ORDER BY (x.grantee::regrole::text, x.privilege_type)::text)
              FROM aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) x)
    FROM pg_database d WHERE d.datname = current_database()
    UNION ALL
    SELECT 'settings', coalesce(s.setrole::regrole::text, ''), '',
           (SELECT array_agg(x ORDER BY x) FROM unnest(s.setconfig) x)
    FROM pg_db_role_setting s
    WHERE s.setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
    UNION ALL
    SELECT 'publication', p.pubname, pg_get_userbyid(p.pubowner), NULL FROM pg_publication p
    UNION ALL
    SELECT 'extension', e.extname, e.extnamespace::regnamespace::text, NULL FROM pg_extension e
    ORDER BY 1, 2"""


def test_after_the_swap_each_role_may_do_what_it_could_before_and_nothing_else(
    clinic: Clinic, named: str
) -> None:
    """Owners, grants of every kind, default privileges, settings: as the catalog has them."""
    live = clinic.databases["dev"]
    reader, clerk = f"reader_{live}", f'Cle"rk {live}'
    quoted = clerk.replace('"', '""')
    with administrator(clinic, live) as admin:
        admin.execute(f"""
            CREATE ROLE {reader} NOLOGIN; CREATE ROLE "{quoted}" NOLOGIN;
            CREATE TYPE public.mood AS ENUM ('well'); ALTER TYPE public.mood OWNER TO {OWNER};
            CREATE FUNCTION public.counted() RETURNS bigint LANGUAGE sql AS
                'SELECT count(*) FROM public.notes';
            ALTER FUNCTION public.counted() OWNER TO "{quoted}";
            REVOKE EXECUTE ON FUNCTION public.counted() FROM PUBLIC;
            GRANT EXECUTE ON FUNCTION public.counted() TO {reader};
            CREATE VIEW public.recent AS SELECT id FROM public.notes;
            ALTER VIEW public.recent OWNER TO {OWNER};
            GRANT SELECT ON public.recent TO {reader} WITH GRANT OPTION;
            SET ROLE {reader}; GRANT SELECT ON public.recent TO "{quoted}"; RESET ROLE;
            GRANT SELECT (id), UPDATE (content) ON public.notes TO "{quoted}";
            REVOKE DELETE ON public.sms_templates FROM {OWNER};
            REVOKE CREATE ON SCHEMA public FROM PUBLIC; GRANT USAGE ON SCHEMA public TO {reader};
            ALTER DEFAULT PRIVILEGES FOR ROLE {OWNER} GRANT SELECT ON TABLES TO {reader};
            REVOKE TEMPORARY ON DATABASE {live} FROM PUBLIC;
            GRANT TEMPORARY ON DATABASE {live} TO {ROLE}, "{quoted}";
            ALTER DATABASE {live} CONNECTION LIMIT 77;
            COMMENT ON DATABASE {live} IS 'it''s the clinic';
            ALTER DATABASE {live} SET search_path = "$user", public, "Odd, one";
            ALTER DATABASE {live} SET "nexus.mode" = 'a, b';
            ALTER ROLE {OWNER} IN DATABASE {live} SET statement_timeout = '7min';
            CREATE PUBLICATION followed FOR TABLE public.specialties;
            CREATE EXTENSION pg_trgm SCHEMA public; CREATE EXTENSION pageinspect SCHEMA public;
        """)
        before = admin.execute(BELONGINGS).fetchall()
    try:
        book = planned()
        done = runner.restore_into(book.run.id, named)
        swap_in(clinic, done)
        with administrator(clinic, live) as admin:
            after = admin.execute(BELONGINGS).fetchall()
        assert [row for row in after if row not in before] == []
        assert [row for row in before if row not in after] == []
        clinic.do(
            "INSERT INTO public.clinics SELECT gen_random_uuid(), 'made afterwards', abn, phone,"
            " email, address_json, created_at, updated_at, NULL, color, sms_reminder_template,"
            " sms_reminders_enabled FROM public.clinics LIMIT 1"
        )
        assert clinic.value("SELECT count(*) FROM public.clinics WHERE name LIKE 'made after%'")
        assert (book.folder / f"swap_{named}.sql").stat().st_mode & 0o777 == 0o600
        adoption.adopt(adoption.candidate(DEV, this_is_a_copy=True), this_is_a_copy=True)
        runner.seal(DEV)
        runbook.begin(DEV)
    finally:
        drop_aside(clinic)
        for database in (live, "postgres"):
            with administrator(clinic, database) as admin:
                admin.execute(f'DROP OWNED BY {reader}, "{quoted}" CASCADE')
        with administrator(clinic) as admin:
            admin.execute(f'DROP ROLE {reader}, "{quoted}"')


def test_the_script_for_psql_swaps_it_in_too(clinic: Clinic, named: str) -> None:
    live, before = clinic.databases["dev"], clinic.state()
    book = clinic.proposed()
    script = runner.restore_into(book.run.id, named).script
    command = [binaries() / "psql", "--no-psqlrc", "-d", clinic.server.dsn(), "-f", script]
    try:
        subprocess.run(command, check=True, capture_output=True)
        assert clinic.state() == before
        assert clinic.value("SELECT tableowner FROM pg_tables WHERE tablename = 'notes'") == OWNER
        assert clinic.value("SELECT current_database()") == live
    finally:
        drop_aside(clinic)


def test_a_swap_that_breaks_off_leaves_the_clinic_its_database(clinic: Clinic, named: str) -> None:
    """The live one had been renamed by then, and the clinic had none until a person saw it.

    Of what breaks it off, somebody who is connected to the copy by a session that stays is one.
    """
    live, before = clinic.databases["dev"], clinic.state()
    book = clinic.proposed()
    done = runner.restore_into(book.run.id, named)
    text = Path(done.script).read_text()
    kept = Path(done.script).with_name("without_ending_sessions.sql")
    kept.write_text(re.sub("SELECT pg_terminate_backend[^;]*;", "", text))
    command = [binaries() / "psql", "--no-psqlrc", "-d", clinic.server.dsn(), "-f"]
    try:
        with administrator(clinic, named):
            broken = subprocess.run([*command, kept], check=False, capture_output=True, text=True)
        assert f'database "{named}" is being accessed by other users' in broken.stderr
        assert clinic.state() == before
        subprocess.run([*command, done.script], check=True, capture_output=True)
        assert clinic.state() == before
        assert clinic.value("SELECT tableowner FROM pg_tables WHERE tablename = 'notes'") == OWNER
        assert clinic.value("SELECT current_database()") == live
    finally:
        drop_aside(clinic)


def test_a_restored_database_stands_where_its_statements_find_no_room(
    clinic: Clinic, named: str
) -> None:
    book = planned()
    (book.folder / f"swap_{named}.sql").mkdir()  # as a disk that is full, it gives no room
    done = runner.restore_into(book.run.id, named)
    assert done.script == ""
    assert done.swap
    with administrator(clinic) as connection:
        assert scratch.exists(connection, named)
    assert copies(clinic.server) == []


def test_tables_of_another_owner_get_it_back_by_the_printed_statements(
    clinic: Clinic, rehearsed: Path, named: str
) -> None:
    live = clinic.databases["dev"]
    with administrator(clinic, live) as admin:
        admin.execute(f"CREATE ROLE app_{live} NOLOGIN")
        admin.execute(f"GRANT USAGE, CREATE ON SCHEMA public TO app_{live}")
        admin.execute(f"ALTER TABLE general_contacts OWNER TO app_{live}")
        admin.execute(f"GRANT ALL ON general_contacts TO {ROLE}")
    try:
        book = planned()
        done = runner.restore_into(book.run.id, named)
        owner = f'ALTER TABLE public.general_contacts OWNER TO "app_{live}";'
        assert restore.Step(named, owner) in done.swap
        swap_in(clinic, done)
        assert (
            clinic.value("SELECT tableowner FROM pg_tables WHERE tablename = 'general_contacts'")
            == f"app_{live}"
        )
    finally:
        drop_aside(clinic)
        with administrator(clinic, live) as admin:
            admin.execute(f"DROP OWNED BY app_{live} CASCADE")
            admin.execute(f"DROP ROLE app_{live}")


def test_it_never_overwrites_and_takes_only_plain_names(
    clinic: Clinic, rehearsed: Path, named: str
) -> None:
    run = executed(clinic, rehearsed).run.id
    runner.restore_into(run, named)
    live = clinic.databases["dev"]
    for name, told in (
        (named, f"a database {named} exists already"),
        (live, f"a database {live} exists already: the live one"),
        ("nexus_reimport_scratch_x", "dropped automatically"),
        ('x"; DROP DATABASE y', "is not allowed"),
        ("", "is not allowed"),
    ):
        with pytest.raises(StopError, match=told):
            runner.restore_into(run, name)


def test_a_dump_is_only_restored_by_a_record_that_can_be_trusted(
    clinic: Clinic, rehearsed: Path, named: str
) -> None:
    run = executed(clinic, rehearsed)
    dump = run.folder / "nexus.dump"
    whole = dump.read_bytes()
    dump.write_bytes(whole[:-1])
    with pytest.raises(StopError, match=r"nexus.dump is not what was written"):
        runner.restore_into(run.run.id, named)
    dump.unlink()
    with pytest.raises(StopError, match=r"nexus.dump is missing"):
        runner.restore_into(run.run.id, named)
    (run.run.folder / "backup.json").write_text("{}")
    with pytest.raises(RecordError, match="was changed after it was sealed"):
        runner.restore_into(run.run.id, named)
    with pytest.raises(SettingsError, match="no environment has a record of run 'nowhere'"):
        runner.restore_into("nowhere", named)
    with administrator(clinic) as connection:
        assert not connection.execute(
            "SELECT 1 FROM pg_database WHERE datname = %s", (named,)
        ).fetchone()


def test_what_each_program_says_stays_in_a_log_of_its_own(clinic: Clinic, tmp_path: Path) -> None:
    """What pg_dump warns of was gone once pg_restore had listed the dump."""
    for program in ("pg_dump", "pg_restore"):
        loud = tmp_path / program
        loud.write_text(f'#!/bin/sh\necho "$1" >&2\nexec {binaries() / program} "$@"\n')
        loud.chmod(0o700)
    book = runbook.begin(DEV)
    place = book.settings.postgres.model_copy(update={"binaries": tmp_path})
    with connected(place) as connection, exported_snapshot(connection) as shared:
        saved = backup.take(connection, shared, place, book.mapping, book.folder, {})
    with scratch.created(place, saved.shape, book.settings.scratch_register) as copy:
        without = backup.restore(saved, book.folder, copy.place, to_look_at=False)
        backup.left_to_do(saved, book.folder, copy.place, without)
    logs = {path.name: path.read_text() for path in book.folder.glob("*.log")}
    assert {name: text.partition("=")[0].strip() for name, text in logs.items()} == {
        "pg_dump.log": "--format",
        "pg_restore_list.log": "--list",
        "pg_restore.log": "--exit-on-error",
        "pg_restore_print.log": "--use-list",
    }
