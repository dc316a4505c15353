-- What may this role do with this database, with its server, and with what the server knows?
SELECT pg_catalog.quote_ident(r.rolname), pg_catalog.quote_ident(current_database()),
       current_setting('server_version_num')::int,
       r.rolcreatedb OR r.rolsuper, r.rolbypassrls OR r.rolsuper,
       pg_catalog.has_database_privilege(current_database(), 'CONNECT'),
       pg_catalog.has_database_privilege(current_database(), 'CREATE'),
       pg_catalog.has_database_privilege(current_database(), 'TEMPORARY'),
       pg_catalog.pg_has_role('pg_read_all_stats', 'USAGE'),
       pg_catalog.has_function_privilege('pg_catalog.pg_control_system()', 'EXECUTE')
FROM pg_catalog.pg_roles r
WHERE r.rolname = current_user
