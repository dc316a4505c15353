-- What of a table may an UPDATE change? PostgreSQL compares each row with the others as it is
-- written, so two rows could not exchange a unique value. "any": a condition or an expression
-- decides about it, or rows may move to another partition, and nothing may change. "fixed": columns
-- that it fills itself, or of which equality is not simply that of "=", or that a foreign key
-- points at. "free": the other unique keys, whose new value is free unless another row has it.
WITH keys AS (
    SELECT x.indkey::int2[] AS columns, x.indnkeyatts AS width,
           x.indpred IS NOT NULL OR x.indexprs IS NOT NULL AS decides,
           x.indisvalid AND NOT (x.indisprimary OR x.indisexclusion
                -- By JSON, because the column exists only since PostgreSQL 15.
                OR coalesce((to_jsonb(x) ->> 'indnullsnotdistinct')::boolean, false))
           AND NOT EXISTS (
               SELECT FROM pg_catalog.pg_constraint k
                WHERE k.confrelid = x.indrelid AND k.confkey && x.indkey::int2[])
           AND NOT EXISTS (
               SELECT
                 -- Of columns that are only included there is no operator class.
                 FROM unnest(x.indkey::int2[], x.indclass::oid[], x.indcollation::oid[])
                      AS of (attnum, opclass, sorting)
                 JOIN pg_catalog.pg_attribute a
                   ON a.attrelid = x.indrelid AND a.attnum = of.attnum
                 JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
                 JOIN pg_catalog.pg_opclass o ON o.oid = of.opclass
                WHERE a.attidentity = 'a' OR NOT o.opcdefault OR of.sorting <> a.attcollation
                   OR t.typnamespace <> 'pg_catalog'::regnamespace) AS is_free
      FROM pg_catalog.pg_index x
     WHERE x.indrelid = pg_catalog.to_regclass(%(table)s) AND (x.indisunique OR x.indisexclusion))
SELECT c.relkind = 'p' OR EXISTS (SELECT FROM keys WHERE decides) AS any,
       ARRAY(SELECT a.attname::text
               FROM pg_catalog.pg_attribute a
              WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
                AND (a.attidentity = 'a' OR EXISTS (
                        SELECT FROM keys WHERE NOT is_free AND a.attnum = ANY (columns)))
              ORDER BY a.attname) AS fixed,
       (SELECT coalesce(json_agg(names ORDER BY names), '[]')
          FROM (SELECT ARRAY(SELECT a.attname::text
                               FROM unnest(columns[0:width - 1]) WITH ORDINALITY AS k (attnum, place)
                               JOIN pg_catalog.pg_attribute a
                                 ON a.attrelid = c.oid AND a.attnum = k.attnum
                              ORDER BY k.place) AS names
                  FROM keys WHERE is_free) AS named) AS free
FROM pg_catalog.pg_class c
WHERE c.oid = pg_catalog.to_regclass(%(table)s)
