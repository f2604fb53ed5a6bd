"""What statements have in common: many ids in one, pages, rows and records, bounds of time."""
