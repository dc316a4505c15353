-- At which other tables do foreign keys of these tables point? Who writes here locks rows there.
SELECT DISTINCT k.confrelid::regclass::text
FROM pg_catalog.pg_constraint k
WHERE k.contype = 'f' AND k.conrelid = ANY (%(tables)s::text[]::regclass[])
  AND k.confrelid <> ALL (%(tables)s::text[]::regclass[])
ORDER BY 1
