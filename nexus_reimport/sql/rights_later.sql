-- Whose tables are in this schema, and may this role read what they make there from now on?
SELECT DISTINCT pg_catalog.quote_ident(r.rolname), pg_catalog.quote_ident(n.nspname),
       k.objtype::text,
       EXISTS (SELECT FROM pg_catalog.pg_default_acl d
               CROSS JOIN LATERAL pg_catalog.aclexplode(d.defaclacl) a
               -- 0 stands for every schema.
               WHERE d.defaclrole = r.oid AND d.defaclnamespace IN (0, n.oid)
                 AND d.defaclobjtype = k.objtype AND a.privilege_type = 'SELECT'
                 AND (a.grantee = 0 OR pg_catalog.pg_has_role(a.grantee, 'USAGE')))
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace AND n.nspname = %(schema)s
JOIN pg_catalog.pg_roles r ON r.oid = c.relowner
CROSS JOIN (VALUES ('r'::"char"), ('S'::"char")) AS k (objtype)
WHERE c.relkind IN ('r', 'p') AND NOT pg_catalog.pg_has_role(c.relowner, 'USAGE')
ORDER BY 1, 3 DESC
