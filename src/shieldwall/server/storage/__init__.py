"""The one place that speaks SQL, and the records it keeps.

``schema`` names the tables, ``database`` opens SQLite or PostgreSQL behind one interface, ``group_commit`` makes many
small writes durable with one fsync, ``records`` are the frozen rows the domains work with. Every other module holds the
repository functions of one kind of record: each takes a connection as its first argument, so that the caller owns the
transaction. The same functions run on both engines.
"""
