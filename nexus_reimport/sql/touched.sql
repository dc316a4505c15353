-- On which tables and sequences, in every schema, does this transaction hold a lock under which it
-- can write? Whatever writes takes one and keeps it to the end: TRUNCATE and nextval too, which the
-- counters of rows do not show.
SELECT DISTINCT n.nspname, c.relname
FROM pg_catalog.pg_locks l
JOIN pg_catalog.pg_class t ON t.oid = l.relation AND t.relkind IN ('r', 'p', 'f', 'm', 'S')
JOIN pg_catalog.pg_class c ON c.oid = coalesce(pg_catalog.pg_partition_root(t.oid), t.oid)
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE l.pid = pg_catalog.pg_backend_pid() AND l.locktype = 'relation'
  -- Readers take the first; the second is of SELECT FOR UPDATE, and of the check of a foreign key.
  AND l.mode NOT IN ('AccessShareLock', 'RowShareLock')
  AND n.nspname NOT LIKE 'pg\_%'
ORDER BY 1, 2
