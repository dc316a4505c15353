-- Which triggers and rules of their own do the tables of a schema, and their partitions, have?
-- Those that are disabled, that fire on replicas alone, or on TRUNCATE alone, do nothing to a run.
SELECT root.relname, n.nspname, c.relname, g.tgname, 'TRIGGER'
FROM pg_catalog.pg_trigger g
JOIN pg_catalog.pg_class c ON c.oid = g.tgrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_class root ON root.oid = coalesce(pg_catalog.pg_partition_root(c.oid), c.oid)
JOIN pg_catalog.pg_namespace rn ON rn.oid = root.relnamespace
-- Internal triggers are those by which foreign keys are checked.
WHERE rn.nspname = %(schema)s AND NOT g.tgisinternal
  -- One of a partition goes with its root's, unless that one is switched off and it is not.
  AND (g.tgparentid = 0 OR EXISTS (
      SELECT FROM pg_catalog.pg_trigger p WHERE p.oid = g.tgparentid AND p.tgenabled IN ('D', 'R')))
  -- 28 = INSERT (4) + DELETE (8) + UPDATE (16) of pg_trigger.tgtype.
  AND g.tgenabled NOT IN ('D', 'R') AND g.tgtype::integer & 28 <> 0
UNION ALL
SELECT root.relname, n.nspname, c.relname, r.rulename, 'RULE'
FROM pg_catalog.pg_rewrite r
JOIN pg_catalog.pg_class c ON c.oid = r.ev_class AND c.relkind IN ('r', 'p')
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_class root ON root.oid = coalesce(pg_catalog.pg_partition_root(c.oid), c.oid)
JOIN pg_catalog.pg_namespace rn ON rn.oid = root.relnamespace
WHERE rn.nspname = %(schema)s AND r.ev_enabled NOT IN ('D', 'R')
ORDER BY 1, 4
