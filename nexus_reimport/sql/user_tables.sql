-- Which tables does this database have, extensions' and undo data aside, with which columns and key,
-- and in which schema is the table that each is a partition of, or the table itself?
SELECT n.nspname, c.relname,
       (SELECT array_agg(a.attname::text ORDER BY a.attname)
          FROM pg_catalog.pg_attribute a
         WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
       (SELECT array_agg(a.attname::text ORDER BY k.position)
          FROM pg_catalog.pg_constraint p
          CROSS JOIN LATERAL unnest(p.conkey) WITH ORDINALITY AS k (attnum, position)
          JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum
         WHERE p.conrelid = c.oid AND p.contype = 'p'),
       (SELECT s.nspname
          FROM pg_catalog.pg_class r
          JOIN pg_catalog.pg_namespace s ON s.oid = r.relnamespace
         WHERE r.oid = coalesce(pg_catalog.pg_partition_root(c.oid), c.oid))
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
-- Partitions one by one: the table above them holds no row itself.
WHERE c.relkind = 'r'
  AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\_%%'
  AND NOT starts_with(n.nspname, %(undo)s)
  AND NOT EXISTS (
      SELECT FROM pg_catalog.pg_depend d
      WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY n.nspname, c.relname
