"""Devices that exist only here, and check in at a server that runs: over TLS, with keys of their own."""
