"""Why somebody could not be asked."""

from __future__ import annotations

from shieldwall.contract.errors import ShieldwallError


class InvalidReceiverError(ShieldwallError):
    """An address is not one that this server sends anything to: no https, a password or fragment in it, not ASCII."""

    code = "invalidReceiver"
    remedy = "Use an address of the form https://host/path, with the host's ASCII name."


class ReceiverRefusedError(ShieldwallError):
    """A name leads to an address that is off limits: this machine, a neighbour on the link, a cloud's metadata."""

    code = "receiverRefused"
    remedy = "Receivers have addresses of their own; what may be reached is set in server.json under 'outgoing'."


class ReceiverUnreachableError(ShieldwallError):
    """Nobody answered: the name is unknown, the connection failed, TLS is not trusted, or it took too long."""

    code = "receiverUnreachable"
    remedy = "See that the receiver listens under this name with a certificate that this server trusts."
