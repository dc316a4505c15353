-- Which of these extensions may this role not make in a database of its own?
SELECT a.name::text
FROM pg_catalog.pg_available_extensions a
JOIN pg_catalog.pg_available_extension_versions v
  ON v.name = a.name AND v.version = a.default_version
-- A trusted extension needs no more than CREATE on the database (PostgreSQL 13).
WHERE a.name = ANY (%(names)s) AND v.superuser AND NOT v.trusted
  AND NOT (SELECT r.rolsuper FROM pg_catalog.pg_roles r WHERE r.rolname = current_user)
ORDER BY a.name
