-- Which of these columns of a table may this role change?
SELECT pg_catalog.quote_ident(a.attname),
       pg_catalog.has_column_privilege(a.attrelid, a.attnum, 'UPDATE')
FROM pg_catalog.pg_attribute a
JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %(schema)s AND c.relname = %(table)s AND a.attname = ANY (%(columns)s)
  AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum
