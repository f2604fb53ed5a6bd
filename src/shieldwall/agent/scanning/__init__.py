"""Scans: at set times, after new definitions and on demand; what they find, and what becomes of it."""
