-- Which types and functions that these tables are made of may this role not use? All may by default.
-- A temporary table of the same columns needs the types; writing a row calls the functions of
-- checks, generated columns and indexes in the writer's name.
WITH tables AS (
    SELECT c.oid
    FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = %(schema)s AND c.relname = ANY (%(tables)s)
)
SELECT DISTINCT 'TYPE', pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(e.typname)
FROM tables
JOIN pg_catalog.pg_attribute a ON a.attrelid = tables.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
JOIN pg_catalog.pg_type e
  -- Of an array counts the right on the type of its elements.
  ON e.oid = CASE WHEN t.typcategory = 'A' AND t.typelem <> 0 THEN t.typelem ELSE t.oid END
JOIN pg_catalog.pg_namespace n ON n.oid = e.typnamespace
WHERE NOT pg_catalog.has_type_privilege(e.oid, 'USAGE')
UNION
SELECT 'FUNCTION', p.oid::regprocedure::text
FROM tables
JOIN pg_catalog.pg_depend d
  ON d.refclassid = 'pg_proc'::regclass
 AND (d.classid, d.objid) IN (
     SELECT 'pg_constraint'::regclass, k.oid FROM pg_catalog.pg_constraint k
      WHERE k.conrelid = tables.oid
     UNION ALL
     SELECT 'pg_attrdef'::regclass, f.oid FROM pg_catalog.pg_attrdef f
      WHERE f.adrelid = tables.oid
     UNION ALL
     SELECT 'pg_class'::regclass, i.indexrelid FROM pg_catalog.pg_index i
      WHERE i.indrelid = tables.oid)
JOIN pg_catalog.pg_proc p ON p.oid = d.refobjid
WHERE NOT pg_catalog.has_function_privilege(p.oid, 'EXECUTE')
ORDER BY 1, 2
