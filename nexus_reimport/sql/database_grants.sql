-- Who was granted what on this database itself ("" is everybody), and may pass it on?
SELECT a.privilege_type, coalesce(r.rolname, ''), a.is_grantable
FROM pg_catalog.pg_database d
CROSS JOIN LATERAL pg_catalog.aclexplode(d.datacl) a
LEFT JOIN pg_catalog.pg_roles r ON r.oid = a.grantee
-- The owner needs no grant.
WHERE d.datname = current_database() AND a.grantee <> d.datdba
ORDER BY 2, 1
