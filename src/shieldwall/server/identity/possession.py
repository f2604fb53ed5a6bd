"""Proof of possession at the token endpoint: which key tokens are bound to, and what is answered without a good proof.

RFC 9449 section 5: the refusals are those of every request for tokens, status 400.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection

from shieldwall.server.admin.possession_of_requests import brings_proof, proof_of, require_nonce
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.directory.possession import InvalidProofError, NonceWantedError, Proof
from shieldwall.server.identity.errors import IdentityRequest, error_of_proof
from shieldwall.server.storage.identity_records import App
from shieldwall.server.storage.onboarding import nonces


@contextmanager
def refusing_proofs() -> Iterator[None]:
    """Say of every proof that is not good what the token endpoint says of it. Raises: TokenRequestError."""
    try:
        yield
    except (InvalidProofError, NonceWantedError) as error:
        raise error_of_proof(error, status=400) from error


def shown_proof(services: AdminServices, request: IdentityRequest, app: App) -> Proof | None:
    """Return the proof that a request for a token brings; ``None`` where it brings none and needs none.

    Raises:
        InvalidProofError: It is not good, or is missing though the application has to bring one.
        NonceWantedError: The same, and the proof has to hold a nonce.
    """
    if brings_proof(request):
        return proof_of(services, request)
    if app.requires_proof:
        require_nonce(services, "")
        raise InvalidProofError("The application has to prove with every request that it holds a key.")
    return None


def use_up(connection: Connection, app: App, proof: Proof | None) -> None:
    """Let a proof be good no second time. Raises: InvalidProofError."""
    if proof is not None and not nonces.use(connection, app.tenant_id, proof.digest, proof.keep_until):
        raise InvalidProofError("The proof of possession was used before.")
