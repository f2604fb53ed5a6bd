"""The pure heart: values, membership rules and resolution. No clock, no I/O, no database."""
