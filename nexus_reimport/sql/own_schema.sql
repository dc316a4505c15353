-- Where does the project keep what it must remember inside the database?
CREATE TABLE IF NOT EXISTS nexus_reimport.runs (
    run text PRIMARY KEY,
    environment text NOT NULL,
    digest text NOT NULL,
    approved_by text NOT NULL,
    before jsonb NOT NULL,
    after jsonb NOT NULL,
    committed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    seal text NOT NULL DEFAULT '',
    kind text NOT NULL DEFAULT 'reimport',
    undo jsonb,
    undone_by text NOT NULL DEFAULT '',
    number bigint,
    sequence bigint,
    verdict text NOT NULL DEFAULT ''
);
CREATE TABLE IF NOT EXISTS nexus_reimport.loaded (
    entity text NOT NULL,
    filemaker_id text NOT NULL,
    nexus_id text NOT NULL,
    PRIMARY KEY (entity, filemaker_id)
);
