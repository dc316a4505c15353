-- What does the catalog say of these tables, of their partitions, and of what points at them?
-- Local is what a copy to look at does without: owners, grants, policies, publications, event triggers.
WITH RECURSIVE touched AS (
    SELECT c.oid
    FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = %(schema)s AND c.relname = ANY (%(tables)s)
    UNION
    SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN touched ON touched.oid = i.inhparent
), named AS (
    SELECT c.*, n.nspname || '.' || c.relname AS name
    FROM touched
    JOIN pg_catalog.pg_class c USING (oid)
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
)
SELECT false AS local, 'table ' || name AS place,
       CASE relkind WHEN 'p' THEN 'partitioned' WHEN 'f' THEN 'foreign' ELSE 'ordinary' END
       || CASE relpersistence WHEN 'u' THEN ', unlogged' ELSE '' END AS shown,
       pg_catalog.pg_get_partkeydef(oid) AS definition
FROM named
UNION ALL
SELECT false, 'column ' || name || '.' || a.attname,
       pg_catalog.format_type(a.atttypid, a.atttypmod)
       || CASE WHEN a.attnotnull THEN ', never empty' ELSE '' END
       || CASE a.attidentity WHEN 'a' THEN ', always an identity' WHEN 'd' THEN ', an identity' ELSE '' END
       || CASE WHEN a.attgenerated <> '' THEN ', generated' ELSE '' END,
       concat_ws(' ', pg_catalog.pg_get_expr(f.adbin, f.adrelid), l.collname)
FROM named
JOIN pg_catalog.pg_attribute a ON a.attrelid = named.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_catalog.pg_attrdef f ON f.adrelid = a.attrelid AND f.adnum = a.attnum
LEFT JOIN pg_catalog.pg_collation l ON l.oid = a.attcollation
UNION ALL
SELECT false, 'constraint ' || k.conname || ' of ' || fn.nspname || '.' || f.relname,
       CASE k.contype WHEN 'f' THEN 'a foreign key' WHEN 'p' THEN 'the primary key'
                      WHEN 'u' THEN 'unique' WHEN 'c' THEN 'a condition' ELSE 'an exclusion' END,
       pg_catalog.pg_get_constraintdef(k.oid)
FROM pg_catalog.pg_constraint k
JOIN pg_catalog.pg_class f ON f.oid = k.conrelid
JOIN pg_catalog.pg_namespace fn ON fn.oid = f.relnamespace
-- A partition's part of its root's constraint is described with the root.
WHERE k.contype IN ('c', 'f', 'p', 'u', 'x') AND k.conparentid = 0
  AND (k.conrelid IN (SELECT oid FROM touched) OR k.confrelid IN (SELECT oid FROM touched))
UNION ALL
SELECT false, 'index ' || c.relname || ' of ' || name, 'unique', pg_catalog.pg_get_indexdef(i.indexrelid)
FROM named
JOIN pg_catalog.pg_index i ON i.indrelid = named.oid AND i.indisunique
JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid AND NOT c.relispartition
WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.conindid = i.indexrelid)
UNION ALL
-- Of a partition each has a state of its own. Local, as older runs have kept no such line.
SELECT g.tgparentid <> 0, 'trigger ' || g.tgname || ' of ' || name,
       CASE g.tgenabled WHEN 'D' THEN 'disabled' WHEN 'R' THEN 'on replicas' WHEN 'A' THEN 'always' ELSE 'enabled' END,
       -- With the body of its function, which decides what the trigger does.
       pg_catalog.pg_get_triggerdef(g.oid) || md5(p.prosrc)
FROM named
JOIN pg_catalog.pg_trigger g ON g.tgrelid = named.oid AND NOT g.tgisinternal
JOIN pg_catalog.pg_proc p ON p.oid = g.tgfoid
UNION ALL
SELECT false, 'rule ' || r.rulename || ' of ' || name,
       CASE r.ev_enabled WHEN 'D' THEN 'disabled' WHEN 'R' THEN 'on replicas' WHEN 'A' THEN 'always' ELSE 'enabled' END,
       pg_catalog.pg_get_ruledef(r.oid)
FROM named
JOIN pg_catalog.pg_rewrite r ON r.ev_class = named.oid
UNION ALL
SELECT false, 'table ' || name || ' below ' || pn.nspname || '.' || p.relname,
       CASE WHEN named.relispartition THEN 'a partition' ELSE 'inherits' END,
       pg_catalog.pg_get_expr(named.relpartbound, named.oid)
FROM named
JOIN pg_catalog.pg_inherits i ON i.inhrelid = named.oid
JOIN pg_catalog.pg_class p ON p.oid = i.inhparent
JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace
UNION ALL
-- Foreign keys are checked by internal triggers, and DISABLE TRIGGER ALL switches those off too. Each that is not as usual.
SELECT true, 'foreign keys of ' || name, 'are enforced',
       string_agg(concat_ws(' ', k.conname, g.tgfoid::regproc, g.tgenabled), ',' ORDER BY k.conname, g.tgfoid::regproc::text)
           FILTER (WHERE g.tgenabled <> 'O')
FROM named
JOIN pg_catalog.pg_trigger g ON g.tgrelid = named.oid AND g.tgisinternal
LEFT JOIN pg_catalog.pg_constraint k ON k.oid = g.tgconstraint
GROUP BY name
UNION ALL
-- No lock on a table keeps anybody from changing the type of a column. Local, as older runs have kept no such line.
SELECT true, 'type of ' || name || '.' || a.attname, CASE t.typtype WHEN 'e' THEN 'an enumeration' ELSE 'a domain' END,
       concat_ws(' ', t.typnotnull, t.typdefault,
                 (SELECT string_agg(e.enumlabel, ',' ORDER BY e.enumsortorder)
                    FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid),
                 (SELECT string_agg(k.conname || pg_catalog.pg_get_constraintdef(k.oid), ',' ORDER BY k.conname)
                    FROM pg_catalog.pg_constraint k WHERE k.contypid = t.oid))
FROM named
JOIN pg_catalog.pg_attribute a ON a.attrelid = named.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_catalog.pg_type held ON held.oid = a.atttypid
JOIN pg_catalog.pg_type t ON t.oid IN (held.oid, held.typelem, held.typbasetype) AND t.typtype IN ('d', 'e')
UNION ALL
SELECT true, 'owner of ' || name, pg_catalog.pg_get_userbyid(relowner), '' FROM named
UNION ALL
SELECT true, 'grants on ' || name, 'as granted',
       coalesce(relacl, pg_catalog.acldefault('r', relowner))::text FROM named
UNION ALL
SELECT true, 'grants on ' || name || '.' || a.attname, 'as granted', a.attacl::text
FROM named
JOIN pg_catalog.pg_attribute a ON a.attrelid = named.oid AND a.attacl IS NOT NULL AND NOT a.attisdropped
UNION ALL
SELECT true, 'row level security of ' || name,
       CASE WHEN relrowsecurity THEN 'on' ELSE 'off' END || CASE WHEN relforcerowsecurity THEN ', forced' ELSE '' END, ''
FROM named
UNION ALL
SELECT true, 'policy ' || o.polname || ' of ' || name, CASE WHEN o.polpermissive THEN 'permissive' ELSE 'restrictive' END,
       concat_ws(' ', o.polcmd, o.polroles::regrole[]::text, pg_catalog.pg_get_expr(o.polqual, o.polrelid),
                 pg_catalog.pg_get_expr(o.polwithcheck, o.polrelid))
FROM named
JOIN pg_catalog.pg_policy o ON o.polrelid = named.oid
UNION ALL
SELECT true, 'replica identity of ' || name,
       CASE relreplident WHEN 'd' THEN 'the primary key' WHEN 'n' THEN 'none' WHEN 'f' THEN 'all columns' ELSE 'an index' END,
       (SELECT i.relname::text FROM pg_catalog.pg_index x JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid
        WHERE x.indrelid = named.oid AND x.indisreplident)
FROM named
UNION ALL
SELECT true, 'event trigger ' || e.evtname,
       CASE e.evtenabled WHEN 'D' THEN 'disabled' WHEN 'R' THEN 'on replicas' WHEN 'A' THEN 'always' ELSE 'enabled' END,
       concat_ws(' ', e.evtevent, e.evttags::text, e.evtfoid::regprocedure::text)
FROM pg_catalog.pg_event_trigger e
ORDER BY 2, 3, 4
