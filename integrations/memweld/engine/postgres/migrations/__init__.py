"""Alembic's home: how the schema became what it is."""
