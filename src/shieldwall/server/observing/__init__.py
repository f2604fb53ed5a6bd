"""What a process of the server says of itself: log lines, numbers, traces, and whether it can serve."""
