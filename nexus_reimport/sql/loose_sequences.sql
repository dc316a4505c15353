-- Which sequences does no column own, and does no default name?
SELECT n.nspname, c.relname
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'S'
  AND NOT EXISTS (
      SELECT FROM pg_catalog.pg_depend d
      WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid
        -- a is of OWNED BY, i of an identity column, e of an extension.
        AND d.deptype IN ('a', 'i', 'e'))
  AND NOT EXISTS (
      SELECT FROM pg_catalog.pg_depend d
      WHERE d.classid = 'pg_catalog.pg_attrdef'::regclass AND d.refobjid = c.oid
        AND d.refclassid = 'pg_catalog.pg_class'::regclass)
ORDER BY 1, 2
