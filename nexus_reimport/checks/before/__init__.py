"""Checks before anything is deleted: FileMaker's data, the plan, the backup, the database.

A report shows them in the order of these imports.
"""

# isort: off
from nexus_reimport.checks.before.subject import Before
from nexus_reimport.checks.before import (
    source,
    older,
    plan,
    zeros,
    columns,
    external_ids,
    attachments,
    database,
    rows,
    encoding,
)
# isort: on

__all__ = [
    "Before",
    "attachments",
    "columns",
    "database",
    "encoding",
    "external_ids",
    "older",
    "plan",
    "rows",
    "source",
    "zeros",
]
