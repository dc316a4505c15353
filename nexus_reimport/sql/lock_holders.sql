-- Who else holds locks on which of these tables, or waits for one? A partition counts for its table.
-- To a role without pg_read_all_stats an autovacuum worker shows no type; it alone has no role.
WITH others AS (
    SELECT pid, NULL::text AS virtual, application_name,
           CASE WHEN usesysid IS NULL THEN 'autovacuum worker' ELSE backend_type END AS kind
    FROM pg_catalog.pg_stat_activity
    WHERE pid <> pg_backend_pid()
    UNION ALL
    -- A prepared transaction keeps its locks, and has no session any more.
    SELECT NULL, x.virtualtransaction, '', format('prepared transaction %%L', p.gid)
    FROM pg_catalog.pg_prepared_xacts p
    JOIN pg_catalog.pg_locks x
      ON x.locktype = 'transactionid' AND x.transactionid = p.transaction AND x.pid IS NULL AND x.granted
    WHERE p.database = current_database()
)
SELECT o.pid, o.application_name, o.kind, array_agg(DISTINCT c.relname::text ORDER BY c.relname::text)
FROM pg_catalog.pg_locks l
JOIN others o ON o.pid = l.pid OR l.pid IS NULL AND o.virtual = l.virtualtransaction
JOIN pg_catalog.pg_class c ON c.oid = coalesce(pg_catalog.pg_partition_root(l.relation), l.relation)
WHERE l.locktype = 'relation'
  AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
  -- Who is at work elsewhere keeps nobody waiting.
  AND c.oid = ANY (%(tables)s::text[]::regclass[])
  -- The only mode that an EXCLUSIVE lock, which a run takes, allows beside it.
  AND l.mode NOT IN ('AccessShareLock')
GROUP BY o.pid, o.application_name, o.kind
ORDER BY o.pid, o.kind
