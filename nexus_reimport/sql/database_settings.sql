-- Which settings belong to this database, for all roles ("") or for one, and are in no dump of it?
SELECT unnest(s.setconfig), coalesce(r.rolname, '')
FROM pg_catalog.pg_db_role_setting s
JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase AND d.datname = current_database()
LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.setrole
ORDER BY 2, 1
