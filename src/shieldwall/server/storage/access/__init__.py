"""Who may what, and within which scope."""
