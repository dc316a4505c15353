-- How many rows of these tables were ever inserted, updated and deleted, rolled back ones included?
SELECT relname::text, n_tup_ins, n_tup_upd, n_tup_del
FROM pg_catalog.pg_stat_user_tables
WHERE schemaname = %(schema)s AND relname = ANY (%(tables)s)
