-- Which sessions of other applications hold a lock on these tables under which rows can change?
-- SHARE UPDATE EXCLUSIVE and SHARE are left out: under them PostgreSQL vacuums and builds indexes.
-- Its own workers have no role.
SELECT a.pid, a.application_name, array_agg(DISTINCT c.relname::text), clock_timestamp()
FROM pg_catalog.pg_locks l
JOIN pg_catalog.pg_class c ON c.oid = coalesce(pg_catalog.pg_partition_root(l.relation), l.relation)
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'relation'
  AND l.granted
  AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
  AND l.mode IN
      ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
  AND n.nspname = %(schema)s
  AND c.relname = ANY (%(tables)s)
  AND a.usesysid IS NOT NULL
  AND a.application_name IS DISTINCT FROM %(ours)s
GROUP BY a.pid, a.application_name
