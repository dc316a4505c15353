"""Files that somebody exported from FileMaker: spreadsheets, values between commas or tabs."""

from nexus_reimport.source.exports.files import ExportedFiles

__all__ = ["ExportedFiles"]
