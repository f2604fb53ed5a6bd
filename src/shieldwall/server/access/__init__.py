"""What callers may do: actions, roles that bundle them, grants that say where they hold, and what a route asks of them.

Pure: who belongs to which role is read elsewhere, and handed in. How often somebody may ask is decided here too.
"""
