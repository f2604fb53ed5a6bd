"""Devices: the list of them, one of them, and what can be done to it."""
