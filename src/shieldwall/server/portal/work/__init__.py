"""Long work: it goes on while whoever started it looks elsewhere, says how far it is, and keeps what came of it."""
