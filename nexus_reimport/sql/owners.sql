-- Whose is each object of this database, those of extensions aside? Kind and name as ALTER has them.
-- A sequence, an index and a row type follow the table that they belong to.
WITH objects (classid, objid, owner) AS (
    SELECT 'pg_namespace'::regclass, n.oid, n.nspowner FROM pg_catalog.pg_namespace n
    UNION ALL
    SELECT 'pg_class'::regclass, c.oid, c.relowner FROM pg_catalog.pg_class c
     WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
       AND NOT EXISTS (
           SELECT FROM pg_catalog.pg_depend d
            WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND c.relkind = 'S'
              AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i'))
    UNION ALL
    SELECT 'pg_proc'::regclass, p.oid, p.proowner FROM pg_catalog.pg_proc p
    UNION ALL
    SELECT 'pg_type'::regclass, t.oid, t.typowner FROM pg_catalog.pg_type t
      LEFT JOIN pg_catalog.pg_class c ON c.oid = t.typrelid
     WHERE t.typtype IN ('b', 'c', 'd', 'e', 'r') AND coalesce(c.relkind, 'c') = 'c'
       -- An array type follows the type of its elements.
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_type e WHERE e.typarray = t.oid)
    UNION ALL
    SELECT 'pg_collation'::regclass, o.oid, o.collowner FROM pg_catalog.pg_collation o
    UNION ALL
    SELECT 'pg_conversion'::regclass, o.oid, o.conowner FROM pg_catalog.pg_conversion o
    UNION ALL
    SELECT 'pg_operator'::regclass, o.oid, o.oprowner FROM pg_catalog.pg_operator o
    UNION ALL
    SELECT 'pg_opclass'::regclass, o.oid, o.opcowner FROM pg_catalog.pg_opclass o
    UNION ALL
    SELECT 'pg_opfamily'::regclass, o.oid, o.opfowner FROM pg_catalog.pg_opfamily o
    UNION ALL
    SELECT 'pg_ts_config'::regclass, o.oid, o.cfgowner FROM pg_catalog.pg_ts_config o
    UNION ALL
    SELECT 'pg_ts_dict'::regclass, o.oid, o.dictowner FROM pg_catalog.pg_ts_dict o
    UNION ALL
    SELECT 'pg_statistic_ext'::regclass, o.oid, o.stxowner FROM pg_catalog.pg_statistic_ext o
    UNION ALL
    SELECT 'pg_language'::regclass, o.oid, o.lanowner FROM pg_catalog.pg_language o
    UNION ALL
    SELECT 'pg_foreign_data_wrapper'::regclass, o.oid, o.fdwowner
      FROM pg_catalog.pg_foreign_data_wrapper o
    UNION ALL
    SELECT 'pg_foreign_server'::regclass, o.oid, o.srvowner FROM pg_catalog.pg_foreign_server o
    UNION ALL
    SELECT 'pg_largeobject'::regclass, o.oid, o.lomowner FROM pg_catalog.pg_largeobject_metadata o
)
SELECT CASE i.type WHEN 'statistics object' THEN 'STATISTICS'
                   WHEN 'foreign-data wrapper' THEN 'FOREIGN DATA WRAPPER' ELSE upper(i.type) END,
       i.identity, pg_catalog.pg_get_userbyid(o.owner)
FROM objects o
CROSS JOIN LATERAL pg_catalog.pg_identify_object(o.classid, o.objid, 0) i
-- Below 16384 are the objects that initdb makes, of which only the schema public has an owner to keep.
-- Of thousands of the others nobody asks the name: their number alone leaves them out.
WHERE (o.objid >= 16384 OR o.classid = 'pg_namespace'::regclass)
  AND (o.objid >= 16384 OR i.identity = 'public')
  AND coalesce(i.schema, i.identity) NOT LIKE 'pg\_%%'
  AND coalesce(i.schema, i.identity) <> 'information_schema'
  AND NOT starts_with(coalesce(i.schema, i.identity), %(undo)s)
  AND NOT EXISTS (
      SELECT FROM pg_catalog.pg_depend d
      WHERE d.classid = o.classid AND d.objid = o.objid AND d.deptype = 'e')
ORDER BY i.type <> 'schema', i.type, i.identity
