-- Which of these tables have whole numbers that an identity, a function, or a sequence of the column's own may give out?
-- Asked first: hardly any has, and to plan the whole question takes longer than to answer it.
SELECT DISTINCT c.relname::text
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE n.nspname = %(schema)s AND c.relname = ANY (%(tables)s)
  AND a.atttypid IN ('pg_catalog.int2'::regtype, 'pg_catalog.int4'::regtype, 'pg_catalog.int8'::regtype)
  AND (a.attidentity <> ''
       OR EXISTS (
           SELECT FROM pg_catalog.pg_attrdef f
           -- A default that calls nothing is the same in each row.
           WHERE f.adrelid = c.oid AND f.adnum = a.attnum AND pg_catalog.pg_get_expr(f.adbin, f.adrelid) LIKE '%%(%%')
       OR EXISTS (
           SELECT FROM pg_catalog.pg_depend d
           -- An index depends on its column as well.
           JOIN pg_catalog.pg_class s ON s.oid = d.objid AND s.relkind = 'S'
           WHERE d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = c.oid AND d.refobjsubid = a.attnum
             AND d.classid = 'pg_catalog.pg_class'::regclass AND d.deptype IN ('a', 'i')))
ORDER BY 1
