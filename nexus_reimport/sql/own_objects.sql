-- What is in our own schemas: each table or view with its columns and constraints, what acts on it by itself, and who
-- else but ourselves may use it; the schemas as well, and what they hold besides.
WITH spaces AS (
    SELECT n.oid, n.nspname::text, n.nspowner, n.nspacl
    FROM pg_catalog.pg_namespace n
    WHERE n.nspname = %(own)s OR starts_with(n.nspname, %(undo)s)
), others AS (
    SELECT s.nspname AS place, s.nspowner AS owner, s.nspacl AS acl FROM spaces s
    UNION ALL
    SELECT s.nspname || '.' || c.relname, c.relowner, c.relacl
    FROM spaces s JOIN pg_catalog.pg_class c ON c.relnamespace = s.oid
    UNION ALL
    SELECT s.nspname || '.' || c.relname, c.relowner, a.attacl
    FROM spaces s JOIN pg_catalog.pg_class c ON c.relnamespace = s.oid
    JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attacl IS NOT NULL
), readers AS (
    SELECT o.place, string_agg(DISTINCT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(a.grantee) END, ', ') AS names
    FROM others o
    CROSS JOIN LATERAL pg_catalog.aclexplode(o.acl) a
    WHERE a.grantee <> o.owner AND pg_catalog.pg_get_userbyid(a.grantee) <> current_user
    GROUP BY o.place
), owners AS ( -- A run makes all of it; only the schema may have been made for us by somebody else.
    SELECT s.nspname || '.' || c.relname AS place, 'its owner ' || pg_catalog.pg_get_userbyid(c.relowner) AS names
    FROM spaces s JOIN pg_catalog.pg_class c ON c.relnamespace = s.oid
    WHERE pg_catalog.pg_get_userbyid(c.relowner) <> current_user
), published AS (
    SELECT t.schemaname || '.' || t.tablename AS place,
           string_agg('publication ' || t.pubname, ', ' ORDER BY t.pubname) AS names
    FROM pg_catalog.pg_publication_tables t
    WHERE t.schemaname IN (SELECT nspname FROM spaces)
    GROUP BY 1
)
SELECT s.nspname AS place, 'schema' AS kind, NULL::text[] AS columns, NULL::text[] AS constraints, NULL::text AS acts,
       (SELECT names FROM readers r WHERE r.place = s.nspname) AS readers
FROM spaces s
UNION ALL
SELECT s.nspname || '.' || c.relname, CASE c.relkind WHEN 'r' THEN 'table' WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'S' THEN 'sequence'
       WHEN 'p' THEN 'partitioned table' WHEN 'f' THEN 'foreign table' ELSE 'composite type' END,
       (SELECT array_agg(concat_ws(' ', a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod),
                                   CASE WHEN a.attcollation <> t.typcollation THEN 'COLLATE ' || a.attcollation::regcollation END,
                                   -- Undo data is made by CREATE TABLE AS, which keeps neither of the two.
                                   CASE WHEN a.attnotnull AND s.nspname = %(own)s THEN 'NOT NULL' END,
                                   nullif(concat('GENERATED ', a.attidentity, a.attgenerated), 'GENERATED '),
                                   'DEFAULT ' || pg_catalog.pg_get_expr(f.adbin, f.adrelid)) ORDER BY a.attname)
        FROM pg_catalog.pg_attribute a
        JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
        LEFT JOIN pg_catalog.pg_attrdef f ON f.adrelid = a.attrelid AND f.adnum = a.attnum
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
       -- PostgreSQL 18 lists each NOT NULL here as well.
       (SELECT array_agg(pg_catalog.pg_get_constraintdef(k.oid) ORDER BY pg_catalog.pg_get_constraintdef(k.oid) COLLATE "C")
        FROM pg_catalog.pg_constraint k WHERE k.conrelid = c.oid AND k.contype <> 'n'),
       nullif(concat_ws(', ',
           (SELECT string_agg('trigger ' || t.tgname, ', ' ORDER BY t.tgname) FROM pg_catalog.pg_trigger t
            WHERE t.tgrelid = c.oid AND NOT t.tgisinternal),
           (SELECT string_agg('rule ' || r.rulename, ', ' ORDER BY r.rulename) FROM pg_catalog.pg_rewrite r
            WHERE r.ev_class = c.oid),
           (SELECT string_agg('policy ' || p.polname, ', ' ORDER BY p.polname) FROM pg_catalog.pg_policy p
            WHERE p.polrelid = c.oid),
           CASE WHEN c.relrowsecurity THEN 'row level security' END,
           -- A crash empties it, and a replica has nothing of it.
           CASE WHEN c.relpersistence = 'u' THEN 'unlogged' END,
           (SELECT string_agg('index ' || i.relname, ', ' ORDER BY i.relname)
            FROM pg_catalog.pg_index x JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid
            WHERE x.indrelid = c.oid AND NOT x.indisprimary
              AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.conindid = i.oid)),
           (SELECT 'a table below it' FROM pg_catalog.pg_inherits i WHERE c.oid IN (i.inhparent, i.inhrelid) LIMIT 1)), ''),
       (SELECT string_agg(r.names, ', ' ORDER BY r.names) FROM (TABLE owners UNION ALL TABLE readers UNION ALL TABLE published) r
        WHERE r.place = s.nspname || '.' || c.relname)
FROM spaces s
JOIN pg_catalog.pg_class c ON c.relnamespace = s.oid AND c.relkind NOT IN ('i', 'I', 't')
UNION ALL
SELECT o.identity, o.type, NULL, NULL, NULL, NULL
FROM spaces s
JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_catalog.pg_namespace'::regclass AND d.refobjid = s.oid
                           AND d.classid NOT IN ('pg_catalog.pg_class'::regclass, 'pg_catalog.pg_default_acl'::regclass)
CROSS JOIN LATERAL pg_catalog.pg_identify_object(d.classid, d.objid, 0) o
WHERE o.identity IS NOT NULL -- dropped while it is asked
ORDER BY 1
