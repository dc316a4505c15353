-- Which database is this, of which server, and may we read what tells servers apart?
SELECT
    current_database()::text,
    (SELECT oid::bigint FROM pg_database WHERE datname = current_database()),
    pg_is_in_recovery(),
    has_function_privilege('pg_control_system()', 'EXECUTE');
