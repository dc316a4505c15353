-- Which tables are partitions of a table in the application's schema, wherever they lie?
SELECT n.nspname, c.relname
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_class r ON r.oid = pg_catalog.pg_partition_root(c.oid)
JOIN pg_catalog.pg_namespace s ON s.oid = r.relnamespace
WHERE c.relispartition AND s.nspname = %(schema)s
