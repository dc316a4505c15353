-- Which publications send changes of these tables, or of their partitions? Asked where there is one: the view is dear.
WITH RECURSIVE touched AS (
    SELECT c.oid
    FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = %(schema)s AND c.relname = ANY (%(tables)s)
    UNION
    SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN touched ON touched.oid = i.inhparent
)
SELECT true, 'publication ' || p.pubname || ' of ' || n.nspname || '.' || c.relname, 'publishes',
       -- By JSON, because these columns exist only since PostgreSQL 15.
       concat_ws(' ', p.pubinsert, p.pubupdate, p.pubdelete, to_jsonb(t) ->> 'attnames', to_jsonb(t) ->> 'rowfilter')
FROM touched
JOIN pg_catalog.pg_class c USING (oid)
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_publication_tables t ON t.schemaname = n.nspname AND t.tablename = c.relname
JOIN pg_catalog.pg_publication p ON p.pubname = t.pubname
ORDER BY 2, 3, 4
