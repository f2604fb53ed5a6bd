"""The directory: devices and how they got their identity, groups, applications, administrators.

Functions take a connection first, so that the caller owns the transaction, and those that change something take
``acting``: who does it, when, and who has to hear of it.
"""
