-- What does the table of runs lack that an older version has made?
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
