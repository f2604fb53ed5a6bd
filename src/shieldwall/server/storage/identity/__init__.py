"""People and applications, how they prove who they are, and what was handed to them for it."""
