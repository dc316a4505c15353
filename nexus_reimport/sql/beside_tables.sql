-- What does the catalog say beside its tables: indexes that are not unique, sequences, views, functions,
-- types, extensions, how tables are stored, comments, labels, settings, and who was granted what?
-- Extensions' objects and our own are left aside.
-- Local is what a copy to look at does without, or what nothing in a run can touch.
WITH spaces AS (
    SELECT n.oid, n.nspname, n.nspowner, n.nspacl
    FROM pg_catalog.pg_namespace n
    WHERE n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\_%%'
      AND n.nspname <> %(own)s AND NOT starts_with(n.nspname, %(undo)s)
), of_extensions AS (
    SELECT d.classid, d.objid FROM pg_catalog.pg_depend d WHERE d.deptype = 'e'
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
       CASE WHEN x.indisvalid AND x.indisready AND x.indislive THEN 'yes' ELSE 'no' END, concat_ws(' ', i.reloptions, nullif(i.reltablespace, 0))
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
SELECT true, 'view ' || name, CASE relkind WHEN 'm' THEN 'materialized' ELSE 'a view' END || CASE WHEN relispopulated THEN '' ELSE ', never filled' END,
       pg_catalog.pg_get_viewdef(oid)
FROM named
WHERE relkind IN ('v', 'm')
UNION ALL
SELECT true, 'trigger ' || g.tgname || ' of ' || name, g.tgenabled::text, pg_catalog.pg_get_triggerdef(g.oid)
FROM named
JOIN pg_catalog.pg_trigger g ON g.tgrelid = named.oid AND NOT g.tgisinternal
WHERE relkind = 'v'
UNION ALL
SELECT true, 'rule ' || r.rulename || ' of ' || name, r.ev_enabled::text, pg_catalog.pg_get_ruledef(r.oid)
FROM named
JOIN pg_catalog.pg_rewrite r ON r.ev_class = named.oid AND r.rulename <> '_RETURN'
WHERE relkind = 'v'
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
SELECT true, 'owner of event trigger ' || evtname, pg_catalog.pg_get_userbyid(evtowner), ''
FROM pg_catalog.pg_event_trigger
UNION ALL
SELECT true, 'function ' || p.oid::regprocedure::text, p.prokind::text,
       concat_ws(' ', CASE WHEN p.prokind <> 'a' THEN pg_catalog.pg_get_functiondef(p.oid) END,
                 (SELECT to_jsonb(g)::text FROM pg_catalog.pg_aggregate g WHERE g.aggfnoid = p.oid),
                 pg_catalog.pg_get_function_result(p.oid), pg_catalog.pg_get_userbyid(p.proowner),
                 coalesce(p.proacl, pg_catalog.acldefault('f', p.proowner))::text)
FROM pg_catalog.pg_proc p
JOIN spaces s ON s.oid = p.pronamespace
WHERE NOT EXISTS (
    SELECT FROM pg_catalog.pg_depend d
    WHERE d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
UNION ALL
SELECT true, 'type ' || t.oid::regtype::text,
       CASE t.typtype WHEN 'e' THEN 'an enumeration' WHEN 'r' THEN 'a range' WHEN 'c' THEN 'composite' WHEN 'd' THEN 'a domain' ELSE 'a base type' END,
       concat_ws(' ', pg_catalog.pg_get_userbyid(t.typowner), t.typacl,
                 CASE WHEN t.typtype IN ('b', 'p') THEN t::text END,
                 (SELECT to_jsonb(r)::text FROM pg_catalog.pg_range r WHERE r.rngtypid = t.oid),
                 pg_catalog.format_type(t.typbasetype, t.typtypmod), t.typnotnull, t.typdefault,
                 (SELECT l.collname FROM pg_catalog.pg_collation l WHERE l.oid = t.typcollation),
                 (SELECT string_agg(e.enumlabel, ',' ORDER BY e.enumsortorder)
                    FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid),
                 (SELECT string_agg(k.conname || pg_catalog.pg_get_constraintdef(k.oid), ',' ORDER BY k.conname)
                    FROM pg_catalog.pg_constraint k WHERE k.contypid = t.oid))
FROM pg_catalog.pg_type t
JOIN spaces s ON s.oid = t.typnamespace
LEFT JOIN pg_catalog.pg_class c ON c.oid = t.typrelid
WHERE (t.typtype IN ('d', 'e', 'r', 'p') OR t.typtype = 'b' AND t.typcategory <> 'A' OR c.relkind = 'c')
  AND NOT EXISTS (
      SELECT FROM pg_catalog.pg_depend d
      WHERE d.classid = 'pg_catalog.pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e')
UNION ALL
SELECT true, 'extension ' || extname, extversion, concat_ws(' ', extnamespace::regnamespace, extowner::regrole, extconfig, extcondition)
FROM pg_catalog.pg_extension
UNION ALL
SELECT true, 'schema ' || nspname, pg_catalog.pg_get_userbyid(nspowner),
       coalesce(nspacl, pg_catalog.acldefault('n', nspowner))::text
FROM spaces
UNION ALL
SELECT true, 'database', pg_catalog.pg_get_userbyid(d.datdba),
       concat_ws(' ', coalesce(d.datacl, pg_catalog.acldefault('d', d.datdba)), d.datconnlimit, d.datallowconn,
                 d.datistemplate, pg_catalog.shobj_description(d.oid, 'pg_database'),
                 to_jsonb(d) ->> 'datcollversion')
FROM pg_catalog.pg_database d
WHERE d.datname = current_database()
UNION ALL
SELECT true, 'grants on what ' || pg_catalog.pg_get_userbyid(a.defaclrole) || ' makes later'
       || coalesce(' in ' || n.nspname, ''), a.defaclobjtype::text, a.defaclacl::text
FROM pg_catalog.pg_default_acl a
LEFT JOIN pg_catalog.pg_namespace n ON n.oid = a.defaclnamespace
UNION ALL
SELECT true, 'comment on ' || o.type || ' ' || o.identity, 'a comment', d.description
FROM pg_catalog.pg_description d
CROSS JOIN LATERAL pg_catalog.pg_identify_object(d.classoid, d.objoid, d.objsubid) o
WHERE (d.objoid >= 16384 OR d.classoid = 'pg_catalog.pg_namespace'::regclass AND d.objoid IN (SELECT oid FROM spaces))
  AND (o.schema IS NULL OR o.schema IN (SELECT nspname FROM spaces))
  AND (d.classoid, d.objoid) NOT IN (SELECT * FROM of_extensions)
UNION ALL
SELECT true, 'label of ' || l.provider || ' on ' || o.type || ' ' || o.identity, 'a label', l.label
FROM pg_catalog.pg_seclabel l
CROSS JOIN LATERAL pg_catalog.pg_identify_object(l.classoid, l.objoid, l.objsubid) o
UNION ALL
SELECT true, 'storage of ' || t.name, coalesce(nullif(concat_ws(', ', t.reloptions::text, o.reloptions::text), ''), 'as usual'),
       concat_ws(' ',
           (SELECT i.relname::text FROM pg_catalog.pg_index x JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid
            WHERE x.indrelid = t.oid AND x.indisclustered),
           CASE WHEN t.relkind = 'S' THEN t.relpersistence END, nullif(t.reloftype, 0)::regtype,
           (SELECT s.spcname FROM pg_catalog.pg_tablespace s WHERE s.oid = t.reltablespace),
           (SELECT m.amname FROM pg_catalog.pg_am m WHERE m.oid = t.relam),
           (SELECT concat_ws(' ', w.ftserver, w.ftoptions) FROM pg_catalog.pg_foreign_table w WHERE w.ftrelid = t.oid))
FROM named t
LEFT JOIN pg_catalog.pg_class o ON o.oid = t.reltoastrelid
WHERE t.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
UNION ALL
SELECT true, 'columns of ' || t.name, 'in their order',
       string_agg(concat_ws(' ', a.attname, a.attstorage, a.attstattarget, a.attoptions, a.attfdwoptions,
                            to_jsonb(a) ->> 'attcompression', a.attcollation, a.attgenerated,
                            -- Of tables these have lines of their own.
                            CASE WHEN t.relkind IN ('v', 'm', 'c')
                                 THEN concat_ws(' ', pg_catalog.format_type(a.atttypid, a.atttypmod),
                                                a.attacl, pg_catalog.pg_get_expr(f.adbin, f.adrelid)) END),
                  ',' ORDER BY a.attnum)
FROM named t
JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_catalog.pg_attrdef f ON f.adrelid = a.attrelid AND f.adnum = a.attnum
WHERE t.relkind IN ('r', 'p', 'v', 'm', 'f', 'c')
GROUP BY t.name
UNION ALL
SELECT true, 'large objects', count(*)::text,
       md5(string_agg(concat_ws(' ', m.oid, pg_catalog.pg_get_userbyid(m.lomowner), m.lomacl), ',' ORDER BY m.oid))
FROM pg_catalog.pg_largeobject_metadata m
UNION ALL
SELECT true, 'settings of the database' || coalesce(' for ' || r.rolname, ''), 'as set', s.setconfig::text
FROM pg_catalog.pg_db_role_setting s
JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase AND d.datname = current_database()
LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.setrole
ORDER BY 2, 3, 4
