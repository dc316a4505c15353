-- Which sessions of others hold a lock that keeps readers out, or wait for one, and of which table?
SELECT DISTINCT a.pid, a.application_name, c.relname::text
FROM pg_catalog.pg_locks l
JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
JOIN pg_catalog.pg_class c ON c.oid = l.relation AND c.relkind IN ('r', 'p', 'm')
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace AND n.nspname NOT LIKE 'pg\_%%'
WHERE l.locktype = 'relation'
  -- The only mode that conflicts with ACCESS SHARE, which readers take.
  AND l.mode = 'AccessExclusiveLock'
  AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
  AND a.application_name IS DISTINCT FROM %(ours)s
  AND a.pid <> pg_backend_pid()
ORDER BY 1, 3
