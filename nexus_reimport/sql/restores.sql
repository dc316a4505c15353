-- From before which runs was this database restored, and who says so?
CREATE TABLE nexus_reimport.restores (
    id text PRIMARY KEY,
    who text NOT NULL CHECK (who <> ''),
    why text NOT NULL CHECK (why <> ''),
    at timestamptz NOT NULL,
    runs jsonb NOT NULL -- [run, seal of its record] of each
);
