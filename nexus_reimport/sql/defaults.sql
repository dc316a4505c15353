-- What does the database put into the columns of these tables that a new row leaves out?
-- An expression is one value for all rows where nothing in it is volatile, is somebody's own
-- function, or depends on the session (but on the moment). Domains have defaults, too.
SELECT c.relname::text, a.attname::text, e.said,
       pg_catalog.format_type(a.atttypid, a.atttypmod),
       e.tree !~ '\{SQLVALUEFUNCTION :op ([0-2]|[5-9]|1[0-4])\y' AND e.tree !~ '\{NEXTVALUEEXPR'
       -- The text of a moment depends on the session's time zone.
       AND e.tree !~ '\{SQLVALUEFUNCTION.*\{COERCEVIAIO|\{COERCEVIAIO.*\{SQLVALUEFUNCTION'
       AND NOT EXISTS (
           SELECT FROM pg_catalog.regexp_matches(e.tree, ':(?:op)?funcid (\d+)', 'g') AS m (ids)
           JOIN pg_catalog.pg_proc p ON p.oid = m.ids[1]::oid
           -- Below 16384 are PostgreSQL's own functions (FirstNormalObjectId).
           WHERE p.oid >= 16384 OR p.provolatile = 'v'
              OR p.provolatile = 's' AND (p.prorettype <> 'timestamptz'::regtype
                                          OR e.tree ~ '\{COERCEVIAIO')) AS is_one_value
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
CROSS JOIN LATERAL (
    SELECT coalesce(d.adbin, t.typdefaultbin)::text,
           CASE WHEN d.adbin IS NOT NULL THEN pg_catalog.pg_get_expr(d.adbin, d.adrelid)
                ELSE pg_catalog.pg_get_expr(t.typdefaultbin, 0) END
) AS e (tree, said)
WHERE n.nspname = %(schema)s AND c.relname = ANY (%(tables)s)
  AND c.relkind IN ('r', 'p') AND NOT c.relispartition
  AND a.attidentity = '' AND a.attgenerated = '' AND e.said IS NOT NULL
ORDER BY 1, a.attnum
