-- May this role vacuum and analyse this table? MAINTAIN is known since PostgreSQL 17.
SELECT pg_catalog.pg_has_role(c.relowner, 'USAGE')
       -- The owner of the database may vacuum all of its tables.
       OR pg_catalog.pg_has_role(d.datdba, 'USAGE')
       OR CASE WHEN current_setting('server_version_num')::int >= 170000
               THEN pg_catalog.has_table_privilege(c.oid, 'MAINTAIN') ELSE false END
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_database d ON d.datname = current_database()
WHERE c.oid = pg_catalog.to_regclass(%(table)s)
