-- Which tables and indexes are in a tablespace of their own? Kind and name as ALTER has them.
SELECT upper(i.type), i.identity, s.spcname::text
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_tablespace s ON s.oid = c.reltablespace
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL pg_catalog.pg_identify_object('pg_class'::regclass, c.oid, 0) i
-- Below 16384 are the objects that initdb makes (FirstNormalObjectId).
WHERE c.relkind IN ('r', 'p', 'm', 'i', 'I') AND c.oid >= 16384
  AND n.nspname NOT LIKE 'pg\_%%' AND NOT starts_with(n.nspname, %(undo)s)
ORDER BY i.type, i.identity
