"""The few commands that this agent gives a TPM (TPM 2.0 Library, Part 3), each with its fixed shape.

Keys of ours are children of the storage root key, which every system makes from the same template. They leave the TPM
only wrapped by it. Nothing is stored in the TPM itself, nothing in it is changed.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from msgspec import Struct

from shieldwall.agent.host.tpm_device import TpmChannel, TpmError, open_channel
from shieldwall.trust import tpm
from shieldwall.trust.tpm import Reader, sized

_NO_SESSIONS: Final = 0x8001
_SESSIONS: Final = 0x8002
_OWNER: Final = 0x40000001
_NULL: Final = 0x40000007
_PASSWORD: Final = 0x40000009
_ENDORSEMENT: Final = 0x4000000B

_CREATE_PRIMARY: Final = 0x0131
_ACTIVATE_CREDENTIAL: Final = 0x0147
_CERTIFY: Final = 0x0148
_NV_READ: Final = 0x014E
_POLICY_SECRET: Final = 0x0151
_CREATE: Final = 0x0153
_LOAD: Final = 0x0157
_SIGN: Final = 0x015D
_FLUSH_CONTEXT: Final = 0x0165
_NV_READ_PUBLIC: Final = 0x0169
_START_AUTH_SESSION: Final = 0x0176

_RSA_CERTIFICATE: Final = 0x01C00002
_CURVE_CERTIFICATE: Final = 0x01C0000A
_FIRST_OF_CHAIN: Final = 0x01C00100
_LONGEST_CHAIN: Final = 3
_NO_SECRETS: Final = sized(sized(b"") + sized(b""))
_NO_SCHEME: Final = tpm.ALGORITHM_NULL.to_bytes(2, "big")
_NOT_A_TICKET: Final = (0x8024).to_bytes(2, "big") + _NULL.to_bytes(4, "big") + sized(b"")
_NV_PART: Final = 512
_LARGEST_STORED: Final = 6_000


class WrappedKey(Struct, frozen=True, kw_only=True):
    """A key as it lies on disk: the public area, and the private part that only its TPM can open."""

    public: bytes
    private: bytes


class Endorsement(Struct, frozen=True, kw_only=True):
    """What a TPM shows of its endorsement key: the public area and, where its maker stored one, the certificate."""

    public: bytes
    certificate: bytes | None
    chain: tuple[bytes, ...] = ()
    """Certificates that lead from that one to an authority of the maker."""


class Tpm:
    """A TPM that is open; a context manager."""

    def __init__(self, path: Path) -> None:
        """Open the TPM in this place. Raises: TpmError."""
        self._channel: TpmChannel = open_channel(path)

    def __enter__(self) -> Self:
        """Use it."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Let go of it."""
        self._channel.close()

    def make_key(self, attributes: tpm.Attribute) -> WrappedKey:
        """Make a P-256 key that never leaves this TPM unwrapped. Raises: TpmError."""
        with self._storage_root() as parent:
            answer = self._ask(
                _CREATE,
                handles=(parent,),
                passwords=1,
                parameters=_NO_SECRETS + sized(tpm.curve_template(attributes)) + sized(b"") + bytes(4),
            )
        private, public = _part(answer), _part(answer)
        return WrappedKey(public=public, private=private)

    def sign(self, key: WrappedKey, data: bytes) -> bytes:
        """Sign with SHA-256; the answer is ``r`` and ``s``, 32 bytes each. Raises: TpmError."""
        digest = hashlib.sha256(data).digest()
        with self._loaded(key) as handle:
            answer = self._ask(
                _SIGN, handles=(handle,), passwords=1, parameters=sized(digest) + _NO_SCHEME + _NOT_A_TICKET
            )
            return _signature(answer)

    def endorsement(self) -> Endorsement:
        """Show the endorsement key: that of the stored certificate, else the one on P-256. Raises: TpmError."""
        curve = self._find_stored(_CURVE_CERTIFICATE)
        certificate = curve or self._find_stored(_RSA_CERTIFICATE)
        rsa = curve is None and certificate is not None
        with self._endorsement_key(rsa=rsa) as (_, public):
            chain = () if certificate is None else self._stored_chain()
            return Endorsement(public=public, certificate=certificate, chain=chain)

    def activate(self, key: WrappedKey, *, rsa: bool, blob: bytes, encrypted_seed: bytes) -> bytes:
        """Open a secret that was sealed for this TPM's endorsement key under the name of ``key``. Raises: TpmError."""
        with self._loaded(key) as handle, self._endorsement_key(rsa=rsa) as (endorsement, _):
            session = self._endorsement_session()
            try:
                answer = self._ask(
                    _ACTIVATE_CREDENTIAL,
                    handles=(handle, endorsement),
                    passwords=1,
                    session=session,
                    parameters=sized(blob) + sized(encrypted_seed),
                )
            except TpmError:
                self._flush(session)  # only its use would have ended it
                raise
            return _part(answer)

    def certify(self, key: WrappedKey, by: WrappedKey, qualifier: bytes) -> tuple[bytes, bytes]:
        """Let the TPM state that ``key`` is in it, signed with ``by``: statement and signature. Raises: TpmError."""
        with self._loaded(key) as subject, self._loaded(by) as signer:
            answer = self._ask(
                _CERTIFY, handles=(subject, signer), passwords=2, parameters=sized(qualifier) + _NO_SCHEME
            )
            return _part(answer), _signature(answer)

    @contextlib.contextmanager
    def _storage_root(self) -> Iterator[int]:
        with self._primary(_OWNER, tpm.storage_root_template()) as (handle, _):
            yield handle

    @contextlib.contextmanager
    def _endorsement_key(self, *, rsa: bool) -> Iterator[tuple[int, bytes]]:
        template = tpm.rsa_endorsement_template() if rsa else tpm.curve_endorsement_template()
        with self._primary(_ENDORSEMENT, template) as made:
            yield made

    @contextlib.contextmanager
    def _primary(self, hierarchy: int, template: bytes) -> Iterator[tuple[int, bytes]]:
        answer = self._ask(
            _CREATE_PRIMARY,
            handles=(hierarchy,),
            passwords=1,
            parameters=_NO_SECRETS + sized(template) + sized(b"") + bytes(4),
            gives_handle=True,
        )
        handle = answer.number(4)
        with self._flushed(handle):
            answer.take(4)
            yield handle, _part(answer)

    @contextlib.contextmanager
    def _loaded(self, key: WrappedKey) -> Iterator[int]:
        with self._storage_root() as parent:
            answer = self._ask(
                _LOAD,
                handles=(parent,),
                passwords=1,
                parameters=sized(key.private) + sized(key.public),
                gives_handle=True,
            )
            handle = answer.number(4)
        with self._flushed(handle):  # the parent has gone before: a TPM has room for three keys
            yield handle

    @contextlib.contextmanager
    def _flushed(self, handle: int) -> Iterator[None]:
        try:
            yield
        finally:
            self._flush(handle)

    def _flush(self, handle: int) -> None:
        self._ask(_FLUSH_CONTEXT, parameters=handle.to_bytes(4, "big"))

    def _endorsement_session(self) -> int:
        """Begin a session that may use the endorsement key once; the TPM ends it with that use."""
        answer = self._ask(
            _START_AUTH_SESSION,
            handles=(_NULL, _NULL),
            parameters=sized(bytes(16)) + sized(b"") + b"\1" + _NO_SCHEME + tpm.ALGORITHM_SHA256.to_bytes(2, "big"),
            gives_handle=True,
        )
        session = answer.number(4)
        self._ask(_POLICY_SECRET, handles=(_ENDORSEMENT, session), passwords=1, parameters=sized(b"") * 3 + bytes(4))
        return session

    def _find_stored(self, index: int) -> bytes | None:
        """Read a certificate that the TPM's maker stored; one that cannot be read counts as none."""
        return next(iter(_certificates(self._stored(index))), None)

    def _stored_chain(self) -> tuple[bytes, ...]:
        """Read what follows the certificate: certificates back to back, over as many places as they need."""
        content = b""
        for index in range(_FIRST_OF_CHAIN, _FIRST_OF_CHAIN + _LONGEST_CHAIN):
            if not (part := self._stored(index)):
                break
            content += part
        return _certificates(content)[:_LONGEST_CHAIN]

    def _stored(self, index: int) -> bytes:
        with contextlib.suppress(TpmError):
            public = Reader(_part(self._ask(_NV_READ_PUBLIC, handles=(index,))), TpmError)
            public.take(4 + 2 + 4)
            public.sized(64)
            size = public.number(2)
            if size <= _LARGEST_STORED:
                parts = range(0, size, _NV_PART)
                return b"".join(self._stored_part(index, at, min(_NV_PART, size - at)) for at in parts)
        return b""

    def _stored_part(self, index: int, at: int, size: int) -> bytes:
        where = size.to_bytes(2, "big") + at.to_bytes(2, "big")
        try:
            return _part(self._ask(_NV_READ, handles=(index, index), passwords=1, parameters=where))
        except TpmError:  # some are for the owner to read
            return _part(self._ask(_NV_READ, handles=(_OWNER, index), passwords=1, parameters=where))

    def _ask(
        self,
        code: int,
        *,
        handles: tuple[int, ...] = (),
        passwords: int = 0,
        session: int | None = None,
        parameters: bytes = b"",
        gives_handle: bool = False,
    ) -> Reader:
        """Give a command; the handles come first, then the empty passwords and the session that authorise them."""
        sessions = [_PASSWORD] * passwords + ([] if session is None else [session])
        authorisation = b"".join(handle.to_bytes(4, "big") + bytes(5) for handle in sessions)
        body = b"".join(handle.to_bytes(4, "big") for handle in handles)
        if sessions:
            body += len(authorisation).to_bytes(4, "big") + authorisation
        body += parameters
        tag = _SESSIONS if sessions else _NO_SESSIONS
        command = tag.to_bytes(2, "big") + (len(body) + 10).to_bytes(4, "big") + code.to_bytes(4, "big") + body
        answer = self._channel.exchange(command)
        if len(answer) < 10 or int.from_bytes(answer[2:6], "big") != len(answer):
            raise TpmError("The TPM's answer is none.")
        result = int.from_bytes(answer[6:10], "big")
        if result != 0:
            raise TpmError(f"The TPM refuses command {code:#x} with {result:#x}.")
        reader = Reader(answer[10:], TpmError)
        if sessions and not gives_handle:
            reader.take(4)  # the length of what follows
        return reader


def _certificates(content: bytes) -> tuple[bytes, ...]:
    """Cut certificates apart by their own lengths; a maker may have reserved more than they need."""
    found: list[bytes] = []
    while content[:2] == b"\x30\x82":  # a sequence, its length in two bytes
        end = 4 + int.from_bytes(content[2:4], "big")
        if end > len(content):
            break
        found.append(content[:end])
        content = content[end:]
    return tuple(found)


def _part(answer: Reader) -> bytes:
    return answer.sized(tpm.MAX_STRUCTURE_BYTES)


def _signature(answer: Reader) -> bytes:
    answer.take(2 + 2)  # ECDSA with SHA-256: the keys allow nothing else
    return b"".join(answer.sized(32).rjust(32, b"\0") for _ in "rs")
