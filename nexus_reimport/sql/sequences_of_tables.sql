-- Which sequences fill columns of these tables: owned by a column, or named by a column's default?
SELECT DISTINCT n.nspname::text, s.relname::text
FROM pg_catalog.pg_class t
JOIN pg_catalog.pg_namespace tn ON tn.oid = t.relnamespace
JOIN pg_catalog.pg_depend d
  ON (d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass
      AND d.refobjid = t.oid AND d.deptype IN ('a', 'i'))
  OR (d.classid = 'pg_attrdef'::regclass AND d.refclassid = 'pg_class'::regclass
      AND d.objid IN (SELECT f.oid FROM pg_catalog.pg_attrdef f WHERE f.adrelid = t.oid))
JOIN pg_catalog.pg_class s
  ON s.oid = CASE WHEN d.classid = 'pg_class'::regclass THEN d.objid ELSE d.refobjid END
 AND s.relkind = 'S'
JOIN pg_catalog.pg_namespace n ON n.oid = s.relnamespace
WHERE tn.nspname = %(schema)s AND t.relname = ANY (%(tables)s)
ORDER BY 1, 2
