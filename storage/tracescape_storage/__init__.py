"""The schema, the stores and the readers: the only package that knows DuckDB."""
