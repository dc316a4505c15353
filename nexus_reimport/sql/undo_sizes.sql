-- Which schemas hold undo data, and how many bytes does each take?
SELECT n.nspname,
       -- A table's total includes its indexes and its TOAST table.
       coalesce(sum(pg_catalog.pg_total_relation_size(c.oid)) FILTER (WHERE c.relkind = 'r'), 0)
FROM pg_catalog.pg_namespace n
LEFT JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid
WHERE starts_with(n.nspname, %(prefix)s)
GROUP BY n.nspname
ORDER BY n.nspname
