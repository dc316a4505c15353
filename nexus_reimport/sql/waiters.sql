-- Which sessions of others wait for one of ours, and for which table?
-- Ours: the one that reads (if none is named, this one), and what was started for it since
-- (pg_dump). CREATE INDEX CONCURRENTLY waits for the end of a snapshot, and for no table.
SELECT a.pid, a.application_name, coalesce(c.relname::text, '')
FROM pg_catalog.pg_locks l
JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
-- Who waits for an index, as a REINDEX does, waits for its table.
LEFT JOIN pg_catalog.pg_index i ON i.indexrelid = l.relation
LEFT JOIN pg_catalog.pg_class c ON c.oid = coalesce(i.indrelid, l.relation)
WHERE NOT l.granted
  AND a.datname = current_database()
  AND a.application_name IS DISTINCT FROM %(ours)s
  -- This also names a session that is only queued before the waiter.
  AND pg_blocking_pids(a.pid) && ARRAY(
      SELECT o.pid FROM pg_catalog.pg_stat_activity o
      WHERE o.pid = coalesce(%(pid)s::integer, pg_backend_pid())
         OR (o.application_name = %(ours)s AND o.datname = current_database()
             AND o.pid <> pg_backend_pid() AND o.backend_start >= %(since)s::timestamptz))
ORDER BY a.pid
