"""Faithful stand-ins for machines that are not at hand, for our own tests and for whoever extends the agent.

Each says what it assumes and where that is written; a recording of the real machine can be replayed in its place.
"""
