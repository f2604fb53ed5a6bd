"""What people may do: actions, roles that bundle them, and grants that say where they hold.

Pure: who belongs to which role is read elsewhere, and handed in.
"""
