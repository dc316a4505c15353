-- Which extensions does this database have, and does anything need them that is not their own?
SELECT e.extname,
       EXISTS (
           SELECT FROM pg_catalog.pg_depend member
           JOIN pg_catalog.pg_depend use
             ON use.refclassid = member.classid AND use.refobjid = member.objid
            AND use.deptype IN ('n', 'a')
            AND use.classid NOT IN ('pg_catalog.pg_event_trigger'::regclass,
                                    'pg_catalog.pg_policy'::regclass,
                                    'pg_catalog.pg_statistic_ext'::regclass)
           WHERE member.refclassid = 'pg_catalog.pg_extension'::regclass AND member.refobjid = e.oid
             AND member.deptype = 'e'
             AND NOT EXISTS (
                 SELECT FROM pg_catalog.pg_depend own
                 WHERE own.classid = use.classid AND own.objid = use.objid
                   AND (own.deptype IN ('e', 'i')  -- or added to an operator family of its own
                        OR own.classid IN ('pg_catalog.pg_amop'::regclass,
                                           'pg_catalog.pg_amproc'::regclass))
                   AND (own.deptype = 'e' OR EXISTS (
                       SELECT FROM pg_catalog.pg_depend whole
                       WHERE whole.classid = own.refclassid AND whole.objid = own.refobjid
                         AND whole.deptype = 'e'))))
FROM pg_catalog.pg_extension e
-- Every new database has plpgsql, from template0.
WHERE e.extname <> 'plpgsql'
ORDER BY e.extname
