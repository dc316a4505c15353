#!/usr/bin/env python3
"""Shows one row as it was before a run and as the run left it, for an auditor.

    python3 show_rows.py RECORD PRIVATE_FOLDER [ID]

RECORD is the folder of one record, which ``check_record.py`` has checked; PRIVATE_FOLDER is that of
the same run, as long as it was kept. It needs Python 3.9 or newer and pyarrow; it reads, and writes
nothing. It compares each file of rows that the record names: the record holds a digest of the rows,
which is no ``sha256sum`` of the file. With ID, the id of a row in Nexus, it shows what these files
say of that row: ``before_patients.parquet`` as it was, ``plan_patients.parquet`` as it was planned
(which every row was compared with after COMMIT), ``differences.parquet`` each value that changed.
What it shows are patients' data.

Exit code 0: each file that is there is the one that the run wrote. Exit code 1: one is not. Exit
code 2: there was nothing to compare.
"""

import hashlib
import json
import sys
from pathlib import Path


def named(value):
    """Each file of rows that a value of the record names: its name, columns, number, digest."""
    if isinstance(value, dict):
        if {"name", "columns", "rows", "sha256"} <= value.keys():
            yield value
        for part in value.values():
            yield from named(part)
    elif isinstance(value, list):
        for part in value:
            yield from named(part)


def digest_of(table):
    """Of each column the lengths of its values (-1: none), and the values; of those the SHA-256."""
    both = b""
    for column in table.columns:
        lengths, texts = hashlib.sha256(), hashlib.sha256()
        for text in column.to_pylist():
            data = b"" if text is None else text.encode()
            lengths.update((-1 if text is None else len(data)).to_bytes(4, "little", signed=True))
            texts.update(data)
        both += lengths.digest() + texts.digest()
    return hashlib.sha256(both).hexdigest()


def rows_of(table, wanted):
    """The rows that are the one with this id, or of it."""
    for key in ("id", "nexus_id"):
        if key in table.column_names:
            ids = table.column(key).to_pylist()
            for place in (n for n, one in enumerate(ids) if one == wanted):
                yield table.slice(place, 1).to_pylist()[0]


def main(record, private, wanted=""):
    """Compare each file, and show what it says of the row ``wanted``; the exit code."""
    import pyarrow.parquet as pq

    values = [json.loads(path.read_bytes()) for path in (record / "data").glob("*.json")]
    files = {one["name"]: one for value in values for one in named(value)}
    kept = sorted(name for name in files if (private / name).is_file())
    if not kept:
        print(f"{private} has no file of rows that {record} names", file=sys.stderr)
        return 2
    changed = []
    for name in kept:
        table, known = pq.read_table(private / name), files[name]
        if table.column_names != known["columns"] or digest_of(table) != known["sha256"]:
            changed.append(name)
            print(f"{name}: NOT as the run wrote it")
        for row in rows_of(table, wanted) if wanted else ():
            print(f"{name}:")
            for column, text in row.items():
                print(f"    {column}: {text}")
    print(
        f"files of rows: {len(kept)} compared, {len(files) - len(kept)} not there,"
        f" {len(changed)} not as the run wrote them"
    )
    return int(bool(changed))


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:]))
