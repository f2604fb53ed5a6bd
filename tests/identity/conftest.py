from __future__ import annotations

from tests.graph.conftest import bare_database, database, database_url, embedded, embedded_graph, graph, world

__all__ = ["bare_database", "database", "database_url", "embedded", "embedded_graph", "graph", "world"]
