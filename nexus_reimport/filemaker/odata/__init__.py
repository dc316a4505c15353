"""FileMaker's OData, read only: table occurrences, the wanted fields of them."""

from nexus_reimport.filemaker.odata.client import OData

__all__ = ["OData"]
