"""Waking a fleet through a message broker (NATS), where a gateway's own lines are too few.

The broker carries nothing but empty messages: "check in now". ``tokens`` says who may listen to what, ``setting_up``
makes keys and the broker's configuration, ``waking`` finds who is asked to come and says so at a measured pace.
"""
