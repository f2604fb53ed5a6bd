"""HTTP that the server itself speaks to others: one guarded client, and nothing else in the server opens a connection.

``rules`` decides, purely, which addresses may be asked at all; ``resolving`` finds the addresses of a name; ``client``
connects to an address that was checked, bounded in time and size. Whoever has to ask somebody (deliveries of events,
federated sign-in) is given an ``Outgoing`` and calls ``fetch``.
"""
