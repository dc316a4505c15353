"""What lies on disk: row files, text files and workbooks."""
