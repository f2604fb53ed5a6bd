"""What a check-in reads and writes: narrow rows, targets, reports, many with one fsync."""
