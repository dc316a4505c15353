-- How is everything defined that is no table, view, function or type of a schema: operators, casts, languages, servers,
-- publications and the like? Of what extensions and PostgreSQL itself have brought, all kinds, one line for each kind.
-- Of the ten thousand rows that initdb has made, the version tells a change: as texts they took four times as long.
WITH members AS (
    SELECT d.classid, d.objid, 'extension ' || e.extname AS origin
    FROM pg_catalog.pg_depend d
    JOIN pg_catalog.pg_extension e ON e.oid = d.refobjid
    WHERE d.refclassid = 'pg_catalog.pg_extension'::regclass AND d.deptype = 'e'
), own_kinds (classid, objid, space, version, whole) AS ( -- a whole row: its columns differ from release to release
    SELECT 'pg_catalog.pg_cast'::regclass, o.oid, 0::oid, o.xmin, ROW(o.*)
    FROM pg_catalog.pg_cast o
    UNION ALL
    SELECT 'pg_catalog.pg_language'::regclass, o.oid, 0, NULL, ROW(o.*) FROM pg_catalog.pg_language o
    UNION ALL
    SELECT 'pg_catalog.pg_transform'::regclass, o.oid, 0, NULL, ROW(o.*) FROM pg_catalog.pg_transform o
    UNION ALL
    SELECT 'pg_catalog.pg_am'::regclass, o.oid, 0, NULL, ROW(o.*) FROM pg_catalog.pg_am o
    UNION ALL
    SELECT 'pg_catalog.pg_foreign_data_wrapper'::regclass, o.oid, 0, NULL, ROW(o.*) FROM pg_catalog.pg_foreign_data_wrapper o
    UNION ALL
    SELECT 'pg_catalog.pg_foreign_server'::regclass, o.oid, 0, NULL, ROW(o.*) FROM pg_catalog.pg_foreign_server o
    UNION ALL
    -- Its options, where this role may read them: they may be a password.
    SELECT 'pg_catalog.pg_user_mapping'::regclass, o.umid, 0, NULL, ROW(o.*) FROM pg_catalog.pg_user_mappings o
    UNION ALL
    SELECT 'pg_catalog.pg_publication'::regclass, o.oid, 0, NULL, ROW(o.*) FROM pg_catalog.pg_publication o
    UNION ALL
    -- Not how it connects, which only a superuser may read.
    SELECT 'pg_catalog.pg_subscription'::regclass, o.oid, 0, NULL, ROW(o.subowner, o.subenabled, o.subpublications)
    FROM pg_catalog.pg_subscription o
    WHERE o.subdbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
    UNION ALL
    SELECT 'pg_catalog.pg_collation'::regclass, o.oid, o.collnamespace, o.xmin, ROW(o.*)
    FROM pg_catalog.pg_collation o
    UNION ALL
    SELECT 'pg_catalog.pg_conversion'::regclass, o.oid, o.connamespace, o.xmin, ROW(o.*)
    FROM pg_catalog.pg_conversion o
    UNION ALL
    SELECT 'pg_catalog.pg_operator'::regclass, o.oid, o.oprnamespace, o.xmin, ROW(o.*)
    FROM pg_catalog.pg_operator o
    UNION ALL
    SELECT 'pg_catalog.pg_opclass'::regclass, o.oid, o.opcnamespace, o.xmin, ROW(o.*)
    FROM pg_catalog.pg_opclass o
    UNION ALL
    SELECT 'pg_catalog.pg_opfamily'::regclass, o.oid, o.opfnamespace, o.xmin, ROW(o.*)
    FROM pg_catalog.pg_opfamily o
    UNION ALL
    SELECT 'pg_catalog.pg_opfamily'::regclass, f.oid, f.opfnamespace, o.xmin, ROW(o.*)
    FROM pg_catalog.pg_amop o JOIN pg_catalog.pg_opfamily f ON f.oid = o.amopfamily
    UNION ALL
    SELECT 'pg_catalog.pg_opfamily'::regclass, f.oid, f.opfnamespace, o.xmin, ROW(o.*)
    FROM pg_catalog.pg_amproc o JOIN pg_catalog.pg_opfamily f ON f.oid = o.amprocfamily
    UNION ALL
    SELECT 'pg_catalog.pg_statistic_ext'::regclass, o.oid, o.stxnamespace, NULL, ROW(o.*) FROM pg_catalog.pg_statistic_ext o
    UNION ALL
    SELECT 'pg_catalog.pg_ts_parser'::regclass, o.oid, o.prsnamespace, NULL, ROW(o.*) FROM pg_catalog.pg_ts_parser o
    UNION ALL
    SELECT 'pg_catalog.pg_ts_template'::regclass, o.oid, o.tmplnamespace, NULL, ROW(o.*) FROM pg_catalog.pg_ts_template o
    UNION ALL
    SELECT 'pg_catalog.pg_ts_dict'::regclass, o.oid, o.dictnamespace, NULL, ROW(o.*) FROM pg_catalog.pg_ts_dict o
    UNION ALL
    SELECT 'pg_catalog.pg_ts_config'::regclass, o.oid, o.cfgnamespace, o.xmin, ROW(o.*)
    FROM pg_catalog.pg_ts_config o
    UNION ALL
    SELECT 'pg_catalog.pg_ts_config'::regclass, c.oid, c.cfgnamespace, o.xmin, ROW(o.*)
    FROM pg_catalog.pg_ts_config_map o JOIN pg_catalog.pg_ts_config c ON c.oid = o.mapcfg
), brought_kinds (classid, objid, space, version, whole) AS ( -- those of other schemas have lines of their own
    SELECT 'pg_catalog.pg_proc'::regclass, o.oid, o.pronamespace, o.xmin, ROW(o.*)
    FROM pg_catalog.pg_proc o
    UNION ALL
    SELECT 'pg_catalog.pg_type'::regclass, o.oid, o.typnamespace, o.xmin, ROW(o.*)
    FROM pg_catalog.pg_type o
    UNION ALL
    SELECT 'pg_catalog.pg_namespace'::regclass, o.oid, o.oid, NULL, ROW(o.*) FROM pg_catalog.pg_namespace o
    UNION ALL
    -- Not the whole row: VACUUM and ANALYZE write into it.
    SELECT 'pg_catalog.pg_class'::regclass, o.oid, o.relnamespace,
           NULL, ROW(o.relname, o.relkind, o.relowner, o.relacl, o.reloptions, o.relrowsecurity)
    FROM pg_catalog.pg_class o
    UNION ALL
    SELECT 'pg_catalog.pg_class'::regclass, c.oid, c.relnamespace,
           o.xmin, ROW(o.attname, o.atttypid, o.attacl)
    FROM pg_catalog.pg_attribute o JOIN pg_catalog.pg_class c ON c.oid = o.attrelid
    WHERE o.attnum > 0 AND NOT o.attisdropped
    UNION ALL
    SELECT 'pg_catalog.pg_class'::regclass, c.oid, c.relnamespace,
           o.xmin, ROW(o.rulename, o.ev_enabled, o.ev_qual, o.ev_action)
    FROM pg_catalog.pg_rewrite o JOIN pg_catalog.pg_class c ON c.oid = o.ev_class
    UNION ALL
    SELECT 'pg_catalog.pg_class'::regclass, c.oid, c.relnamespace, NULL, ROW(o.tgname, o.tgenabled, o.tgfoid)
    FROM pg_catalog.pg_trigger o JOIN pg_catalog.pg_class c ON c.oid = o.tgrelid
), defined AS (
    SELECT classid, objid, space, has_line,
           CASE WHEN objid < 16384 AND version IS NOT NULL THEN version::text ELSE whole::text END AS definition
    FROM (SELECT *, true AS has_line FROM own_kinds UNION ALL SELECT *, false FROM brought_kinds) k
), placed AS (
    SELECT k.*, coalesce(m.origin,
                         -- Below 16384 are the objects that initdb makes (FirstNormalObjectId).
                         CASE WHEN k.objid < 16384 OR k.space IN ('pg_catalog'::regnamespace, 'information_schema'::regnamespace)
                              THEN 'PostgreSQL itself' END) AS origin
    FROM defined k
    LEFT JOIN members m USING (classid, objid)
    -- Who may use the application's schema has a line of its own.
    WHERE k.objid <> coalesce(to_regnamespace('public'), 0) OR k.classid <> 'pg_catalog.pg_namespace'::regclass
)
SELECT true AS local, o.type || ' ' || o.identity AS place, 'exists' AS shown, k.definition
FROM (SELECT classid, objid, string_agg(definition, ' ' ORDER BY definition COLLATE "C") AS definition
      FROM placed WHERE origin IS NULL AND has_line GROUP BY classid, objid) k
CROSS JOIN LATERAL pg_catalog.pg_identify_object(k.classid, k.objid, 0) o
WHERE (o.schema IS NULL OR o.schema NOT LIKE 'pg\_%%' AND o.schema <> %(own)s AND NOT starts_with(o.schema, %(undo)s))
UNION ALL
SELECT true, c.relname || ' of ' || k.origin, 'as brought along',
       md5(string_agg(k.definition, ' ' ORDER BY k.objid, k.definition COLLATE "C"))
FROM placed k
JOIN pg_catalog.pg_class c ON c.oid = k.classid
WHERE k.origin IS NOT NULL
GROUP BY c.relname, k.origin
ORDER BY 2, 3, 4
