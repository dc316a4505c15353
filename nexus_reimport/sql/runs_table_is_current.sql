-- Has the table of runs the columns that an older version did not make?
SELECT count(*) = 6
FROM pg_catalog.pg_attribute
WHERE attrelid = to_regclass('nexus_reimport.runs')
  AND NOT attisdropped
  AND attname IN ('kind', 'undo', 'undone_by', 'number', 'sequence', 'verdict')
