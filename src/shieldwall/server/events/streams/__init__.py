"""The audit stream: every event, as it happens, to files and syslog receivers that the server's settings name."""
