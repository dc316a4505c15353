-- In which tablespace do new tables of this session lie, if it is not the database's own, and may the
-- role make them there?
SELECT pg_catalog.quote_ident(s.spcname), pg_catalog.has_tablespace_privilege(s.oid, 'CREATE')
FROM pg_catalog.pg_tablespace s
JOIN pg_catalog.pg_database d ON d.datname = current_database() AND d.dattablespace <> s.oid
WHERE s.spcname = current_setting('default_tablespace')
