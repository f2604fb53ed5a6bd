"""Reports in milliseconds: a large fleet in memory, counted from there, and kept day by day in files."""
