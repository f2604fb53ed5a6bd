"""The sample system of ``make run``: a server, real agents on sample devices, real policies."""
