-- Who else holds locks on which of these tables, or waits for one? A partition counts for its table.
-- To a role without pg_read_all_stats an autovacuum worker shows no type; it alone has no role.
SELECT a.pid, a.application_name,
       CASE WHEN a.usesysid IS NULL THEN 'autovacuum worker' ELSE a.backend_type END,
       array_agg(DISTINCT c.relname::text ORDER BY c.relname::text)
FROM pg_catalog.pg_locks l
JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
JOIN pg_catalog.pg_class c ON c.oid = coalesce(pg_catalog.pg_partition_root(l.relation), l.relation)
WHERE l.locktype = 'relation'
  AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
  AND l.pid <> pg_backend_pid()
  -- Who is at work elsewhere keeps nobody waiting.
  AND c.oid = ANY (%(tables)s::text[]::regclass[])
  -- The only mode that an EXCLUSIVE lock, which a run takes, allows beside it.
  AND l.mode NOT IN ('AccessShareLock')
GROUP BY a.pid, a.application_name, a.usesysid, a.backend_type
ORDER BY a.pid
