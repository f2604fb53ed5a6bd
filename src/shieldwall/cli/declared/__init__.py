"""Policies, groups, filters and reusable settings as files in git: read, compared with the server, planned, applied."""
