-- Which sequences give out the whole numbers of these tables' columns, and may we read them?
-- An identity's own; else those that the default names, itself or in the functions that it calls;
-- else those that the column owns. OFFSET 0 has what depends on each column looked up by an index:
-- the planner does not know how many columns there are, and compared each with all of pg_depend.
WITH numbers AS (
    SELECT c.oid, n.nspname, a.attnum,
           pg_catalog.pg_get_expr(f.adbin, f.adrelid) AS expression, f.oid AS attrdef
    FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    JOIN pg_catalog.pg_type t ON t.oid = a.atttypid AND t.typname IN ('int2', 'int4', 'int8')
    LEFT JOIN pg_catalog.pg_attrdef f ON f.adrelid = c.oid AND f.adnum = a.attnum
    WHERE n.nspname = %(schema)s AND c.relname = ANY (%(tables)s)
), functions AS (
    SELECT m.oid, m.nspname, m.attnum, p.oid AS function, p.prosrc
    FROM numbers m
    CROSS JOIN LATERAL (SELECT d.refobjid FROM pg_catalog.pg_depend d
                        WHERE d.classid = 'pg_catalog.pg_attrdef'::regclass
                          AND d.objid = m.attrdef
                          AND d.refclassid = 'pg_catalog.pg_proc'::regclass
                        OFFSET 0) d
    JOIN pg_catalog.pg_proc p ON p.oid = d.refobjid
), written AS (
    -- A sequence that is named in a text, or in the body of a function, leaves no dependency in the catalog.
    SELECT oid, nspname, attnum, m[1] AS name
    FROM numbers CROSS JOIN LATERAL regexp_matches(
        expression, 'nextval\(\(?''((?:"[^"'']+"|[A-Za-z_][A-Za-z0-9_$]*)(?:\.(?:"[^"'']+"|[A-Za-z_][A-Za-z0-9_$]*))?)''::text', 'g') m
    UNION
    SELECT oid, nspname, attnum, m[1]
    FROM functions CROSS JOIN LATERAL regexp_matches(
        prosrc, 'nextval\s*\(\s*''((?:"[^"'']+"|[A-Za-z_][A-Za-z0-9_$]*)(?:\.(?:"[^"'']+"|[A-Za-z_][A-Za-z0-9_$]*))?)''', 'gi') m
), found AS (
    SELECT m.oid, m.attnum, d.refobjid AS sequence, 1 AS rank
    FROM numbers m
    CROSS JOIN LATERAL (SELECT d.refobjid FROM pg_catalog.pg_depend d
                        WHERE d.classid = 'pg_catalog.pg_attrdef'::regclass
                          AND d.objid = m.attrdef
                          AND d.refclassid = 'pg_catalog.pg_class'::regclass
                        OFFSET 0) d
    UNION
    SELECT f.oid, f.attnum, d.refobjid, 1
    FROM functions f
    JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_proc'::regclass
                               AND d.objid = f.function
                               AND d.refclassid = 'pg_catalog.pg_class'::regclass
    UNION
    SELECT w.oid, w.attnum, s.oid, 1
    FROM written w
    CROSS JOIN LATERAL pg_catalog.parse_ident(w.name) parts
    JOIN pg_catalog.pg_class s ON s.relname = parts[cardinality(parts)]
    JOIN pg_catalog.pg_namespace sn ON sn.oid = s.relnamespace
    WHERE CASE cardinality(parts) WHEN 2 THEN sn.nspname = parts[1]
                                  ELSE sn.nspname IN (w.nspname, 'public') END
    UNION
    SELECT m.oid, m.attnum, d.objid, CASE d.deptype WHEN 'i' THEN 1 ELSE 2 END
    FROM numbers m
    CROSS JOIN LATERAL (SELECT d.objid, d.deptype FROM pg_catalog.pg_depend d
                        WHERE d.classid = 'pg_catalog.pg_class'::regclass
                          AND d.refclassid = 'pg_catalog.pg_class'::regclass
                          AND d.refobjid = m.oid AND d.refobjsubid = m.attnum
                          -- a is of OWNED BY, i of an identity column.
                          AND d.deptype IN ('a', 'i')
                        OFFSET 0) d
), ranked AS (
    SELECT f.*, min(f.rank) OVER (PARTITION BY f.oid, f.attnum) AS best
    FROM found f
    JOIN pg_catalog.pg_class s ON s.oid = f.sequence AND s.relkind = 'S'
)
SELECT c.relname, a.attname, sn.nspname, s.relname,
       -- The column's type limits a sequence of bigint as well.
       q.seqincrement, greatest(q.seqmin, -t.largest - 1), least(q.seqmax, t.largest), t.largest,
       q.seqcycle,
       pg_catalog.has_sequence_privilege(s.oid, 'SELECT')
FROM ranked r
JOIN pg_catalog.pg_class c ON c.oid = r.oid
JOIN pg_catalog.pg_attribute a ON a.attrelid = r.oid AND a.attnum = r.attnum
CROSS JOIN LATERAL (SELECT CASE a.attlen WHEN 2 THEN 32767 WHEN 4 THEN 2147483647
                                         ELSE 9223372036854775807 END AS largest) t
JOIN pg_catalog.pg_class s ON s.oid = r.sequence
JOIN pg_catalog.pg_namespace sn ON sn.oid = s.relnamespace
JOIN pg_catalog.pg_sequence q ON q.seqrelid = s.oid
WHERE r.rank = r.best
ORDER BY 1, 2, 3, 4
