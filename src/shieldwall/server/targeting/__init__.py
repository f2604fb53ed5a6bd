"""The targeting index: a fleet held in memory, so that it is known at once whom a change concerns.

What a device shall enforce is what ``manager.targeting`` computes from the database. The index computes the same for
many at once and is believed in one thing alone: that a target need not be computed again because it is what it was.
"""
