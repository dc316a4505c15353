-- Of which tables may rows be hidden from this role by policies?
SELECT n.nspname, c.relname
FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relrowsecurity
  -- Not true for a role with BYPASSRLS, nor for an owner whose table does not force its policies.
  AND pg_catalog.row_security_active(c.oid)
ORDER BY 1, 2
