"""Files that are one structure (JSON, tables, boxes): records to measurements."""
