"""A program that looks at the name of every program before it starts: ``shieldwall-sentry``."""
