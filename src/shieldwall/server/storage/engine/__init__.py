"""How a database is opened, brought to the newest schema, written to and kept: SQLite and PostgreSQL."""
