-- Which sessions of others hold a lock that keeps readers out, or wait for one, and of which table?
-- A prepared transaction keeps its locks, and has no session any more: it has no pid, and its name.
SELECT DISTINCT l.pid, coalesce(a.application_name, format('prepared transaction %%L', p.gid)), c.relname::text
FROM pg_catalog.pg_locks l
LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
LEFT JOIN pg_catalog.pg_locks x
  ON l.pid IS NULL AND x.pid IS NULL AND x.virtualtransaction = l.virtualtransaction
 AND x.locktype = 'transactionid' AND x.granted
LEFT JOIN pg_catalog.pg_prepared_xacts p ON p.transaction = x.transactionid
-- Who reads a table opens its indexes as well, and of REINDEX it waits for these alone.
LEFT JOIN pg_catalog.pg_index i ON i.indexrelid = l.relation
JOIN pg_catalog.pg_class c ON c.oid = coalesce(i.indrelid, l.relation) AND c.relkind IN ('r', 'p', 'm')
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace AND n.nspname NOT LIKE 'pg\_%%'
WHERE l.locktype = 'relation'
  -- The only mode that conflicts with ACCESS SHARE, which readers take.
  AND l.mode = 'AccessExclusiveLock'
  AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
  AND (a.pid IS NOT NULL OR p.gid IS NOT NULL)
  AND a.application_name IS DISTINCT FROM %(ours)s
  AND l.pid IS DISTINCT FROM pg_backend_pid()
ORDER BY 1, 2, 3
