-- Which columns do the tables of a schema have? Partitions are a part of their root.
-- A value is stored as the type under all domains says; an enumeration's and citext's is its text.
WITH RECURSIVE under (domain, type, modifier) AS (
    SELECT oid, typbasetype, typtypmod FROM pg_catalog.pg_type WHERE typtype = 'd'
     UNION ALL
    SELECT u.domain, t.typbasetype, t.typtypmod
      FROM under u JOIN pg_catalog.pg_type t ON t.oid = u.type AND t.typtype = 'd'
)
SELECT c.relname, a.attname,
       pg_catalog.format_type(a.atttypid, a.atttypmod) AS type,
       a.attnotnull,
       a.attidentity <> '' OR a.attgenerated <> '' OR a.atthasdef AS filled_by_database,
       a.attgenerated <> '' AS generated,
       -- PostgreSQL keeps a length plus four, and -1 where there is no limit.
       CASE WHEN t.typname IN ('varchar', 'bpchar') AND s.modifier > 4
            THEN s.modifier - 4 END AS max_length,
       CASE WHEN t.typtype = 'e' OR t.typname = 'citext' THEN 'text'
            ELSE pg_catalog.format_type(t.oid, s.modifier) END AS stored_as
FROM pg_catalog.pg_attribute a
JOIN pg_catalog.pg_class c ON c.oid = a.attrelid AND c.relkind IN ('r', 'p')
                          AND NOT c.relispartition
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN under u ON u.domain = a.atttypid
                 AND NOT EXISTS (SELECT FROM under further WHERE further.domain = u.type)
CROSS JOIN LATERAL (
    SELECT coalesce(u.type, a.atttypid), coalesce(u.modifier, a.atttypmod)
) AS s (type, modifier)
JOIN pg_catalog.pg_type t ON t.oid = s.type
WHERE n.nspname = %(schema)s AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY c.relname, a.attnum
