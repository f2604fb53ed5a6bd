"""Command lines: ``shieldwall`` for administrators and servers, ``shieldwall-agent`` for devices."""
