"""Whole fleets read in bulk, and which devices changed since then."""
