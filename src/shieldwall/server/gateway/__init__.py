"""HTTP for devices, on its own port: lean, no framework on the path that a hundred thousand devices take.

A request walks through ``application`` from top to bottom: guard, router, signature, then one handler of
``endpoints``, which calls a use case of inventory or manager. Whatever goes wrong becomes a problem document in
one place, ``problems``.
"""
