-- Which large objects may this role not read? A dump reads all of them.
SELECT l.oid::bigint
FROM pg_catalog.pg_largeobject_metadata l
-- With this setting PostgreSQL checks no rights on large objects.
WHERE NOT current_setting('lo_compat_privileges')::bool
  AND NOT pg_catalog.pg_has_role(l.lomowner, 'USAGE')
  AND NOT EXISTS (
      SELECT FROM pg_catalog.aclexplode(l.lomacl) a
      WHERE a.privilege_type = 'SELECT'
        AND (a.grantee = 0 OR pg_catalog.pg_has_role(a.grantee, 'USAGE')))
ORDER BY l.oid
