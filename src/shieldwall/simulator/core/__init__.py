"""The real gateway and the real agent in one process, with time, chance, disks and network handed in."""
