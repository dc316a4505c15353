-- On which tables, in every schema, does this transaction hold a lock under which it can write or
-- define? By oid, since a name may be another one by now; a partition counts for its root as well.
SELECT l.relation, pg_catalog.pg_partition_root(l.relation)::oid, n.nspname || '.' || c.relname
FROM pg_catalog.pg_locks l
LEFT JOIN pg_catalog.pg_class c ON c.oid = l.relation
LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE l.pid = pg_catalog.pg_backend_pid() AND l.locktype = 'relation' AND l.granted
  AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
  -- Readers take the first; the second is of SELECT FOR UPDATE, and of the check of a foreign key.
  AND l.mode NOT IN ('AccessShareLock', 'RowShareLock')
