-- Which columns do the tables of a schema have? Partitions are a part of their root.
SELECT c.relname, a.attname,
       pg_catalog.format_type(a.atttypid, a.atttypmod) AS type,
       a.attnotnull,
       a.attidentity <> '' OR a.attgenerated <> '' OR a.atthasdef AS filled_by_database,
       a.attgenerated <> '' AS generated,
       -- PostgreSQL keeps a length plus four, and -1 where there is no limit.
       CASE WHEN t.typname IN ('varchar', 'bpchar') AND a.atttypmod > 4
            THEN a.atttypmod - 4 END AS max_length
FROM pg_catalog.pg_attribute a
JOIN pg_catalog.pg_class c ON c.oid = a.attrelid AND c.relkind IN ('r', 'p')
                          AND NOT c.relispartition
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
WHERE n.nspname = %(schema)s AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY c.relname, a.attnum
