-- Which tables inherit from these or are inherited by them, and which partitions are foreign tables?
WITH RECURSIVE named AS (
    SELECT c.oid, c.relname, n.nspname
    FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = %(schema)s AND c.relname = ANY (%(tables)s)
), below AS (
    SELECT oid FROM named
    UNION
    SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN below ON below.oid = i.inhparent
)
SELECT CASE WHEN NOT c.relispartition THEN 'child' WHEN c.relkind = 'f' THEN 'foreign' END AS kind,
       n.nspname, c.relname, pn.nspname, p.relname
FROM pg_catalog.pg_inherits i
JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_class p ON p.oid = i.inhparent
JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace
WHERE (NOT c.relispartition OR c.relkind = 'f')
  AND (i.inhrelid IN (SELECT oid FROM below) OR i.inhparent IN (SELECT oid FROM below))
ORDER BY 2, 3, 4, 5
