"""A Mac: who it is, who else manages it, and where it keeps keys."""
