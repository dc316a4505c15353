-- Whose table is this?
SELECT pg_catalog.pg_get_userbyid(relowner)
FROM pg_catalog.pg_class
WHERE oid = pg_catalog.to_regclass(%(table)s)
