-- By which expressions do unique keys and exclusion constraints of a table tell rows apart, and what
-- are they compared by? A plain key is of columns alone that the database does not fill.
SELECT i.relname,
       ARRAY(SELECT pg_catalog.pg_get_indexdef(x.indexrelid, position, true)
                    -- Of the key, which may call texts equal that are two to their column.
                    || coalesce((SELECT format(' COLLATE %%I.%%I', n.nspname, l.collname)
                                   FROM pg_catalog.pg_collation l
                                   JOIN pg_catalog.pg_namespace n ON n.oid = l.collnamespace
                                  WHERE l.oid = x.indcollation[position - 1]), '')
               FROM generate_series(1, x.indnkeyatts) AS position ORDER BY position),
       -- With its schema, since another operator may have the same name.
       ARRAY(SELECT format('OPERATOR(%%I.%%s)', n.nspname, o.oprname)
               FROM generate_series(1, x.indnkeyatts) AS position
               LEFT JOIN pg_catalog.pg_opclass c ON c.oid = x.indclass[position - 1]
               LEFT JOIN pg_catalog.pg_amop e
                 ON e.amopfamily = c.opcfamily AND e.amopstrategy = 3 -- equality in a B-tree
                AND e.amoplefttype = c.opcintype AND e.amoprighttype = c.opcintype
               JOIN pg_catalog.pg_operator o ON o.oid = coalesce(k.conexclop[position], e.amopopr)
               JOIN pg_catalog.pg_namespace n ON n.oid = o.oprnamespace
              ORDER BY position),
       coalesce(pg_catalog.pg_get_expr(x.indpred, x.indrelid), 'true'),
       -- By JSON, because the column exists only since PostgreSQL 15.
       coalesce((to_jsonb(x) ->> 'indnullsnotdistinct')::boolean, false),
       ARRAY(SELECT a.attname::text
               FROM generate_series(1, x.indnkeyatts) AS position
               JOIN pg_catalog.pg_attribute a
                 ON a.attrelid = x.indrelid AND a.attnum = x.indkey[position - 1]
              ORDER BY position),
       x.indexprs IS NULL AND x.indpred IS NULL AND NOT EXISTS (
           SELECT FROM pg_catalog.pg_attribute a
            WHERE a.attrelid = x.indrelid AND a.attgenerated <> '' AND a.attnum = ANY (x.indkey)),
       k.oid IS NOT NULL
FROM pg_catalog.pg_index x
JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid
LEFT JOIN pg_catalog.pg_constraint k ON k.conindid = x.indexrelid AND k.contype = 'x'
WHERE x.indrelid = pg_catalog.to_regclass(%(table)s) AND (x.indisunique OR k.oid IS NOT NULL)
ORDER BY 1
