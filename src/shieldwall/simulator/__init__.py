"""``shieldwall-sim``: fleets of devices that exist only in a computer, to try server and agent on.

Three ways of the same thing. ``core`` puts the real gateway and the real agent into one process, with time, chance and
network of its own, and asks after every step whether what must never happen did. ``day`` takes a million devices
through twenty-four hours, as columns of numbers that move by the agent's own rules. ``load`` lets devices come to a
server that runs. None of it is in a package for devices.
"""
