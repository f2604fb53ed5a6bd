"""The agent's network side: onboard, check in, wait for a policy sync, offboard.

A reader starts at ``check_in.py`` (one check-in, told in its order) and goes on to ``loop.py`` (how check-ins follow
each other). Everything they touch is handed in: ``state`` (the disk), ``transport`` (the network), ``ports`` (machine,
applier).
"""
