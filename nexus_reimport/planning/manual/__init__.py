"""The by-hand sheet: values that only a person knows. It is written, filled in, put back, read.

One workbook in the private folder: a sheet that explains, then one per kind that the mapping names,
one line per row that lacks a value; choices are drop-downs. A line carries a mark of the values
that it showed when it was written. If the row shows different values now, the line is stale and
refused, so that no value lands on the wrong patient.
"""

from nexus_reimport.planning.manual.reading import is_anothers, read, refuse_unusable
from nexus_reimport.planning.manual.sheet import (
    BY_HAND,
    CHOICES,
    EXPLAINED,
    KEY,
    ByHandSheet,
    Given,
    SheetRow,
    Shower,
    is_over,
    kinds,
    lacks,
)
from nexus_reimport.planning.manual.writing import write

__all__ = [
    "BY_HAND",
    "CHOICES",
    "EXPLAINED",
    "KEY",
    "ByHandSheet",
    "Given",
    "SheetRow",
    "Shower",
    "is_anothers",
    "is_over",
    "kinds",
    "lacks",
    "read",
    "refuse_unusable",
    "write",
]
