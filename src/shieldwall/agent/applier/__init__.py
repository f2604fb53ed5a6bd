"""The transaction engine: what the policies say becomes what is on the device, or everything stays as it was.

Read ``engine`` first; it is the story. ``admission`` says which documents count, ``plan`` who enforces what, ``store``
what survives a crash, ``attempt`` what one provider goes through and ``statuses`` what is said about it.
"""
