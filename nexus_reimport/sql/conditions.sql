-- Which conditions and foreign keys, valid or not, do rows of these tables have to satisfy?
SELECT c.relname, k.conname, k.convalidated,
       -- Of a NOT NULL, which is a constraint since PostgreSQL 18.
       CASE WHEN k.contype = 'n'
            THEN (SELECT format('%%I IS NOT NULL', a.attname) FROM pg_catalog.pg_attribute a
                   WHERE a.attrelid = k.conrelid AND a.attnum = k.conkey[1])
            ELSE pg_catalog.pg_get_expr(k.conbin, k.conrelid) END,
       tn.nspname, t.relname,
       ARRAY(SELECT a.attname::text
               FROM unnest(k.conkey) WITH ORDINALITY AS o (number, place)
               JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = o.number
              ORDER BY o.place),
       ARRAY(SELECT a.attname::text
               FROM unnest(k.confkey) WITH ORDINALITY AS o (number, place)
               JOIN pg_catalog.pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = o.number
              ORDER BY o.place)
FROM pg_catalog.pg_constraint k
JOIN pg_catalog.pg_class c ON c.oid = k.conrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.pg_class t ON t.oid = k.confrelid
LEFT JOIN pg_catalog.pg_namespace tn ON tn.oid = t.relnamespace
WHERE n.nspname = %(schema)s AND c.relname = ANY (%(tables)s)
  -- A foreign key or NOT NULL that is valid holds for every row; what a condition calls may have changed since.
  AND (k.contype = 'c' OR k.contype IN ('f', 'n') AND NOT k.convalidated)
  -- By JSON, because the column exists only since PostgreSQL 18.
  AND coalesce((to_jsonb(k) ->> 'conenforced')::boolean, true)
ORDER BY 1, 2
