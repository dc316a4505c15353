-- Which of the server's processes works for this session, and since when?
SELECT pid, to_char(backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')
FROM pg_catalog.pg_stat_activity
WHERE pid = pg_backend_pid()
