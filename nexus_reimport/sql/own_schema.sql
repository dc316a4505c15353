-- Where does the project keep what it must remember inside the database?
CREATE TABLE IF NOT EXISTS nexus_reimport.runs (
    run text PRIMARY KEY,
    environment text NOT NULL,
    digest text NOT NULL,
    approved_by text NOT NULL,
    before jsonb NOT NULL,
    after jsonb NOT NULL,
    committed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    seal text NOT NULL DEFAULT ''
);
-- A table that an older version has made lacks these columns.
ALTER TABLE nexus_reimport.runs
    ADD COLUMN IF NOT EXISTS kind text NOT NULL DEFAULT 'reimport',
    ADD COLUMN IF NOT EXISTS undo jsonb,
    ADD COLUMN IF NOT EXISTS undone_by text NOT NULL DEFAULT '',
    ADD COLUMN IF NOT EXISTS number bigint,
    ADD COLUMN IF NOT EXISTS sequence bigint,
    ADD COLUMN IF NOT EXISTS verdict text NOT NULL DEFAULT '';
-- Runs of an older version have no number. They get one, once, in the order of their times.
UPDATE nexus_reimport.runs AS r
SET number = o.number
FROM (
    SELECT run, row_number() OVER (ORDER BY committed_at, run) AS number
    FROM nexus_reimport.runs
) AS o
WHERE r.run = o.run AND NOT EXISTS (SELECT FROM nexus_reimport.runs WHERE number IS NOT NULL);
CREATE TABLE IF NOT EXISTS nexus_reimport.loaded (
    entity text NOT NULL,
    filemaker_id text NOT NULL,
    nexus_id text NOT NULL,
    PRIMARY KEY (entity, filemaker_id)
);
