"""Each obstacle is found by catalog, and the statement that is printed for it takes it away."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from nexus_reimport import mapping as mappings
from nexus_reimport import runbook, show
from nexus_reimport import settings as environments
from nexus_reimport.errors import StopError
from nexus_reimport.nexus.connection.postgres import connected
from nexus_reimport.nexus.structure import obstacles, references, schema
from nexus_reimport.nexus.structure.database import Database
from nexus_reimport.nexus.structure.obstacles import Problem
from nexus_reimport.record.notebooks import first_screen
from nexus_reimport.runbook import rollback
from nexus_sandbox.postgres.server import PostgresServer
from nexus_sandbox.s3.server import S3Server
from support.altered import Altered, altered
from support.clinic import ROLE, Clinic, taken_back
from support.second_installation import SCHEMA

NASTY = '"Odd "" schema"."It\'s a Table"'
OF_NASTY = f'CREATE TABLE {NASTY} ("N o" integer, "Per""son" integer, "Alt\'s" integer, '
DO = 'EXECUTE FUNCTION "Odd "" schema"."Do it"()'
BEFORE = (
    SCHEMA
    + """
SET CONSTRAINTS ALL IMMEDIATE;
CREATE SCHEMA "Odd "" schema";
CREATE FUNCTION "Odd "" schema"."Do it"() RETURNS trigger LANGUAGE plpgsql
    AS 'BEGIN RETURN NEW; END';
ALTER TABLE practice.person ADD UNIQUE (legacy_no, id);
"""
)
# what is there -> what is said of it
OBSTACLE_PAIRS = (
    (
        OF_NASTY + 'CONSTRAINT "Wears It" FOREIGN KEY ("Per""son") REFERENCES practice.person'
        " ON DELETE CASCADE)",
        "foreign key Wears It .* has an ON DELETE or ON UPDATE action",
    ),
    (
        OF_NASTY + 'CONSTRAINT "Wears It" FOREIGN KEY ("Per""son") REFERENCES practice.person'
        ' ON DELETE SET NULL ("Per""son") ON UPDATE CASCADE DEFERRABLE)',
        "foreign key Wears It .* has an ON DELETE or ON UPDATE action",
    ),
    (
        OF_NASTY + 'CONSTRAINT "Wears It" FOREIGN KEY ("Per""son") REFERENCES practice.person'
        " ON DELETE RESTRICT)",
        "foreign key Wears It .* has an ON DELETE or ON UPDATE action",
    ),
    (
        OF_NASTY + 'a text, CONSTRAINT "Wears It" FOREIGN KEY (a, "Per""son")'
        " REFERENCES practice.person (legacy_no, id) MATCH FULL ON UPDATE SET DEFAULT)",
        "foreign key Wears It .* has an ON DELETE or ON UPDATE action",
    ),
    (
        OF_NASTY + 'CONSTRAINT "Wears It" FOREIGN KEY ("Per""son") REFERENCES practice.person)',
        "foreign key Wears It .* is not deferrable",
    ),
    (
        OF_NASTY
        + f"""PRIMARY KEY ("N o")); ALTER TABLE {NASTY} ADD CONSTRAINT "Wears It" FOREIGN KEY
    ("Per""son") REFERENCES practice.person ON DELETE CASCADE NOT VALID""",
        "foreign key Wears It .* has an ON DELETE or ON UPDATE action",
    ),
    (
        OF_NASTY + 'CONSTRAINT "Wears It" FOREIGN KEY ("Per""son") REFERENCES practice.person'
        ' ON DELETE CASCADE) PARTITION BY LIST ("N o");'
        f'CREATE TABLE "Odd "" schema"."Part" PARTITION OF {NASTY} DEFAULT',
        "foreign key Wears It .* has an ON DELETE or ON UPDATE action",
    ),
    (
        'CREATE TRIGGER "Do It" BEFORE INSERT ON practice.person FOR EACH ROW'
        ' EXECUTE FUNCTION "Odd "" schema"."Do it"()',
        "trigger Do It on practice.person would fire",
    ),
    (
        'CREATE TRIGGER "Do It" AFTER DELETE ON practice.visit FOR EACH STATEMENT'
        ' EXECUTE FUNCTION "Odd "" schema"."Do it"()',
        "trigger Do It on practice.visit would fire",
    ),
    (
        'CREATE TRIGGER "Do It" AFTER UPDATE ON practice.document FOR EACH ROW'
        ' EXECUTE FUNCTION "Odd "" schema"."Do it"();'
        ' ALTER TABLE practice.document ENABLE ALWAYS TRIGGER "Do It"',
        "trigger Do It on practice.document would fire",
    ),
    (
        'CREATE RULE "Keep It" AS ON DELETE TO practice.visit DO INSTEAD NOTHING',
        "rule Keep It on practice.visit would fire",
    ),
    (
        'CREATE RULE "Tell It" AS ON UPDATE TO practice.document DO ALSO NOTIFY changed',
        "rule Tell It on practice.document would fire",
    ),
    (
        'CREATE TABLE "Odd "" schema"."V I P" () INHERITS (practice.person)',
        'Odd " schema.V I P inherits from practice.person',
    ),
    (
        'CREATE TABLE "Odd "" schema".base (room text); ALTER TABLE practice.visit INHERIT'
        ' "Odd "" schema".base',
        'practice.visit inherits from Odd " schema.base',
    ),
    (
        "ALTER TABLE practice.person REPLICA IDENTITY NOTHING;"
        'CREATE PUBLICATION "Every Body" FOR TABLE practice.person',
        "publication Every Body sends changes of practice.person",
    ),
    (
        'CREATE PUBLICATION "Every Body" FOR TABLE practice.person WHERE (shoe_size > 1)',
        "publication Every Body sends changes of practice.person",
    ),
    (
        "ALTER TABLE practice.person REPLICA IDENTITY FULL;"
        'CREATE PUBLICATION "Every Body" FOR TABLE practice.person (id, given)',
        "publication Every Body lists columns of practice.person",
    ),
    (
        'CREATE SEQUENCE "Odd "" schema"."Nr"; CREATE FUNCTION practice.hidden() RETURNS integer'
        " LANGUAGE plpgsql AS $$BEGIN RETURN nextval(format('%I.%I', 'Odd \" schema', 'Nr'));"
        " END$$;"
        " ALTER TABLE practice.visit ALTER id DROP IDENTITY,"
        " ALTER id SET DEFAULT practice.hidden()",
        r"visit.id gets its keys from practice.hidden\(\)",
    ),
    (
        "ALTER SEQUENCE practice.person_id_seq MAXVALUE 3",
        "sequence practice.person_id_seq behind person.id has no value left",
    ),
    (
        "ALTER TABLE practice.visit ALTER id TYPE smallint;"
        " SELECT setval('practice.visit_id_seq', 32767)",
        "sequence practice.visit_id_seq behind visit.id has no value left",
    ),
    (
        'CREATE SEQUENCE "Odd "" schema"."Down" INCREMENT -1 MINVALUE -2 MAXVALUE -1;'
        """ SELECT setval('"Odd "" schema"."Down"', -2);"""
        " ALTER TABLE practice.visit ALTER id DROP IDENTITY,"
        """ ALTER id SET DEFAULT nextval('"Odd "" schema"."Down"')""",
        'sequence Odd " schema.Down behind visit.id has no value left',
    ),
)
OBSTACLES = dict(OBSTACLE_PAIRS)


@pytest.fixture(scope="module")
def odd(
    postgres: PostgresServer, s3: S3Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Altered]:
    with altered(postgres, s3, tmp_path_factory.mktemp("odd"), BEFORE) as found:
        yield found


def found_in(connection: psycopg.Connection, folder: Path) -> list[Problem]:  # type: ignore[type-arg]
    mapping = mappings.load("second_installation.toml", folder)
    database = Database.read(connection, mapping)
    _, hits = references.unexplained(database, references.declared(database))
    return obstacles.find(database, hits)


def test_the_installation_has_no_obstacle_of_its_own(odd: Altered) -> None:
    assert found_in(odd.connection, odd.folder) == []


@pytest.mark.parametrize("what", OBSTACLES)
def test_each_printed_statement_takes_its_obstacle_away(odd: Altered, what: str) -> None:
    with odd.admin.transaction(force_rollback=True):
        odd.admin.execute(what)
        told = found_in(odd.admin, odd.folder)
        assert len(told) == 1, told
        assert re.search(OBSTACLES[what], told[0].what), told
        odd.admin.execute(told[0].fix)
        assert found_in(odd.admin, odd.folder) == []


@pytest.mark.parametrize(
    "harmless",
    [
        "CREATE TRIGGER t BEFORE TRUNCATE ON practice.person " + DO,
        "CREATE TRIGGER t BEFORE INSERT ON practice.person " + DO + ";"
        "ALTER TABLE practice.person DISABLE TRIGGER t",
        "CREATE TRIGGER t BEFORE INSERT ON practice.person " + DO + ";"
        "ALTER TABLE practice.person ENABLE REPLICA TRIGGER t",
        "CREATE TRIGGER t BEFORE INSERT ON practice.site " + DO,
        "CREATE RULE r AS ON DELETE TO practice.visit DO INSTEAD NOTHING;"
        "ALTER TABLE practice.visit DISABLE RULE r",
        "CREATE PUBLICATION everything FOR ALL TABLES",
        "ALTER TABLE practice.person REPLICA IDENTITY NOTHING;"
        "CREATE PUBLICATION new_rows FOR TABLE practice.person WITH (publish = 'insert')",
        "CREATE PUBLICATION partly FOR TABLE practice.person (id, given) WHERE (id > 1)",
        "CREATE TABLE practice.x (p integer REFERENCES practice.person DEFERRABLE)",
        "CREATE TABLE practice.x (p integer REFERENCES practice.site ON DELETE CASCADE)",
        "CREATE TABLE practice.x (p integer REFERENCES practice.person NOT ENFORCED)",
        "CREATE TABLE practice.x (p integer REFERENCES practice.person ON DELETE CASCADE"
        " NOT ENFORCED)",
        "CREATE VIEW practice.v AS SELECT * FROM practice.person",
        "ALTER TABLE practice.visit ADD CHECK (remark <> 'other') NOT VALID",
    ],
)
def test_what_does_nothing_to_a_run_is_no_obstacle(odd: Altered, harmless: str) -> None:
    with odd.admin.transaction(force_rollback=True):
        odd.admin.execute(harmless)
        assert found_in(odd.admin, odd.folder) == []


BREAKS = 'ALTER TABLE practice.visit ADD CONSTRAINT "Is 100% {{calm}}" '


@pytest.mark.parametrize(
    ("change", "broken_by"),
    [
        (BREAKS + "CHECK (visit.remark !~~ 'made%') NOT VALID", "1 row (Nexus id 3), being NOT"),
        (BREAKS + "CHECK (visit IS NULL) NOT VALID", "3 rows (Nexus id 1, 2, 3), being NOT VALID"),
        (
            "CREATE TABLE practice.word (word text UNIQUE); INSERT INTO practice.word VALUES"
            " (NULL), ('first');"
            + BREAKS
            + "FOREIGN KEY (remark) REFERENCES practice.word (word) DEFERRABLE NOT VALID",
            "1 row (Nexus id 3), being NOT VALID",
        ),
        (BREAKS + "NOT NULL remark NOT VALID", "1 row (Nexus id 2), being NOT VALID"),
        (
            "CREATE FUNCTION practice.calm(text) RETURNS boolean LANGUAGE sql AS 'SELECT true';"
            + BREAKS
            + "CHECK (practice.calm(remark)); CREATE OR REPLACE FUNCTION practice.calm(text)"
            " RETURNS boolean LANGUAGE sql AS $$SELECT $1 <> 'first'$$",
            "1 row (Nexus id 1): neither",
        ),
        (
            BREAKS + "CHECK (100 / (length(remark) - 5) > 0) NOT VALID",
            "1 row or more, SQLSTATE 22012 (DivisionByZero), being NOT VALID: neither",
        ),
    ],
)
def test_a_constraint_that_rows_break_is_an_obstacle_before_a_rollback_needs_them(
    odd: Altered, change: str, broken_by: str
) -> None:
    """Such a row was purged, and the rehearsal's rollback could not put it back."""
    with odd.admin.transaction(force_rollback=True):
        odd.admin.execute(change)
        (told,) = found_in(odd.admin, odd.folder)
        name = "constraint Is 100% {{calm}} of practice.visit is broken by"
        assert told.what.startswith(f"{name} {broken_by}")
        assert "made" not in told.what
        if "NOT VALID" in told.what:
            odd.admin.execute("DELETE FROM practice.visit")
            odd.admin.execute("SET CONSTRAINTS ALL IMMEDIATE")
            odd.admin.execute(told.fix.partition("then run: ")[2])
            assert found_in(odd.admin, odd.folder) == []


def test_the_survey_goes_on_after_a_condition_that_cannot_be_computed(
    postgres: PostgresServer, s3: S3Server, tmp_path: Path
) -> None:
    more = SCHEMA + (
        "SET CONSTRAINTS ALL IMMEDIATE;"
        "ALTER TABLE practice.visit"
        " ADD CONSTRAINT c CHECK (100 / (length(remark) - 5) > 0) NOT VALID"
    )
    with altered(postgres, s3, tmp_path, more) as found:
        (blocked,) = found.checked()[1].blocking
        assert "constraint c of practice.visit is broken by 1 row or more" in str(blocked)


@pytest.mark.parametrize("forced", ["FORCE ROW LEVEL SECURITY", "OWNER TO postgres"])
def test_hidden_rows_stop_the_survey_before_anything_is_counted(
    postgres: PostgresServer, s3: S3Server, tmp_path: Path, forced: str
) -> None:
    hidden = SCHEMA + (
        "SET CONSTRAINTS ALL IMMEDIATE; CREATE POLICY mine ON practice.site USING (id = 1);"
        "ALTER TABLE practice.site ENABLE ROW LEVEL SECURITY;"
        "GRANT ALL ON practice.site TO PUBLIC"
    )
    with altered(postgres, s3, tmp_path, hidden) as found:
        found.do(f"ALTER TABLE practice.site {forced}", admin=True)
        found.do("GRANT ALL ON practice.site, practice.site_id_seq TO PUBLIC", admin=True)
        found.do(f"ALTER ROLE {ROLE} NOBYPASSRLS", admin=True)
        try:
            with pytest.raises(StopError, match="BYPASSRLS"):
                runbook.begin("second")
            with (
                connected(environments.load("second").postgres) as connection,
                pytest.raises(StopError, match=r"may hide rows of 1 table.*practice.site") as told,
            ):
                obstacles.refuse_hidden_rows(connection)
            statement = told.value.next.partition("run: ")[2].partition(";")[0]
            assert statement == f'ALTER ROLE "{ROLE}" BYPASSRLS'
            found.do(statement, admin=True)
            assert found.whole().run.verdict() == "COMPLETE"
        finally:
            found.do(f"ALTER ROLE {ROLE} NOBYPASSRLS", admin=True)


def test_ids_that_nothing_explains_are_explained_by_the_printed_lines(
    postgres: PostgresServer, s3: S3Server, tmp_path: Path
) -> None:
    loose = SCHEMA + (
        'CREATE TABLE practice."Loose ""one""" (id serial PRIMARY KEY, "It\'s" uuid);'
        'INSERT INTO practice."Loose ""one""" ("It\'s") SELECT id FROM practice.carer'
    )
    with altered(postgres, s3, tmp_path, loose) as found:
        _, report = found.checked()
        (blocked,) = report.blocking
        assert blocked.check == "nothing_unexplained_points_at_the_rows"
        (told,) = found_in(found.connection, tmp_path)
        assert told.what.startswith('Loose "one".It\'s holds 1 id')
        lines = told.fix.partition("\n")[2]
        mapping = tmp_path / "second_installation.toml"
        mapping.write_text(f"{mapping.read_text()}\n{lines}\n")
        _, report = found.checked()
        assert not report.blocking


def test_what_acts_beside_a_run_is_told_before_it(
    postgres: PostgresServer, s3: S3Server, tmp_path: Path
) -> None:
    beside = (
        SCHEMA
        + """
        SET CONSTRAINTS ALL IMMEDIATE;
        CREATE VIEW practice.names AS SELECT given FROM practice.person;
        CREATE MATERIALIZED VIEW practice."Name List" AS SELECT * FROM practice.names;
        CREATE PUBLICATION partly FOR TABLE practice.visit;
        SELECT setval('practice.visit_id_seq', 1, false);
        SELECT lo_create(0);
    """
    )
    admin = (
        "CREATE FUNCTION public.ev() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';"
        "CREATE EVENT TRIGGER watch ON ddl_command_end EXECUTE FUNCTION public.ev();"
    )
    with altered(postgres, s3, tmp_path, beside, admin) as found:
        book = found.approved()
        report = book.check_before()
        (said,) = [r for r in report.results if r.check == "nothing_acts_beside_the_run"]
        told = "\n".join(said.sample)
        for part in (
            "event trigger watch",
            "publication partly",
            "1 large object is",
            'REFRESH MATERIALIZED VIEW "practice"."Name List";',
            "visit_id_seq behind visit.id: 3 rows hold values that",
        ):
            assert part in told, told
        book.rehearse()
        book.propose()
        book.approve(rehearsed=True)
        book.apply()
        assert book.verify().passed
        refresh = 'REFRESH MATERIALIZED VIEW "practice"."Name List";'
        reminder = f"rows from before until somebody executes: {refresh}"
        assert reminder in first_screen.read(book.run.folder).as_text()
        assert any(reminder in str(fact) for fact in show.facts(book.run))
        back = rollback.begin(book.run.environment)
        back.back_up()
        assert back.preview().to_refresh == (refresh,), "it is as old after a rollback"
        found.do(refresh)
        found.do("INSERT INTO practice.visit (person_id, starts) VALUES (1, now())")
        assert found.rows("SELECT last_value FROM practice.visit_id_seq") == [(5,)]


def test_a_table_that_a_crash_empties_is_told(
    postgres: PostgresServer, s3: S3Server, tmp_path: Path
) -> None:
    unlogged = "SET CONSTRAINTS ALL IMMEDIATE; ALTER TABLE practice.carer SET UNLOGGED;"
    with altered(postgres, s3, tmp_path, SCHEMA + unlogged) as found:
        _, report = found.checked()
        (beside,) = [r for r in report.results if r.check == "nothing_acts_beside_the_run"]
        assert [text.partition(":")[0] for text in beside.sample] == [
            "practice.carer is an unlogged table"
        ]
        found.do(re.search(r"execute (.*;)", beside.sample[0])[1])
        (beside,) = [r for r in found.checked()[1].results if r.check == beside.check]
        assert beside.passed


def test_an_event_trigger_that_writes_rolls_the_execution_back_and_its_table_is_named(
    postgres: PostgresServer, s3: S3Server, tmp_path: Path
) -> None:
    admin = (
        "CREATE TABLE public.audit (at timestamptz); GRANT ALL ON public.audit TO PUBLIC;"
        "CREATE FUNCTION public.ev() RETURNS event_trigger LANGUAGE plpgsql AS"
        " 'BEGIN INSERT INTO public.audit VALUES (now()); END';"
        "CREATE EVENT TRIGGER watch ON ddl_command_end EXECUTE FUNCTION public.ev();"
    )
    with altered(postgres, s3, tmp_path, admin=admin) as found:
        book = found.approved()
        before = found.state()
        with pytest.raises(StopError, match=r"public.audit: \d+ rows written, planned 0"):
            book.apply()
        assert found.state() == before


PARTITIONED = (
    SCHEMA.replace(
        "starts timestamptz NOT NULL, ends timestamptz, remark text, room text);",
        """starts timestamptz NOT NULL, ends timestamptz, remark text, room text)
    PARTITION BY RANGE (id);
CREATE SCHEMA parts;
CREATE TABLE parts.low PARTITION OF practice.visit FOR VALUES FROM (0) TO (3)
    PARTITION BY RANGE (id);
CREATE TABLE parts.lowest PARTITION OF parts.low FOR VALUES FROM (0) TO (2);
CREATE TABLE parts.lower PARTITION OF parts.low DEFAULT;
CREATE TABLE practice.visit_rest PARTITION OF practice.visit DEFAULT;
CREATE TABLE practice.log (n integer) PARTITION BY RANGE (n);
CREATE TABLE practice.log_all PARTITION OF practice.log DEFAULT;
CREATE TABLE practice.empty (n integer) PARTITION BY RANGE (n);
CREATE TABLE practice.follow_up (id serial PRIMARY KEY,
    visit_id bigint REFERENCES practice.visit DEFERRABLE INITIALLY DEFERRED)"""
        ";",
    )
    + "INSERT INTO practice.follow_up (visit_id) VALUES (3); INSERT INTO practice.log VALUES (1);"
)


def test_a_partitioned_table_is_counted_at_its_root_all_the_way(
    postgres: PostgresServer, s3: S3Server, tmp_path: Path
) -> None:
    with altered(postgres, s3, tmp_path, PARTITIONED) as found:
        before = found.state()
        run = found.whole().run
        assert run.verdict() == "COMPLETE"
        parts = found.rows("SELECT tableoid::regclass::text, id FROM practice.visit ORDER BY id")
        assert parts == [
            ("parts.lowest", 1),
            ("parts.lower", 2),
            ("practice.visit_rest", 3),
            ("practice.visit_rest", 4),
        ]
        found.do("INSERT INTO practice.visit (person_id, starts) VALUES (1, '2020-01-01 00:00+00')")
        found.do("DELETE FROM practice.visit WHERE starts = '2020-01-01 00:00+00'")
        assert taken_back("second").passed
        assert found.state() == before


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            "CREATE TABLE parts.more (n serial,"
            " v bigint REFERENCES practice.visit ON DELETE CASCADE)",
            "constraint more_v_fkey of parts.more: did not exist",
        ),
        (
            "ALTER TABLE parts.low DETACH PARTITION parts.lowest",
            "table parts.lowest below parts.low: is gone",
        ),
        (
            "ALTER TABLE parts.low DETACH PARTITION parts.lowest; ALTER TABLE parts.low"
            " ATTACH PARTITION parts.lowest FOR VALUES FROM (1) TO (2)",
            "table parts.lowest below parts.low: another definition",
        ),
        (
            "CREATE TRIGGER t BEFORE INSERT ON parts.lower FOR EACH ROW"
            " EXECUTE FUNCTION parts.no()",
            "trigger t of parts.lower: did not exist",
        ),
    ],
)
def test_a_partition_that_was_changed_after_the_approval_stops_the_execution(
    partitioned: Altered, change: str, told: str
) -> None:
    mapping = mappings.load("second_installation.toml", partitioned.folder)
    with partitioned.connection.transaction(force_rollback=True):
        partitioned.do("CREATE FUNCTION parts.no() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN END'")
        was = schema.describe(partitioned.connection, mapping)
        partitioned.do(change)
        now = schema.describe(partitioned.connection, mapping)
    assert told in schema.differences(was, now)


@pytest.fixture(scope="module")
def partitioned(
    postgres: PostgresServer, s3: S3Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Altered]:
    with altered(postgres, s3, tmp_path_factory.mktemp("parts"), PARTITIONED) as found:
        yield found


def test_a_trigger_or_key_on_a_partition_is_an_obstacle_of_its_root(partitioned: Altered) -> None:
    with partitioned.connection.transaction(force_rollback=True):
        partitioned.do(
            "CREATE FUNCTION parts.no() RETURNS trigger LANGUAGE plpgsql"
            " AS 'BEGIN RETURN NEW; END';"
            "CREATE TRIGGER t BEFORE INSERT ON parts.lower FOR EACH ROW"
            " EXECUTE FUNCTION parts.no();"
            # Told once, and not of each partition below.
            "CREATE TRIGGER v BEFORE INSERT ON parts.low FOR EACH ROW"
            " EXECUTE FUNCTION parts.no();"
            # Its root's trigger does not fire, and that of one partition does.
            "CREATE TRIGGER u BEFORE INSERT ON practice.visit FOR EACH ROW"
            " EXECUTE FUNCTION parts.no(); ALTER TABLE practice.visit DISABLE TRIGGER u;"
            "ALTER TABLE parts.lowest ENABLE TRIGGER u;"
            "CREATE TABLE parts.more (n serial, v bigint REFERENCES parts.lowest ON DELETE CASCADE)"
        )
        told = found_in(partitioned.connection, partitioned.folder)
        assert len(told) == 4, told
        for problem in told:
            partitioned.do(problem.fix)
        assert found_in(partitioned.connection, partitioned.folder) == []


def test_every_column_that_holds_ids_is_named_with_whose_they_are(clinic: Clinic) -> None:
    """Also where the columns have collations that PostgreSQL does not compare with each other."""
    clinic.do(
        "CREATE TABLE held (nr integer PRIMARY KEY, one uuid, two text,"
        ' three varchar(40) COLLATE pg_c_utf8, four text COLLATE "C", five text, six text)'
    )
    clinic.do("CREATE DOMAIN some_id AS uuid; CREATE TABLE beside (of_one some_id PRIMARY KEY)")
    clinic.do("ALTER TABLE reminders ALTER id TYPE varchar(36); CREATE TABLE later (of_one uuid)")
    mapping = mappings.load_for(environments.load("sandbox-dev"), clinic.folder)
    with clinic.connect() as connection:
        before = references.unexplained(
            database := Database.read(connection, mapping), references.declared(database)
        )
        connection.execute(
            "WITH p AS (SELECT id, row_number() OVER (ORDER BY id) AS n FROM patients LIMIT 3),"
            " a AS (SELECT id, row_number() OVER (ORDER BY id) AS n FROM appointments LIMIT 3)"
            " INSERT INTO held SELECT n, p.id, upper(p.id::text), upper(a.id::text),"
            " CASE n WHEN 1 THEN a.id ELSE p.id END, 'patient ' || p.id, gen_random_uuid()"
            " FROM p JOIN a USING (n)"
        )
        connection.execute("INSERT INTO beside SELECT id FROM patients ORDER BY id LIMIT 2")
        connection.execute("INSERT INTO later SELECT upper(id)::uuid FROM reminders LIMIT 1")
        counted, hits = references.unexplained(database, references.declared(database))
    assert counted == before[0] > 200
    assert hits == [
        *before[1],
        references.Hit("beside", "of_one", 2, ("patients",)),
        references.Hit("held", "one", 3, ("patients",)),
        references.Hit("held", "two", 3, ("patients",)),
        references.Hit("held", "three", 3, ("appointments",)),
        references.Hit("held", "four", 3, ("appointments", "patients")),
        references.Hit("later", "of_one", 1, ("reminders",)),
    ]


def test_as_many_columns_are_searched_as_there_are(clinic: Clinic) -> None:
    """One query of all was too complex for PostgreSQL where there are thousands of tables."""
    columns = ", ".join(f"c{number} uuid" for number in range(1_500))
    for number in range(14):
        clinic.do(f"CREATE TABLE wide_{number} (nr integer PRIMARY KEY, {columns})")
    mapping = mappings.load_for(environments.load("sandbox-dev"), clinic.folder)
    with clinic.connect() as connection:
        connection.execute("INSERT INTO wide_13 (nr, c1499) SELECT 1, id FROM patients LIMIT 1")
        database = Database.read(connection, mapping)
        counted, hits = references.unexplained(database, references.declared(database))
    assert counted > 14 * 1_500
    assert hits[-1] == references.Hit("wide_13", "c1499", 1, ("patients",))
