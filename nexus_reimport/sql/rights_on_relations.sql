-- What may this role do with each table and sequence that is dumped or looked at, is it its own, and
-- would rows be hidden from it? Through groups and PUBLIC, too.
-- Of what belongs to an extension a dump holds only what it marks as configuration.
SELECT n.nspname::text, c.relname::text,
       pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname),
       c.relkind = 'S' AS is_sequence,
       CASE WHEN c.relkind = 'S'
            THEN ARRAY(SELECT p FROM unnest(ARRAY['SELECT', 'UPDATE']) AS p
                        -- NULL means that the object was dropped meanwhile, so no right on it is missing.
                        WHERE coalesce(pg_catalog.has_sequence_privilege(c.oid, p), true))
            ELSE ARRAY(SELECT p FROM unnest(%(privileges)s::text[]) AS p
                        WHERE coalesce(pg_catalog.has_table_privilege(c.oid, p), true))
       END AS held,
       pg_catalog.pg_has_role(c.relowner, 'USAGE') AS is_own,
       c.relkind <> 'S' AND pg_catalog.row_security_active(c.oid) AS hides_rows
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'S')
  AND n.nspname NOT LIKE 'pg\_%%' AND n.nspname <> 'information_schema'
  AND (n.nspname = %(schema)s AND c.relkind <> 'S' OR NOT EXISTS (
      SELECT FROM pg_catalog.pg_depend d
      JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
      WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
        AND d.refclassid = 'pg_extension'::regclass
        AND c.oid <> ALL (coalesce(e.extconfig, '{}'))))
ORDER BY n.nspname, c.relname
