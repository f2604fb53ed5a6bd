"""Policies and who gets them, the check-in, and what is in effect.

Read ``check_in`` first: it is the story of a device that reports and asks. ``policies`` and ``assignments`` say what
shall hold, ``targeting`` turns that into one target per device, ``statuses`` folds the reports back into answers. Every
function takes the connection of a transaction that its caller owns.
"""
