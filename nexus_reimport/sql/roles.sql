-- Who may do what with this database by way of a role: each role that owns something here or was granted something here,
-- that may do or read everything, or that is a member of such a one; what it is set to wherever it connects.
WITH RECURSIVE here AS (
    SELECT s.refobjid AS oid
    FROM pg_catalog.pg_shdepend s
    JOIN pg_catalog.pg_database d ON d.datname = current_database()
    WHERE s.refclassid = 'pg_catalog.pg_authid'::regclass
      AND (s.dbid = d.oid OR s.classid = 'pg_catalog.pg_database'::regclass AND s.objid = d.oid)
      -- Another session's temporary table comes and goes.
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_class c
                      WHERE c.oid = s.objid AND s.classid = 'pg_catalog.pg_class'::regclass AND c.relpersistence = 't')
    UNION
    SELECT r.oid
    FROM pg_catalog.pg_roles r
    WHERE r.rolsuper OR r.rolbypassrls OR r.rolcreaterole OR r.rolreplication
       OR r.rolname IN ('pg_read_all_data', 'pg_write_all_data', 'pg_read_server_files', 'pg_write_server_files',
                        'pg_execute_server_program')
    UNION
    SELECT m.member FROM here JOIN pg_catalog.pg_auth_members m ON m.roleid = here.oid
)
SELECT true AS local, 'role ' || r.rolname AS place,
       concat_ws(', ', CASE WHEN r.rolcanlogin THEN 'may log in' ELSE 'cannot log in' END,
                 'at most ' || nullif(r.rolconnlimit, -1) || ' at once',
                 CASE WHEN r.rolsuper THEN 'a superuser' END,
                 CASE WHEN r.rolbypassrls THEN 'bypasses row level security' END,
                 CASE WHEN r.rolcreaterole THEN 'makes roles' END,
                 -- Not whether it makes databases, which opens nothing of this one.
                 CASE WHEN r.rolreplication THEN 'replicates' END,
                 CASE WHEN NOT r.rolinherit THEN 'does not inherit' END,
                 -- Not until when: a service that gives out passwords puts it off all the time.
                 CASE WHEN r.rolvaliduntil < 'infinity' THEN 'expires' END) AS shown,
       -- Parameters that it may set exist only since PostgreSQL 15.
       (SELECT string_agg(p.objid::text, ',' ORDER BY p.objid) FROM pg_catalog.pg_shdepend p
        WHERE p.refobjid = r.oid AND p.classid = to_regclass('pg_catalog.pg_parameter_acl')) AS definition
FROM here
JOIN pg_catalog.pg_roles r USING (oid)
UNION ALL
SELECT true, 'role ' || pg_catalog.pg_get_userbyid(m.member) || ' in ' || pg_catalog.pg_get_userbyid(m.roleid),
       'a member' || CASE WHEN m.admin_option THEN ', may add others' ELSE '' END, (to_jsonb(m) - 'oid' - 'grantor')::text
FROM here
JOIN pg_catalog.pg_auth_members m ON m.roleid = here.oid
UNION ALL
SELECT true, 'settings of every database' || coalesce(' for ' || r.rolname, ''), 'as set', s.setconfig::text
FROM pg_catalog.pg_db_role_setting s
LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.setrole
WHERE s.setdatabase = 0 AND (s.setrole = 0 OR s.setrole IN (SELECT oid FROM here))
ORDER BY 2, 3, 4
