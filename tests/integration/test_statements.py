"""What the fixed statements answer beside what they are not asked for: each condition is needed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from nexus_reimport.nexus.connection.postgres import statement
from nexus_sandbox.postgres.server import PostgresServer

PLACES = {"schema": "p", "table": "p.t", "tables": ["t", "u"], "own": "own", "undo": "undo_"}


@pytest.fixture(scope="module")
def database(postgres: PostgresServer) -> Iterator[psycopg.Connection[Any]]:
    """A database with a schema of Nexus (p), another (q), our own and two of undo data."""
    postgres.create_database("statements")
    with psycopg.connect(postgres.dsn("statements"), autocommit=True) as connection:
        connection.execute("""
            CREATE SCHEMA p; CREATE SCHEMA q; CREATE SCHEMA own; CREATE SCHEMA undo_1;
            CREATE EXTENSION pg_trgm; CREATE ROLE asking; CREATE ROLE group_of_asking;
            GRANT group_of_asking TO asking; CREATE ROLE somebody;
            GRANT CREATE, USAGE ON SCHEMA p, q TO asking, somebody""")
        yield connection
    postgres.drop_database("statements")
    with psycopg.connect(postgres.dsn("postgres"), autocommit=True) as connection:
        connection.execute("DROP ROLE asking, group_of_asking, somebody")


def answer(connection: psycopg.Connection[Any], name: str, setup: str) -> list[tuple[Any, ...]]:
    """What the statement ``name`` answers where ``setup`` was done, which is taken back."""
    with connection.transaction(force_rollback=True):
        connection.execute(setup.encode())
        text = statement(name).as_string(connection)
        asked = {key: value for key, value in PLACES.items() if f"%({key})s" in text}
        return connection.execute(statement(name), asked or None).fetchall()


LARGEST = {"smallint": 32767, "integer": 2147483647, "bigint": 9223372036854775807}


def sequence(column: str, name: str, kind: str = "bigint", **differing: Any) -> tuple[Any, ...]:
    facts = {"table": "t", "schema": "p", "increment": 1, "smallest": 1, "largest": LARGEST[kind]}
    facts |= {"cycles": False, "may_read": True} | differing
    return (
        facts["table"], column, facts["schema"], name, facts["increment"], facts["smallest"],
        facts["largest"], LARGEST[kind], facts["cycles"], facts["may_read"],
    )  # fmt: skip


NEXT = "LANGUAGE plpgsql AS $$BEGIN RETURN {}; END$$"

CASES: dict[str, tuple[str, str, list[tuple[Any, ...]]]] = {
    "behind which columns": (
        "sequences",
        """
        CREATE SEQUENCE p.a; CREATE SEQUENCE q.a; CREATE SEQUENCE public.c; CREATE SEQUENCE p.d;
        CREATE SEQUENCE p.e; CREATE SEQUENCE p."F g"; CREATE SEQUENCE q.h; CREATE SEQUENCE p.x;
        CREATE FUNCTION p.next_d() RETURNS bigint LANGUAGE sql
            BEGIN ATOMIC SELECT nextval('p.d'); END;
        CREATE FUNCTION p.next_e() RETURNS bigint """
        + NEXT.format("NEXTVAL ( 'p.E' )")
        + """;
        CREATE TABLE p.t (
            gone bigint DEFAULT nextval('p.x'), i bigint GENERATED ALWAYS AS IDENTITY,
            a bigint DEFAULT nextval('p.a'), b bigint DEFAULT nextval(('a'::text)::regclass),
            c bigint DEFAULT nextval(('c'::text)::regclass), d bigint DEFAULT p.next_d(),
            e bigint DEFAULT p.next_e(), f bigint DEFAULT nextval(('p."F g"'::text)::regclass),
            h bigint DEFAULT nextval(('h'::text)::regclass), none bigint DEFAULT 4, k bigint,
            two bigint DEFAULT nextval('p.a') + nextval('p.d'), n numeric DEFAULT nextval('p.x'));
        ALTER TABLE p.t DROP gone; ALTER SEQUENCE p.x OWNED BY p.t.k;
        ALTER SEQUENCE p.d OWNED BY p.t.a; CREATE INDEX ix ON p.t (a);
        CREATE TABLE p.beside (a bigint DEFAULT nextval('p.x'));
        CREATE TABLE q.t (a bigint DEFAULT nextval('p.x'))""",
        [
            sequence("a", "a"),
            sequence("b", "a"),
            sequence("c", "c", schema="public"),
            sequence("d", "d"),
            sequence("e", "e"),
            sequence("f", "F g"),
            sequence("i", "t_i_seq"),
            sequence("k", "x"),
            sequence("two", "a"),
            sequence("two", "d"),
        ],
    ),
    "within which limits": (
        "sequences",
        """
        CREATE SEQUENCE p.a INCREMENT -2; CREATE SEQUENCE p.b MINVALUE -5 MAXVALUE 9 CYCLE;
        CREATE TABLE p.t (
            a smallint DEFAULT nextval('p.a'), b smallint DEFAULT nextval('p.b'), c serial);
        ALTER SEQUENCE p.t_c_seq AS bigint; GRANT USAGE ON SEQUENCE p.b TO asking;
        GRANT SELECT ON SEQUENCE p.a TO asking; SET LOCAL ROLE asking""",
        [
            sequence("a", "a", "smallint", increment=-2, smallest=-32768, largest=-1),
            sequence("b", "b", "smallint", smallest=-5, largest=9, cycles=True, may_read=False),
            sequence("c", "t_c_seq", "integer", may_read=False),
        ],
    ),
    "which tables have numbers": (
        "numbered",
        """
        CREATE SEQUENCE p.a; CREATE TABLE p.t (i integer GENERATED ALWAYS AS IDENTITY, k bigint);
        CREATE TABLE p.u (i integer DEFAULT 3, n numeric DEFAULT abs(3), gone serial);
        ALTER TABLE p.u DROP gone; CREATE TABLE q.u (i serial); CREATE TABLE p.beside (i serial);
        CREATE INDEX x ON p.u (i)""",
        [("t",)],
    ),
    "a table whose numbers a function gives": (
        "numbered",
        "CREATE TABLE p.u (i smallint DEFAULT abs(3), j smallint)",
        [("u",)],
    ),
    "a table whose column owns a sequence": (
        "numbered",
        "CREATE TABLE p.u (i smallint); CREATE SEQUENCE p.x OWNED BY p.u.i",
        [("u",)],
    ),
    "keys from a function": (
        "unseen_defaults",
        "CREATE FUNCTION p.next() RETURNS bigint "
        + NEXT.format("4")
        + """;
        CREATE TABLE p.t (id bigint PRIMARY KEY DEFAULT p.next(), a bigint UNIQUE DEFAULT p.next());
        CREATE TABLE p.u (
            a text DEFAULT p.next(), b smallint DEFAULT 1, c int DEFAULT p.next(),
            d smallint DEFAULT p.next(), PRIMARY KEY (a, b, c, d));
        CREATE TABLE q.t (id bigint PRIMARY KEY DEFAULT p.next());
        CREATE TABLE p.beside (id bigint PRIMARY KEY DEFAULT p.next())""",
        [("t", "id", "p.next()"), ("u", "c", "p.next()"), ("u", "d", "p.next()")],
    ),
    "sequences of nothing": (
        "loose_sequences",
        """
        CREATE SEQUENCE p.loose; CREATE SEQUENCE p.in_default; CREATE SEQUENCE p.in_view;
        CREATE VIEW p.v AS SELECT nextval('p.in_view'); CREATE SEQUENCE p.of_extension;
        ALTER EXTENSION pg_trgm ADD SEQUENCE p.of_extension; CREATE SEQUENCE p.owned;
        CREATE TABLE p.t (i serial, k int GENERATED ALWAYS AS IDENTITY, a int DEFAULT
            nextval('p.in_default')); ALTER SEQUENCE p.owned OWNED BY p.t.a""",
        [("p", "in_view"), ("p", "loose")],
    ),
    "stands of sequences": (
        "sequence_positions",
        """
        CREATE SEQUENCE p.a INCREMENT 2; SELECT setval('p.a', 7); CREATE SEQUENCE q.new;
        CREATE SEQUENCE q.b CYCLE; CREATE TEMP SEQUENCE c; CREATE SEQUENCE own.d;
        CREATE SEQUENCE undo_1.e; CREATE SEQUENCE p.hidden; SELECT setval('p.hidden', 4);
        GRANT SELECT ON p.a, q.new TO asking; SET LOCAL ROLE asking""",
        [("p.a", 2, 7), ("p.hidden", 1, None), ("q.new", 1, None)],
    ),
    "tables by their schemas": (
        "tables_by_schema",
        """
        CREATE TABLE p.t (x int); CREATE TABLE p.a (x int) PARTITION BY RANGE (x);
        CREATE TABLE p.part PARTITION OF p.a FOR VALUES FROM (0) TO (1);
        CREATE VIEW p.v AS SELECT 1;
        CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w;
        CREATE FOREIGN TABLE q.f (x int) SERVER s; CREATE TEMP TABLE c (x int);
        CREATE TABLE own.d (x int); CREATE TABLE undo_1.e (x int); CREATE TABLE p.of_extension ();
        ALTER EXTENSION pg_trgm ADD TABLE p.of_extension; CREATE TABLE p.trigrams (t int);
        CREATE INDEX ON p.trigrams USING gin ((t::text) gin_trgm_ops)""",
        [("p", ["a", "t", "trigrams"]), ("q", ["f"])],
    ),
    "tables with their keys": (
        "user_tables",
        """
        CREATE TABLE p.t (gone int, b int, a int, UNIQUE (a), PRIMARY KEY (b, a));
        ALTER TABLE p.t DROP gone; CREATE TABLE p.a (x int) PARTITION BY RANGE (x);
        CREATE TABLE q.part PARTITION OF p.a FOR VALUES FROM (0) TO (1);
        CREATE VIEW p.v AS SELECT 1;
        CREATE TABLE q.child () INHERITS (p.t); CREATE TEMP TABLE c (x int);
        CREATE TABLE own.d (x int); CREATE TABLE undo_1.e (x int); CREATE TABLE p.of_extension ();
        ALTER EXTENSION pg_trgm ADD TABLE p.of_extension""",
        [
            ("own", "d", ["x"], None, "own"),
            ("p", "t", ["a", "b"], ["b", "a"], "p"),
            ("q", "child", ["a", "b"], None, "q"),
            ("q", "part", ["x"], None, "p"),
        ],
    ),
    "rows that policies hide": (
        "hidden",
        """
        CREATE TABLE p.t (x int); CREATE TABLE p.u (x int) PARTITION BY RANGE (x);
        CREATE TABLE p.open (x int); CREATE TABLE p.mine (x int); CREATE TABLE p.forced (x int);
        ALTER TABLE p.mine OWNER TO asking; ALTER TABLE p.forced OWNER TO asking;
        ALTER TABLE p.forced FORCE ROW LEVEL SECURITY; ALTER TABLE p.t ENABLE ROW LEVEL SECURITY;
        ALTER TABLE p.u ENABLE ROW LEVEL SECURITY; ALTER TABLE p.mine ENABLE ROW LEVEL SECURITY;
        ALTER TABLE p.forced ENABLE ROW LEVEL SECURITY; SET LOCAL ROLE asking""",
        [("p", "forced"), ("p", "t"), ("p", "u")],
    ),
    "children and foreign partitions": (
        "relatives",
        """
        CREATE TABLE p.parent (x int); CREATE TABLE p.t () INHERITS (p.parent);
        CREATE TABLE q.child () INHERITS (p.t); CREATE TABLE q.grandchild () INHERITS (q.child);
        CREATE TABLE p.u (x int) PARTITION BY RANGE (x);
        CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w;
        CREATE TABLE q.part PARTITION OF p.u FOR VALUES FROM (0) TO (9) PARTITION BY RANGE (x);
        CREATE FOREIGN TABLE q.far PARTITION OF q.part FOR VALUES FROM (0) TO (1) SERVER s;
        CREATE TABLE q.near PARTITION OF q.part FOR VALUES FROM (1) TO (2);
        CREATE TABLE q.t (x int); CREATE TABLE q.other () INHERITS (q.t);
        CREATE TABLE p.beside (x int); CREATE TABLE p.of_beside () INHERITS (p.beside)""",
        [
            ("child", "p", "t", "p", "parent"),
            ("child", "q", "child", "p", "t"),
            ("foreign", "q", "far", "q", "part"),
            ("child", "q", "grandchild", "q", "child"),
        ],
    ),
    "tables that others point at": (
        "referred",
        """
        SET LOCAL search_path = p; CREATE TABLE p.a (x int PRIMARY KEY);
        CREATE TABLE p.t (x int PRIMARY KEY REFERENCES p.a, y int REFERENCES p.t CHECK (y > 0));
        CREATE TABLE p.u (x int REFERENCES p.t, y int REFERENCES p.a);
        CREATE TABLE q.b (x int PRIMARY KEY); CREATE TABLE q.c (x int REFERENCES q.b)""",
        [("a",)],
    ),
    "large objects": (
        "large_objects",
        """
        SELECT lo_from_bytea(n, 'abc') FROM generate_series(11, 16) n;
        SELECT lo_from_bytea(17, 'zzz'); ALTER LARGE OBJECT 11 OWNER TO group_of_asking;
        GRANT SELECT ON LARGE OBJECT 12 TO PUBLIC; GRANT SELECT ON LARGE OBJECT 13 TO asking;
        GRANT UPDATE ON LARGE OBJECT 14 TO asking; GRANT SELECT ON LARGE OBJECT 15 TO somebody;
        GRANT SELECT ON LARGE OBJECT 17 TO group_of_asking; SET LOCAL ROLE asking""",
        [
            (
                True,
                "contents of large objects",
                "4 readable",
                " ".join(
                    f"{number} {number}{hashed} {number}d41d8cd98f00b204e9800998ecf8427e"
                    for number, hashed in (
                        (11, "900150983cd24fb0d6963f7d28e17f72"),
                        (12, "900150983cd24fb0d6963f7d28e17f72"),
                        (13, "900150983cd24fb0d6963f7d28e17f72"),
                        (17, "f3abb86bd34cf4d52698f14c0da1dc60"),
                    )
                ),
            )
        ],
    ),
    "conditions": (
        "conditions",
        """
        CREATE TABLE q.far (a int, b int, UNIQUE (a, b));
        CREATE TABLE p.t (a int CONSTRAINT positive CHECK (a > 0), b int, gone int NOT NULL,
            CONSTRAINT valid FOREIGN KEY (a, b) REFERENCES q.far (a, b));
        ALTER TABLE p.t DROP gone;
        ALTER TABLE p.t ADD CONSTRAINT fresh FOREIGN KEY (b, a) REFERENCES q.far (b, a) NOT VALID;
        ALTER TABLE p.t ADD CONSTRAINT late CHECK (b > 1) NOT VALID;
        CREATE TABLE q.t (a int CHECK (a > 2)); CREATE TABLE p.beside (a int CHECK (a > 3))""",
        [
            ("t", "fresh", False, None, "q", "far", ["b", "a"], ["b", "a"]),
            ("t", "late", False, "(b > 1)", None, None, ["b"], []),
            ("t", "positive", True, "(a > 0)", None, None, ["a"], []),
        ],
    ),
    "what a new row is given": (
        "defaults",
        """
        CREATE DOMAIN p.kind AS text DEFAULT 'usual'; CREATE SEQUENCE p.s;
        CREATE FUNCTION p.written() RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT 1';
        CREATE TABLE p.t (
            gone int DEFAULT 1, a int DEFAULT 4, b p.kind, c p.kind DEFAULT 'rare', d text,
            e int GENERATED ALWAYS AS IDENTITY, f int GENERATED ALWAYS AS (1) STORED,
            g timestamptz DEFAULT now(), h timestamptz DEFAULT CURRENT_TIMESTAMP,
            i timestamptz DEFAULT clock_timestamp(), j int DEFAULT p.written(),
            k text DEFAULT CURRENT_ROLE, w text DEFAULT CURRENT_TIMESTAMP::text,
            l text DEFAULT CURRENT_SCHEMA, m text DEFAULT now()::text,
            n date DEFAULT CURRENT_DATE, o time DEFAULT LOCALTIME, q text DEFAULT upper('a'),
            r text DEFAULT CURRENT_CATALOG, s timestamp DEFAULT LOCALTIMESTAMP,
            u timestamptz(3) DEFAULT CURRENT_TIMESTAMP(3), v timestamp DEFAULT LOCALTIMESTAMP(2));
        ALTER TABLE p.t DROP gone; CREATE TABLE q.t (a int DEFAULT 1);
        CREATE TABLE p.beside (a int DEFAULT 1); CREATE TABLE p.u (x int DEFAULT 7)
            PARTITION BY RANGE (x);""",
        [
            ("t", "a", "4", "integer", True),
            ("t", "b", "'usual'::text", "p.kind", True),
            ("t", "c", "'rare'::text", "p.kind", True),
            ("t", "g", "now()", "timestamp with time zone", True),
            ("t", "h", "CURRENT_TIMESTAMP", "timestamp with time zone", True),
            ("t", "i", "clock_timestamp()", "timestamp with time zone", False),
            ("t", "j", "p.written()", "integer", False),
            ("t", "k", "CURRENT_ROLE", "text", False),
            ("t", "w", "(CURRENT_TIMESTAMP)::text", "text", False),
            ("t", "l", "CURRENT_SCHEMA", "text", False),
            ("t", "m", "(now())::text", "text", False),
            ("t", "n", "CURRENT_DATE", "date", False),
            ("t", "o", "LOCALTIME", "time without time zone", False),
            ("t", "q", "upper('a'::text)", "text", True),
            ("t", "r", "CURRENT_CATALOG", "text", False),
            ("t", "s", "LOCALTIMESTAMP", "timestamp without time zone", False),
            ("t", "u", "CURRENT_TIMESTAMP(3)", "timestamp(3) with time zone", True),
            ("t", "v", "LOCALTIMESTAMP(2)", "timestamp without time zone", False),
            ("u", "x", "7", "integer", True),
        ],
    ),
    "triggers and rules that a run sets off": (
        "triggers",
        """
        CREATE FUNCTION q.f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
        CREATE TABLE p.t (x int PRIMARY KEY REFERENCES p.t);
        CREATE TABLE p.u (x int) PARTITION BY RANGE (x); CREATE TABLE q.t (x int);
        CREATE TABLE q.part PARTITION OF p.u FOR VALUES FROM (0) TO (1);
        CREATE TRIGGER ins AFTER INSERT ON p.t FOR EACH ROW EXECUTE FUNCTION q.f();
        CREATE TRIGGER upd AFTER UPDATE ON p.t FOR EACH ROW EXECUTE FUNCTION q.f();
        CREATE TRIGGER del AFTER DELETE ON p.t FOR EACH STATEMENT EXECUTE FUNCTION q.f();
        CREATE TRIGGER emptied AFTER TRUNCATE ON p.t FOR EACH STATEMENT EXECUTE FUNCTION q.f();
        CREATE TRIGGER off AFTER INSERT ON p.t FOR EACH ROW EXECUTE FUNCTION q.f();
        ALTER TABLE p.t DISABLE TRIGGER off;
        CREATE TRIGGER replica AFTER INSERT ON p.t FOR EACH ROW EXECUTE FUNCTION q.f();
        ALTER TABLE p.t ENABLE REPLICA TRIGGER replica;
        CREATE TRIGGER always AFTER INSERT ON p.t FOR EACH ROW EXECUTE FUNCTION q.f();
        ALTER TABLE p.t ENABLE ALWAYS TRIGGER always;
        CREATE TRIGGER at_root AFTER INSERT ON p.u FOR EACH ROW EXECUTE FUNCTION q.f();
        CREATE TRIGGER kept AFTER INSERT ON p.u FOR EACH ROW EXECUTE FUNCTION q.f();
        ALTER TABLE ONLY p.u DISABLE TRIGGER kept;
        CREATE TRIGGER left_on AFTER INSERT ON p.u FOR EACH ROW EXECUTE FUNCTION q.f();
        ALTER TABLE ONLY p.u ENABLE REPLICA TRIGGER left_on;
        CREATE TRIGGER of_part AFTER INSERT ON q.part FOR EACH ROW EXECUTE FUNCTION q.f();
        CREATE TRIGGER beside AFTER INSERT ON q.t FOR EACH ROW EXECUTE FUNCTION q.f();
        CREATE VIEW p.v AS SELECT x FROM p.t;
        CREATE RULE r AS ON DELETE TO p.t DO INSTEAD NOTHING;
        CREATE RULE r_off AS ON DELETE TO p.t DO INSTEAD NOTHING;
        ALTER TABLE p.t DISABLE RULE r_off;
        CREATE RULE r_far AS ON DELETE TO p.t DO INSTEAD NOTHING;
        ALTER TABLE p.t ENABLE REPLICA RULE r_far;
        CREATE RULE of_root AS ON UPDATE TO p.u DO INSTEAD NOTHING;
        CREATE RULE r_part AS ON UPDATE TO q.part DO INSTEAD NOTHING;
        CREATE RULE beside AS ON DELETE TO q.t DO INSTEAD NOTHING""",
        [
            ("t", "p", "t", "always", "TRIGGER"),
            ("t", "p", "t", "del", "TRIGGER"),
            ("t", "p", "t", "ins", "TRIGGER"),
            ("t", "p", "t", "r", "RULE"),
            ("t", "p", "t", "upd", "TRIGGER"),
            ("u", "p", "u", "at_root", "TRIGGER"),
            ("u", "q", "part", "kept", "TRIGGER"),
            ("u", "q", "part", "left_on", "TRIGGER"),
            ("u", "q", "part", "of_part", "TRIGGER"),
            ("u", "p", "u", "of_root", "RULE"),
            ("u", "q", "part", "r_part", "RULE"),
        ],
    ),
    "keys that point here": (
        "foreign_keys",
        """
        CREATE TABLE p.t (a int, b int, c int, PRIMARY KEY (a, b), UNIQUE (c));
        CREATE TABLE p.u (x int PRIMARY KEY) PARTITION BY RANGE (x);
        CREATE TABLE q.part PARTITION OF p.u FOR VALUES FROM (0) TO (9);
        CREATE TABLE q.x (a int, b int,
            CONSTRAINT k_two FOREIGN KEY (b, a) REFERENCES p.t (a, b) MATCH FULL DEFERRABLE,
            CONSTRAINT k_root FOREIGN KEY (a) REFERENCES p.u,
            CONSTRAINT k_part FOREIGN KEY (b) REFERENCES q.part,
            CONSTRAINT k_gone FOREIGN KEY (a) REFERENCES p.t (c) ON DELETE CASCADE,
            CONSTRAINT k_move FOREIGN KEY (a) REFERENCES p.t (c) ON UPDATE CASCADE,
            CONSTRAINT k_kept FOREIGN KEY (a) REFERENCES p.t (c) ON UPDATE RESTRICT,
            CONSTRAINT k_hard FOREIGN KEY (a) REFERENCES p.t (c) ON DELETE RESTRICT, CHECK (a > 0));
        ALTER TABLE q.x ADD CONSTRAINT k_new FOREIGN KEY (a) REFERENCES p.t (c) NOT VALID;
        CREATE TABLE q.y (a int PRIMARY KEY); CREATE TABLE p.away (a int REFERENCES q.y)""",
        [
            ("k_gone", "q", "x", ["a"], "t", ["c"], False, True, ["p", "t"], False, True, True),
            ("k_hard", "q", "x", ["a"], "t", ["c"], False, True, ["p", "t"], False, True, True),
            ("k_kept", "q", "x", ["a"], "t", ["c"], False, False, ["p", "t"], False, True, True),
            ("k_move", "q", "x", ["a"], "t", ["c"], False, True, ["p", "t"], False, True, True),
            ("k_new", "q", "x", ["a"], "t", ["c"], False, False, ["p", "t"], False, False, True),
            ("k_part", "q", "x", ["b"], "u", ["x"], False, False, ["q", "part"], False, True, True),
            ("k_root", "q", "x", ["a"], "u", ["x"], False, False, ["p", "u"], False, True, True),
            (
                "k_two",
                "q",
                "x",
                ["b", "a"],
                "t",
                ["a", "b"],
                True,
                False,
                ["p", "t"],
                True,
                True,
                True,
            ),
        ],
    ),
    "what makes rows unique": (
        "unique_keys",
        """
        CREATE TABLE p.t (gone int, b int, a int, c text, PRIMARY KEY (b, a) INCLUDE (c));
        ALTER TABLE p.t DROP gone; CREATE UNIQUE INDEX u_some ON p.t (c) WHERE a > 0;
        CREATE UNIQUE INDEX u_expr ON p.t (lower(c)); CREATE INDEX plain ON p.t (c);
        CREATE UNIQUE INDEX u_null ON p.t (c) NULLS NOT DISTINCT; CREATE TABLE q.t (a int UNIQUE);
        CREATE UNIQUE INDEX u_broken ON p.t (c, a);
        UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'p.u_broken'::regclass""",
        [
            ("t", "t_pkey", ["b", "a"], True, False),
            ("t", "u_expr", [], False, False),
            ("t", "u_null", ["c"], True, True),
            ("t", "u_some", ["c"], False, False),
        ],
    ),
    "columns": (
        "columns",
        """
        CREATE DOMAIN p.outer_one AS varchar(7); CREATE DOMAIN p.twice AS p.outer_one;
        CREATE TYPE p.mood AS ENUM ('a'); CREATE TABLE q.t (x int); CREATE VIEW p.v AS SELECT 1;
        CREATE TABLE p.t (a int NOT NULL, gone int, b int GENERATED ALWAYS AS IDENTITY,
            c int GENERATED ALWAYS AS (1) STORED, d int DEFAULT 2, e varchar(5), f char(3),
            g varchar, h p.twice, i p.mood, j numeric(6, 2), k text) PARTITION BY RANGE (a);
        ALTER TABLE p.t DROP gone;
        CREATE TABLE p.part PARTITION OF p.t FOR VALUES FROM (0) TO (1)""",
        [
            ("t", "a", "integer", True, False, False, None, "integer"),
            ("t", "b", "integer", True, True, False, None, "integer"),
            ("t", "c", "integer", False, True, True, None, "integer"),
            ("t", "d", "integer", False, True, False, None, "integer"),
            ("t", "e", "character varying(5)", False, False, False, 5, "character varying(5)"),
            ("t", "f", "character(3)", False, False, False, 3, "character(3)"),
            ("t", "g", "character varying", False, False, False, None, "character varying"),
            ("t", "h", "p.twice", False, False, False, 7, "character varying(7)"),
            ("t", "i", "p.mood", False, False, False, None, "text"),
            ("t", "j", "numeric(6,2)", False, False, False, None, "numeric(6,2)"),
            ("t", "k", "text", False, False, False, None, "text"),
        ],
    ),
    "what an UPDATE may change": (
        "told_apart",
        """
        CREATE DOMAIN p.d AS int; CREATE TABLE p.t (gone int, id int GENERATED ALWAYS AS IDENTITY,
            pk int PRIMARY KEY, a int, b int, UNIQUE (b, a), more int, UNIQUE (a) INCLUDE (more),
            nulls int, UNIQUE NULLS NOT DISTINCT (nulls), target int UNIQUE, by_domain p.d UNIQUE,
            apart int, EXCLUDE USING btree (apart WITH =), sorted text, ordered text, plain int,
            broken int, given int GENERATED BY DEFAULT AS IDENTITY UNIQUE);
        ALTER TABLE p.t DROP gone; CREATE INDEX ON p.t (plain);
        CREATE UNIQUE INDEX ON p.t (sorted COLLATE "C");
        CREATE UNIQUE INDEX ON p.t (ordered text_pattern_ops);
        CREATE UNIQUE INDEX u ON p.t (broken);
        UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'p.u'::regclass;
        CREATE TABLE q.x (x int REFERENCES p.t (target)); CREATE TABLE q.t (plain int UNIQUE)""",
        [
            (
                False,
                [
                    *("apart", "broken", "by_domain", "id", "nulls", "ordered", "pk", "sorted"),
                    "target",
                ],
                [["a"], ["b", "a"], ["given"]],
            )
        ],
    ),
    "where a condition decides": (
        "told_apart",
        "CREATE TABLE p.t (a int, b int); CREATE UNIQUE INDEX ON p.t (a) WHERE b > 0",
        [(True, [], [["a"]])],
    ),
    "where an expression decides": (
        "told_apart",
        "CREATE TABLE p.t (a int, b int); CREATE UNIQUE INDEX ON p.t (abs(a))",
        [(True, [], [[]])],
    ),
    "where rows may move": (
        "told_apart",
        "CREATE TABLE p.t (a int) PARTITION BY RANGE (a)",
        [(True, [], [])],
    ),
    "columns that an INSERT fills": (
        "columns_to_fill",
        """
        CREATE TABLE p.t (b int, gone int, a int GENERATED ALWAYS AS IDENTITY, c int DEFAULT 1,
            d int GENERATED ALWAYS AS (1) STORED);
        ALTER TABLE p.t DROP gone; CREATE TABLE q.t (x int)""",
        [("b",), ("a",), ("c",)],
    ),
    "by what rows are told apart": (
        "exclusive_keys",
        """
        CREATE TABLE p.t (a int CONSTRAINT t_a UNIQUE, b text, c int,
            d int GENERATED ALWAYS AS (1) STORED, CONSTRAINT t_h EXCLUDE USING hash (c WITH =),
            CONSTRAINT t_x EXCLUDE USING btree (c WITH =), CONSTRAINT t_y UNIQUE (a, d));
        CREATE UNIQUE INDEX i_c ON p.t (lower(b) COLLATE "C", c) INCLUDE (a) WHERE c > 0;
        CREATE UNIQUE INDEX i_n ON p.t (c) NULLS NOT DISTINCT;
        CREATE UNIQUE INDEX i_p ON p.t (c) WHERE a > 0; CREATE INDEX plain ON p.t (c);
        CREATE TABLE q.t (a int UNIQUE)""",
        [
            (
                "i_c",
                ['lower(b) COLLATE pg_catalog."C"', "c"],
                ["OPERATOR(pg_catalog.=)", "OPERATOR(pg_catalog.=)"],
                "(c > 0)",
                False,
                ["c"],
                False,
                False,
            ),
            ("i_n", ["c"], ["OPERATOR(pg_catalog.=)"], "true", True, ["c"], True, False),
            ("i_p", ["c"], ["OPERATOR(pg_catalog.=)"], "(a > 0)", False, ["c"], False, False),
            ("t_a", ["a"], ["OPERATOR(pg_catalog.=)"], "true", False, ["a"], True, False),
            ("t_h", ["c"], ["OPERATOR(pg_catalog.=)"], "true", False, ["c"], True, True),
            ("t_x", ["c"], ["OPERATOR(pg_catalog.=)"], "true", False, ["c"], True, True),
            (
                "t_y",
                ["a", "d"],
                ["OPERATOR(pg_catalog.=)", "OPERATOR(pg_catalog.=)"],
                "true",
                False,
                ["a", "d"],
                False,
                False,
            ),
        ],
    ),
    "whose each object is": (
        "owners",
        """
        SET LOCAL ROLE somebody;
        CREATE TABLE p.t (i serial, k int GENERATED ALWAYS AS IDENTITY); CREATE SEQUENCE q.s;
        CREATE VIEW p.v AS SELECT 1 AS x; CREATE MATERIALIZED VIEW p.m AS SELECT 1 AS x;
        CREATE TABLE p.a (x int) PARTITION BY RANGE (x); CREATE INDEX i ON p.a (x);
        CREATE FUNCTION p.f(int) RETURNS int LANGUAGE sql AS 'SELECT 1';
        CREATE PROCEDURE p.f() LANGUAGE sql AS 'SELECT 1';
        CREATE TYPE p.c AS (x int); CREATE TYPE p.e AS ENUM ('x'); CREATE DOMAIN p.d AS text;
        CREATE TYPE p.r AS RANGE (subtype = int4, multirange_type_name = p.mr);
        CREATE COLLATION p.l FROM "C"; CREATE STATISTICS p.n ON x, (x + 1) FROM p.a;
        CREATE TEXT SEARCH DICTIONARY p.w (TEMPLATE = simple);
        CREATE TEXT SEARCH CONFIGURATION p.g (COPY = simple);
        CREATE OPERATOR p.### (FUNCTION = int4eq, LEFTARG = int4, RIGHTARG = int4);
        RESET ROLE; CREATE OPERATOR FAMILY p.b USING btree; SELECT lo_create(77000);
        CREATE OPERATOR CLASS p.k FOR TYPE int4 USING btree FAMILY p.b AS OPERATOR 1 <;
        CREATE CONVERSION p.cv FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8;
        CREATE FOREIGN DATA WRAPPER w; CREATE SERVER far FOREIGN DATA WRAPPER w;
        CREATE FOREIGN TABLE p.ft (x int) SERVER far; CREATE TABLE undo_1.e (x int);
        CREATE TABLE p.of_extension (); ALTER EXTENSION pg_trgm ADD TABLE p.of_extension;
        ALTER FOREIGN DATA WRAPPER w OWNER TO postgres; CREATE LANGUAGE lang HANDLER
        plpgsql_call_handler""",
        [
            ("SCHEMA", "own", "postgres"),
            ("SCHEMA", "p", "postgres"),
            ("SCHEMA", "public", "pg_database_owner"),
            ("SCHEMA", "q", "postgres"),
            ("COLLATION", "p.l", "somebody"),
            ("CONVERSION", "p.cv", "postgres"),
            ("FOREIGN TABLE", "p.ft", "postgres"),
            ("FOREIGN DATA WRAPPER", "w", "postgres"),
            ("FUNCTION", "p.f(integer)", "somebody"),
            ("FUNCTION", "p.mr()", "postgres"),
            ("FUNCTION", "p.mr(p.r)", "postgres"),
            ("FUNCTION", "p.mr(p.r[])", "postgres"),
            ("FUNCTION", "p.r(integer,integer)", "postgres"),
            ("FUNCTION", "p.r(integer,integer,pg_catalog.text)", "postgres"),
            ("LANGUAGE", "lang", "postgres"),
            ("LARGE OBJECT", "77000", "postgres"),
            ("MATERIALIZED VIEW", "p.m", "somebody"),
            ("OPERATOR", "p.###(integer,integer)", "somebody"),
            ("OPERATOR CLASS", "p.k USING btree", "postgres"),
            ("OPERATOR FAMILY", "p.b USING btree", "postgres"),
            ("PROCEDURE", "p.f()", "somebody"),
            ("SEQUENCE", "q.s", "somebody"),
            ("SERVER", "far", "postgres"),
            ("STATISTICS", "p.n", "somebody"),
            ("TABLE", "p.a", "somebody"),
            ("TABLE", "p.t", "somebody"),
            ("TEXT SEARCH CONFIGURATION", "p.g", "somebody"),
            ("TEXT SEARCH DICTIONARY", "p.w", "somebody"),
            ("TYPE", "p.c", "somebody"),
            ("TYPE", "p.d", "somebody"),
            ("TYPE", "p.e", "somebody"),
            ("TYPE", "p.r", "somebody"),
            ("VIEW", "p.v", "somebody"),
        ],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_statement_answers_what_it_is_asked_for_and_nothing_beside(
    database: psycopg.Connection[Any], case: str
) -> None:
    name, setup, expected = CASES[case]
    assert answer(database, name, setup) == expected


def test_each_object_is_called_as_the_statement_that_gives_it_back_calls_it(
    database: psycopg.Connection[Any],
) -> None:
    name, setup, owners = CASES["whose each object is"]
    with database.transaction(force_rollback=True):
        database.execute(setup.encode())
        for kind, place, _ in owners:
            database.execute(f"ALTER {kind} {place} OWNER TO CURRENT_USER".encode())
        now = database.execute(statement(name), PLACES).fetchall()
        assert {owner for _, _, owner in now} == {"postgres"}
