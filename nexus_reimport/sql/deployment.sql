-- Which environment's database is this, and which database was it when a person said so?
CREATE TABLE IF NOT EXISTS nexus_reimport.deployment (
    -- A key that can only be true, so that there is no second row.
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    environment text NOT NULL CHECK (environment <> ''),
    database_name text NOT NULL,
    database_oid bigint NOT NULL,
    system_identifier text NOT NULL, -- '' where the role that adopted could not read it
    adopted_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    adopted_by text NOT NULL
);
