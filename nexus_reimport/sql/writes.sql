-- What has this transaction written so far, table by table?
SELECT relname, n_tup_ins, n_tup_upd, n_tup_del
FROM pg_catalog.pg_stat_xact_user_tables
WHERE schemaname = %(schema)s
