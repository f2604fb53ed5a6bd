"""What the kernel's audit writes down, read as it happens: events, and what among them somebody should know of."""
