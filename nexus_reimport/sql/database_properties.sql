-- What belongs to this database, is in no dump of it, and is not the way in which it was made?
SELECT pg_catalog.pg_get_userbyid(d.datdba), d.datconnlimit, s.spcname::text,
       pg_catalog.shobj_description(d.oid, 'pg_database'), d.datacl IS NOT NULL
FROM pg_catalog.pg_database d
JOIN pg_catalog.pg_tablespace s ON s.oid = d.dattablespace
WHERE d.datname = current_database()
