-- From now on, whose database is this?
INSERT INTO nexus_reimport.deployment
    (environment, database_name, database_oid, system_identifier, adopted_by)
VALUES (%(environment)s, %(database)s, %(oid)s, %(system)s, %(by)s)
ON CONFLICT (only_row) DO UPDATE SET
    environment = excluded.environment,
    database_name = excluded.database_name,
    database_oid = excluded.database_oid,
    system_identifier = excluded.system_identifier,
    adopted_at = clock_timestamp(),
    adopted_by = excluded.adopted_by;
