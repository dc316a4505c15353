-- How many rows of the catalog has this session written that are not reported yet, those of this
-- transaction among them? NULL where the server does not count.
SELECT CASE WHEN current_setting('track_counts')::boolean
            THEN sum(n_tup_ins + n_tup_upd + n_tup_del)::bigint END
FROM pg_catalog.pg_stat_xact_all_tables
WHERE schemaname = 'pg_catalog'
