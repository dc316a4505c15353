-- Which foreign keys point at tables of a schema, from wherever, and how do they act?
-- One that points at a partition points at its root.
SELECT k.conname, fn.nspname, f.relname,
       (SELECT array_agg(a.attname::text ORDER BY u.position)
          FROM unnest(k.conkey) WITH ORDINALITY AS u (attnum, position)
          JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.attnum),
       t.relname,
       (SELECT array_agg(a.attname::text ORDER BY u.position)
          FROM unnest(k.confkey) WITH ORDINALITY AS u (attnum, position)
          JOIN pg_catalog.pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.attnum),
       k.condeferrable,
       k.confdeltype <> 'a' OR k.confupdtype NOT IN ('a', 'r'),  -- it acts, or cannot be deferred
       ARRAY[rn.nspname::text, r.relname::text], k.confmatchtype = 'f', k.convalidated,
       -- By JSON, because the column exists only since PostgreSQL 18.
       coalesce((to_jsonb(k) ->> 'conenforced')::boolean, true)
FROM pg_catalog.pg_constraint k
JOIN pg_catalog.pg_class f ON f.oid = k.conrelid
JOIN pg_catalog.pg_namespace fn ON fn.oid = f.relnamespace
JOIN pg_catalog.pg_class r ON r.oid = k.confrelid
JOIN pg_catalog.pg_namespace rn ON rn.oid = r.relnamespace
JOIN pg_catalog.pg_class t ON t.oid = coalesce(pg_catalog.pg_partition_root(k.confrelid), k.confrelid)
JOIN pg_catalog.pg_namespace tn ON tn.oid = t.relnamespace
-- A key of a partitioned table has one below it for each partition, which is not a key of its own.
WHERE tn.nspname = %(schema)s AND k.contype = 'f' AND k.conparentid = 0
ORDER BY f.relname, k.conname
