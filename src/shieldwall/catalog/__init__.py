"""The settings catalog: what can be set, what a value may be, and how values of several policies come together."""
