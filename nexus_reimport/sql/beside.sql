-- What in this database acts when a run writes, or is not as new as its tables afterwards?
WITH RECURSIVE touched AS (
    SELECT c.oid
    FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = %(schema)s AND c.relname = ANY (%(tables)s)
), above AS (
    SELECT oid FROM touched
    UNION
    -- A view depends on its tables through its rule, and views on views again.
    SELECT r.ev_class
    FROM above
    JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = above.oid
                               AND d.classid = 'pg_catalog.pg_rewrite'::regclass
    JOIN pg_catalog.pg_rewrite r ON r.oid = d.objid
)
SELECT 'event trigger', evtname, '' FROM pg_catalog.pg_event_trigger
-- A login trigger fires for no statement of a run. D is disabled, R fires on replicas alone.
WHERE evtenabled NOT IN ('D', 'R') AND evtevent <> 'login'
UNION ALL
SELECT 'publication', t.pubname, string_agg(t.tablename, ', ' ORDER BY t.tablename)
FROM pg_catalog.pg_publication_tables t
WHERE t.schemaname = %(schema)s AND t.tablename = ANY (%(tables)s)
GROUP BY t.pubname
UNION ALL
SELECT 'subscription', s.subname, string_agg(c.relname, ', ' ORDER BY c.relname)
FROM pg_catalog.pg_subscription_rel sr
JOIN touched ON touched.oid = sr.srrelid
JOIN pg_catalog.pg_class c ON c.oid = sr.srrelid
JOIN pg_catalog.pg_subscription s ON s.oid = sr.srsubid
GROUP BY s.subname
UNION ALL
SELECT 'materialized view', n.nspname, c.relname
FROM above
JOIN pg_catalog.pg_class c ON c.oid = above.oid AND c.relkind = 'm'
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
UNION ALL
-- It keeps its locks, and has no session any more.
SELECT 'prepared transaction', format('%%L', p.gid), string_agg(DISTINCT c.relname, ', ' ORDER BY c.relname)
FROM pg_catalog.pg_prepared_xacts p
JOIN pg_catalog.pg_locks x
  ON x.locktype = 'transactionid' AND x.transactionid = p.transaction AND x.pid IS NULL AND x.granted
JOIN pg_catalog.pg_locks l
  ON l.locktype = 'relation' AND l.pid IS NULL AND l.virtualtransaction = x.virtualtransaction
JOIN touched ON touched.oid = l.relation
JOIN pg_catalog.pg_class c ON c.oid = l.relation
-- The only mode that an EXCLUSIVE lock, which a run takes, allows beside it.
WHERE p.database = current_database() AND l.mode <> 'AccessShareLock'
GROUP BY p.gid
UNION ALL
SELECT 'unlogged table', %(schema)s, c.relname
FROM touched
JOIN pg_catalog.pg_class c ON c.oid = touched.oid AND c.relpersistence = 'u'
UNION ALL
SELECT 'large objects', count(*)::text, '' FROM pg_catalog.pg_largeobject_metadata HAVING count(*) > 0
ORDER BY 1, 2, 3
