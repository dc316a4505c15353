-- Which columns of a table may an UPDATE not change? Those that PostgreSQL compares with the other
-- rows as each row is written, so that two rows could not exchange their values; and those that it
-- fills itself. "any": a condition or an expression decides about it, or rows may move to another
-- partition, and no column may.
SELECT c.relkind = 'p' OR EXISTS (
           SELECT FROM pg_catalog.pg_index x
            WHERE x.indrelid = c.oid AND (x.indisunique OR x.indisexclusion)
              AND (x.indpred IS NOT NULL OR x.indexprs IS NOT NULL)) AS any,
       ARRAY(SELECT a.attname::text
               FROM pg_catalog.pg_attribute a
              WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
                AND (a.attidentity = 'a' OR EXISTS (
                        SELECT FROM pg_catalog.pg_index x
                         WHERE x.indrelid = c.oid AND (x.indisunique OR x.indisexclusion)
                           AND a.attnum = ANY (x.indkey::int2[])))
              ORDER BY a.attname)
FROM pg_catalog.pg_class c
WHERE c.oid = pg_catalog.to_regclass(%(table)s)
