-- What do the large objects hold that this role may read? Piece by piece: one may be larger than a value can be.
WITH RECURSIVE readable AS (
    SELECT l.oid
    FROM pg_catalog.pg_largeobject_metadata l
    -- With this setting PostgreSQL checks no rights on large objects.
    WHERE current_setting('lo_compat_privileges')::bool OR pg_catalog.pg_has_role(l.lomowner, 'USAGE')
       OR EXISTS (SELECT FROM pg_catalog.aclexplode(l.lomacl) a
                  WHERE a.privilege_type = 'SELECT' AND (a.grantee = 0 OR pg_catalog.pg_has_role(a.grantee, 'USAGE')))
), pieces AS (
    SELECT r.oid, 0::bigint AS place, -1 AS bytes, '' AS hash FROM readable r
    UNION ALL
    SELECT p.oid, p.place + greatest(p.bytes, 0), length(piece.data), md5(piece.data)
    FROM pieces p
    -- OFFSET: it is read once for both.
    CROSS JOIN LATERAL (SELECT pg_catalog.lo_get(p.oid, p.place + greatest(p.bytes, 0), 16777216) AS data OFFSET 0) piece
    WHERE p.bytes <> 0
)
SELECT true AS local, 'contents of large objects' AS place, count(DISTINCT oid) || ' readable' AS shown,
       string_agg(oid || hash, ' ' ORDER BY oid, place, bytes) AS definition
FROM pieces
HAVING count(*) > 0
