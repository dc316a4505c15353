"""FileMaker's OData, read only: table occurrences, the wanted fields of them."""

from nexus_reimport.source.odata.client import OData

__all__ = ["OData"]
