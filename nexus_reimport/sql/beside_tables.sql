-- What does the catalog say beside its tables: indexes that are not unique, sequences, views, functions,
-- types, extensions, and who was granted what? Extensions' objects and our own are left aside.
-- Local is what a copy to look at does without, or what nothing in a run can touch.
WITH spaces AS (
    SELECT n.oid, n.nspname, n.nspowner, n.nspacl
    FROM pg_catalog.pg_namespace n
    WHERE n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\_%%'
      AND n.nspname <> %(own)s AND NOT starts_with(n.nspname, %(undo)s)
), named AS (
    SELECT c.*, s.nspname || '.' || c.relname AS name
    FROM pg_catalog.pg_class c
    JOIN spaces s ON s.oid = c.relnamespace
    WHERE c.relpersistence <> 't'
      AND NOT EXISTS (
          SELECT FROM pg_catalog.pg_depend d
          WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
)
SELECT false AS local, 'index ' || i.relname || ' of ' || t.name AS place, 'not unique' AS shown,
       pg_catalog.pg_get_indexdef(x.indexrelid) AS definition
FROM named t
JOIN pg_catalog.pg_index x ON x.indrelid = t.oid AND NOT x.indisunique
JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid AND NOT i.relispartition
WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.conindid = x.indexrelid)
UNION ALL
SELECT true, 'index ' || i.relname || ' of ' || t.name || ' in use',
       CASE WHEN x.indisvalid AND x.indisready AND x.indislive THEN 'yes' ELSE 'no' END, ''
FROM named t
JOIN pg_catalog.pg_index x ON x.indrelid = t.oid
JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid
UNION ALL
SELECT false, 'sequence ' || s.name, pg_catalog.format_type(q.seqtypid, NULL),
       concat_ws(' ', q.seqstart, q.seqincrement, q.seqmin, q.seqmax, q.seqcache, q.seqcycle)
FROM named s
JOIN pg_catalog.pg_sequence q ON q.seqrelid = s.oid
UNION ALL
SELECT false, 'owner of sequence ' || s.name, t.name || '.' || a.attname, ''
FROM named s
JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = s.oid
                           AND d.refclassid = 'pg_catalog.pg_class'::regclass
                           AND d.deptype IN ('a', 'i')
JOIN named t ON t.oid = d.refobjid
JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.refobjsubid
WHERE s.relkind = 'S'
UNION ALL
SELECT true, 'view ' || name, CASE relkind WHEN 'm' THEN 'materialized' ELSE 'a view' END,
       pg_catalog.pg_get_viewdef(oid)
FROM named
WHERE relkind IN ('v', 'm')
UNION ALL
SELECT true, 'grants on ' || name, 'as granted',
       coalesce(relacl, pg_catalog.acldefault(CASE relkind WHEN 'S' THEN 's'::"char" ELSE 'r' END, relowner))::text
FROM named
WHERE relkind IN ('S', 'v', 'm')
UNION ALL
SELECT true, 'owner of ' || name, pg_catalog.pg_get_userbyid(relowner), ''
FROM named
WHERE relkind IN ('S', 'v', 'm')
UNION ALL
SELECT true, 'function ' || p.oid::regprocedure::text, p.prokind::text,
       concat_ws(' ', CASE WHEN p.prokind <> 'a' THEN pg_catalog.pg_get_functiondef(p.oid) END,
                 pg_catalog.pg_get_function_result(p.oid), pg_catalog.pg_get_userbyid(p.proowner),
                 coalesce(p.proacl, pg_catalog.acldefault('f', p.proowner))::text)
FROM pg_catalog.pg_proc p
JOIN spaces s ON s.oid = p.pronamespace
WHERE NOT EXISTS (
    SELECT FROM pg_catalog.pg_depend d
    WHERE d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
UNION ALL
SELECT true, 'type ' || t.oid::regtype::text, CASE t.typtype WHEN 'e' THEN 'an enumeration' ELSE 'a domain' END,
       concat_ws(' ', pg_catalog.format_type(t.typbasetype, t.typtypmod), t.typnotnull, t.typdefault,
                 (SELECT string_agg(e.enumlabel, ',' ORDER BY e.enumsortorder)
                    FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid),
                 (SELECT string_agg(k.conname || pg_catalog.pg_get_constraintdef(k.oid), ',' ORDER BY k.conname)
                    FROM pg_catalog.pg_constraint k WHERE k.contypid = t.oid))
FROM pg_catalog.pg_type t
JOIN spaces s ON s.oid = t.typnamespace
WHERE t.typtype IN ('d', 'e')
  AND NOT EXISTS (
      SELECT FROM pg_catalog.pg_depend d
      WHERE d.classid = 'pg_catalog.pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e')
UNION ALL
SELECT true, 'extension ' || extname, extversion, '' FROM pg_catalog.pg_extension
UNION ALL
SELECT true, 'schema ' || nspname, pg_catalog.pg_get_userbyid(nspowner),
       coalesce(nspacl, pg_catalog.acldefault('n', nspowner))::text
FROM spaces
UNION ALL
SELECT true, 'database', pg_catalog.pg_get_userbyid(d.datdba),
       coalesce(d.datacl, pg_catalog.acldefault('d', d.datdba))::text
FROM pg_catalog.pg_database d
WHERE d.datname = current_database()
UNION ALL
SELECT true, 'grants on what ' || pg_catalog.pg_get_userbyid(a.defaclrole) || ' makes later'
       || coalesce(' in ' || n.nspname, ''), a.defaclobjtype::text, a.defaclacl::text
FROM pg_catalog.pg_default_acl a
LEFT JOIN pg_catalog.pg_namespace n ON n.oid = a.defaclnamespace
WHERE n.nspname IS NULL OR n.nspname IN (SELECT nspname FROM spaces)
ORDER BY 2, 3, 4
