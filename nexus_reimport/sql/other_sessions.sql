-- Which sessions of other applications were active in this database since then?
-- One that does not show us its times is among them: it could have been.
SELECT pid, application_name, backend_start, state_change
FROM pg_catalog.pg_stat_activity
WHERE datname = current_database()
  -- The server's own workers have no role.
  AND usesysid IS NOT NULL
  -- NULL where our role may not see it, and then it may be a client.
  AND coalesce(backend_type, 'client backend') = 'client backend'
  AND application_name IS DISTINCT FROM %(ours)s
  AND (state_change IS NULL OR state_change > %(since)s OR state <> 'idle')
ORDER BY state_change DESC NULLS LAST, pid
