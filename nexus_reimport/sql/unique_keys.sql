-- Which unique keys do the tables of a schema have, and which of them are of plain columns alone?
SELECT c.relname, i.relname,
       ARRAY(SELECT a.attname::text
               FROM unnest(x.indkey::int2[]) WITH ORDINALITY AS k (attnum, position)
               JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum
              -- Columns of INCLUDE come after those of the key, and tell no rows apart.
              WHERE k.position <= x.indnkeyatts
              ORDER BY k.position),
       x.indpred IS NULL AND x.indexprs IS NULL AS plain,
       -- By JSON, because the column exists only since PostgreSQL 15.
       coalesce((to_jsonb(x) ->> 'indnullsnotdistinct')::boolean, false) AS nulls_are_equal
FROM pg_catalog.pg_index x
JOIN pg_catalog.pg_class c ON c.oid = x.indrelid
JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %(schema)s AND x.indisunique AND x.indisvalid
ORDER BY c.relname, i.relname
