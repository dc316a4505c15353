-- End the session of ours that reads, and what was started for it since (pg_dump).
SELECT count(pg_terminate_backend(o.pid))
FROM pg_catalog.pg_stat_activity o
-- Sessions of its own role a role may end without any further right.
WHERE o.usename = session_user
  AND (o.pid = %(pid)s
       OR (o.application_name = %(ours)s AND o.datname = current_database()
           AND o.pid <> pg_backend_pid() AND o.backend_start >= %(since)s::timestamptz))
