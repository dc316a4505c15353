-- What is the primary key of each table of a schema?
SELECT c.relname, array_agg(a.attname::text ORDER BY k.position)
FROM pg_catalog.pg_constraint p
JOIN pg_catalog.pg_class c ON c.oid = p.conrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL unnest(p.conkey) WITH ORDINALITY AS k (attnum, position)
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum
WHERE n.nspname = %(schema)s AND p.contype = 'p'
GROUP BY c.relname
