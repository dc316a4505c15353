-- How many standbys must confirm a COMMIT, by which setting, and how many of them are connected?
-- Without pg_read_all_stats the state is hidden: then whichever is connected counts.
SELECT CASE WHEN names = '' THEN 0
            ELSE coalesce(substring(names FROM '(?i)^\s*(?:(?:FIRST|ANY)\s+)?(\d+)\s*\(')::integer, 1) END,
       names,
       (SELECT count(*) FROM pg_catalog.pg_stat_replication
        WHERE coalesce(sync_state, 'hidden') IN ('sync', 'quorum', 'hidden'))
FROM current_setting('synchronous_standby_names') AS names
