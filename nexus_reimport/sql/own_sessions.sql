-- How many more sessions of ours are in this database? One that has ended has told its counts.
SELECT count(*)
FROM pg_catalog.pg_stat_activity
WHERE datname = current_database()
  AND application_name = %(ours)s
  AND pid <> pg_backend_pid()
