-- What does the marker in this database say?
SELECT environment, database_name, database_oid, system_identifier, adopted_at::text, adopted_by
FROM nexus_reimport.deployment;
