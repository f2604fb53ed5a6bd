"""The tables, the same on both engines, what their columns have in common, and the triggers on them."""
