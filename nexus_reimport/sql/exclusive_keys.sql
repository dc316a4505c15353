-- By which expressions do unique keys and exclusion constraints of a table tell rows apart?
SELECT coalesce(k.conname, i.relname),
       ARRAY(SELECT pg_catalog.pg_get_indexdef(x.indexrelid, position, true)
               FROM generate_series(1, x.indnkeyatts) AS position ORDER BY position),
       -- With its schema, since another operator may have the same name.
       ARRAY(SELECT format('OPERATOR(%%I.%%s)', n.nspname, o.oprname)
               FROM unnest(k.conexclop) WITH ORDINALITY AS e (oid, position)
               JOIN pg_catalog.pg_operator o ON o.oid = e.oid
               JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace
              ORDER BY e.position),
       coalesce(pg_catalog.pg_get_expr(x.indpred, x.indrelid), 'true'),
       -- By JSON, because the column exists only since PostgreSQL 15.
       coalesce((to_jsonb(x) ->> 'indnullsnotdistinct')::boolean, false)
FROM pg_catalog.pg_index x
JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid
LEFT JOIN pg_catalog.pg_constraint k ON k.conindid = x.indexrelid AND k.contype IN ('u', 'p', 'x')
WHERE x.indrelid = pg_catalog.to_regclass(%(table)s) AND (x.indisunique OR k.contype = 'x')
ORDER BY 1
