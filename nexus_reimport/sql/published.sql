-- Which of these tables, or of their partitions, would refuse an UPDATE or DELETE because of a
-- publication: what tells their rows apart to a subscriber does not hold what it needs?
WITH RECURSIVE touched AS (
    SELECT c.oid, c.relname AS root
    FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = %(schema)s AND c.relname = ANY (%(tables)s)
    UNION
    SELECT i.inhrelid, root FROM pg_catalog.pg_inherits i JOIN touched ON touched.oid = i.inhparent
), identities AS (
    SELECT c.oid, touched.root, n.nspname, c.relname, c.relreplident,
           EXISTS (SELECT FROM pg_catalog.pg_index x WHERE x.indrelid = c.oid AND x.indisprimary) AS has_key,
           CASE c.relreplident
               WHEN 'f' THEN (SELECT array_agg(a.attnum) FROM pg_catalog.pg_attribute a
                              WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)
               ELSE (SELECT array_agg(k) FROM pg_catalog.pg_index x, unnest(x.indkey::int2[]) k
                     WHERE x.indrelid = c.oid AND c.relreplident <> 'n'
                       AND CASE c.relreplident WHEN 'd' THEN x.indisprimary ELSE x.indisreplident END)
           END AS columns
    FROM touched
    JOIN pg_catalog.pg_class c USING (oid)
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r'
), needed AS (
    SELECT i.*, p.pubname, p.pubupdate, p.pubdelete,
           -- By JSON, because lists of columns and filters of rows exist only since PostgreSQL 15.
           to_jsonb(pr) -> 'prattrs' AS listed, to_jsonb(pr) ->> 'prqual' IS NOT NULL AS filtered,
           ARRAY(SELECT d.refobjsubid::int2 FROM pg_catalog.pg_depend d
                 WHERE d.classid = 'pg_catalog.pg_publication_rel'::regclass AND d.objid = pr.oid
                   AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = i.oid
                   AND d.refobjsubid > 0) AS used
    FROM identities i
    JOIN pg_catalog.pg_publication_tables t ON t.schemaname = i.nspname AND t.tablename = i.relname
    JOIN pg_catalog.pg_publication p ON p.pubname = t.pubname AND (p.pubupdate OR p.pubdelete)
    LEFT JOIN pg_catalog.pg_publication_rel pr ON pr.prpubid = p.oid AND pr.prrelid = i.oid
)
SELECT DISTINCT root, nspname, relname, pubname, has_key,
       CASE WHEN columns IS NULL THEN 'identity'
            WHEN coalesce(listed, 'null') <> 'null' THEN 'list' ELSE 'filter' END
FROM needed
WHERE columns IS NULL
   OR (coalesce(listed, 'null') <> 'null' AND NOT columns <@ used)
   OR (filtered AND NOT used <@ (columns || CASE WHEN coalesce(listed, 'null') <> 'null'
                                                 THEN used ELSE '{}'::int2[] END))
ORDER BY 2, 3, 4
