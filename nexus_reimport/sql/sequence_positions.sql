-- Which value has each sequence given out last, or was it set to? None where none was.
SELECT n.nspname || '.' || c.relname, q.seqincrement,
       CASE WHEN pg_catalog.has_sequence_privilege(c.oid, 'SELECT') THEN pg_catalog.pg_sequence_last_value(c.oid) END
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_sequence q ON q.seqrelid = c.oid
WHERE NOT q.seqcycle
  AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\_%%'
  AND n.nspname <> %(own)s AND NOT starts_with(n.nspname, %(undo)s)
ORDER BY 1
