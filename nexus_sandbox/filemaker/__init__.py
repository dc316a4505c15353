"""A FileMaker server on loopback: the Data API, OData and exported files over made-up tables."""
