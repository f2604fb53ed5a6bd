"""Stand-ins for a Mac: its own programs, and its frameworks for keys."""
