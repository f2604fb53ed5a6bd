"""What server and device say to each other.

Ids, messages, setting instances, status words, the error root and strict JSON. Nothing here imports another package of
ours, and nothing here does I/O.
"""
