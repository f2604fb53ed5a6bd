"""Telling others what happened: webhooks, Graph's change notifications, and the audit stream for SIEMs.

The pure part decides: ``kinds`` (who wants what), ``judging`` (what an answer means, when to try again, when to give
up), ``signing``, ``payloads``, ``notifications``, ``syslog``. The shell does it: ``dispatching`` brings the events of
the outbox (``engine.outbox``) to receivers, ``streaming`` to sinks, both beside the administrators' front door, each
with a cursor that is written after the delivery and never before: at least once, in the order of commits.

``webhooks`` and ``subscriptions`` are what administrators do with receivers.
"""
