"""A Windows machine: what it says of itself, and who else manages it."""
