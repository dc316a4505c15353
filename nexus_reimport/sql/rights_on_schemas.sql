-- What may this role do in each schema, and is it its own? Through groups and PUBLIC, too.
SELECT n.nspname::text, pg_catalog.quote_ident(n.nspname),
       pg_catalog.has_schema_privilege(n.oid, 'USAGE'),
       pg_catalog.has_schema_privilege(n.oid, 'CREATE'),
       pg_catalog.pg_has_role(n.nspowner, 'USAGE')
FROM pg_catalog.pg_namespace n
ORDER BY n.nspname
