"""The proof of possession that a request brings, and whether it goes with the token beside it (RFC 9449)."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

from litestar.connection import ASGIConnection

from shieldwall.server.admin.services import AdminServices
from shieldwall.server.directory.possession import (
    InvalidProofError,
    NonceWantedError,
    Proof,
    UnboundTokenError,
    normal_address,
    verify,
)
from shieldwall.server.listening.admin_front import address_of, path_of

Connection: TypeAlias = ASGIConnection[Any, Any, Any, Any]
SCHEME: Final = "dpop"
PROVEN: Final = "shieldwall.proven"
"""Where the scope of a request holds the key that it proved; what a batch carries has proved it with the batch."""
_HEADER: Final = b"dpop"


def brings_proof(connection: Connection) -> bool:
    """Tell whether a request brings a proof, good or not."""
    return any(name == _HEADER for name, _ in connection.scope["headers"])


def proof_of(services: AdminServices, connection: Connection, token: str | None = None) -> Proof:
    """Read the one proof of a request, for the ``token`` that it sends, if any. It is not used up yet.

    Raises:
        InvalidProofError: There is none, there are several, or it is not for this request.
        NonceWantedError: It needs a nonce that is good.
    """
    given = [value for name, value in connection.scope["headers"] if name == _HEADER]
    if len(given) != 1:
        raise InvalidProofError("The request brings no proof of possession, or several.")
    now = services.clock.now()
    scope: Any = connection.scope
    base = normal_address(address_of(scope, services.settings.public_url)).removesuffix("/")
    proof = verify(
        given[0].decode("latin-1"), method=scope["method"], address=base + path_of(scope), now=now, token=token
    )
    require_nonce(services, proof.nonce)
    return proof


def require_nonce(services: AdminServices, nonce: str) -> None:
    """Ask for a nonce of ours, where the server's settings say so. Raises: NonceWantedError."""
    now = services.clock.now()
    if services.settings.identity.proof_nonce and not services.proofs.knows(nonce, now):
        raise NonceWantedError(services.proofs.nonce(now))


def prove_possession(services: AdminServices, connection: Connection, token: str, key: str | None) -> None:
    """Let a token pass that is bound to no key and was sent so, or to ``key`` and comes with a proof of it.

    Raises:
        UnboundTokenError: It is bound and was sent as a bearer token, or the other way round.
        InvalidProofError: The proof is missing, not good, of another key, or was used before.
        NonceWantedError: The proof needs a nonce.
        TooManyRequestsError: There is no room to keep the proof in mind.
    """
    scope: Any = connection.scope
    if key is None and not by_proof(connection):
        return
    if key is None:
        raise UnboundTokenError("The access token is bound to no key.")
    if not by_proof(connection):
        raise UnboundTokenError("The access token is bound to a key, and comes without a proof of it.")
    if scope.get(PROVEN) == key:
        return
    proof = proof_of(services, connection, token)
    if proof.key != key:
        raise InvalidProofError("The proof of possession is not good.")
    services.proofs.use(proof, services.clock.now())
    scope[PROVEN] = key


def by_proof(connection: Connection) -> bool:
    """Tell whether a request sends its token as one that is bound to a key."""
    return connection.headers.get("authorization", "").partition(" ")[0].lower() == SCHEME
