"""FileMaker's OData, read only: it reads table occurrences, with the wanted fields."""

from nexus_reimport.filemaker.odata.client import OData

__all__ = ["OData"]
