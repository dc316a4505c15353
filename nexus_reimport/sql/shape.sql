-- How was this database made: encoding, provider, names and rules of its locale?
SELECT pg_catalog.pg_encoding_to_char(d.encoding),
       -- By JSON, because the provider exists only since PostgreSQL 15, and its locale changed its name in 17.
       CASE to_jsonb(d) ->> 'datlocprovider'
            WHEN 'c' THEN 'libc' WHEN 'i' THEN 'icu' WHEN 'b' THEN 'builtin' ELSE '' END,
       d.datcollate, d.datctype,
       coalesce(to_jsonb(d) ->> 'datlocale', to_jsonb(d) ->> 'daticulocale', ''),
       -- Since PostgreSQL 16.
       coalesce(to_jsonb(d) ->> 'daticurules', '')
FROM pg_catalog.pg_database d
WHERE d.datname = current_database()
