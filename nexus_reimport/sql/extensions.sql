-- Which extensions does this database have, and which of them does a table need?
SELECT e.extname,
       EXISTS (
           SELECT FROM pg_catalog.pg_depend member
           JOIN pg_catalog.pg_depend use
             ON use.refclassid = member.classid AND use.refobjid = member.objid
            AND use.deptype IN ('n', 'a')
            AND use.classid IN ('pg_class'::regclass, 'pg_attrdef'::regclass,
                                'pg_constraint'::regclass, 'pg_trigger'::regclass,
                                'pg_proc'::regclass, 'pg_type'::regclass)
           WHERE member.refclassid = 'pg_extension'::regclass AND member.refobjid = e.oid
             AND member.deptype = 'e'
             AND NOT EXISTS (
                 SELECT FROM pg_catalog.pg_depend own
                 WHERE own.classid = use.classid AND own.objid = use.objid
                   AND own.deptype = 'e'))
FROM pg_catalog.pg_extension e
WHERE e.extname <> 'plpgsql'
ORDER BY e.extname
