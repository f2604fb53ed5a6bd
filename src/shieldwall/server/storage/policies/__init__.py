"""Policies and their revisions, who gets them, and the changes that devices take up."""
