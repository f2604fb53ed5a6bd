"""Keys in the TPM of a Windows machine, by its Cryptography API: Next Generation.

A key belongs to the account that made it, so the agent's service has its own and nobody else signs with it. It never
leaves the TPM. Only this edge knows ``ncrypt.dll``; ``vault.py`` decides.

Sources: Microsoft, *NCryptCreatePersistedKey*, *NCryptSignHash* (of ECDSA: r and s, 32 bytes each),
*BCRYPT_ECCKEY_BLOB* (magic ``ECS1``, length, X, Y), *CNG Key Storage Providers*.
"""

from __future__ import annotations

import sys

assert sys.platform == "win32", "there is CNG on Windows alone"

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import wintypes
from typing import Final

from shieldwall.agent.windows.vault import CngError, point_of

PLATFORM_PROVIDER: Final = "Microsoft Platform Crypto Provider"
_ALGORITHM: Final = "ECDSA_P256"
_PUBLIC_BLOB: Final = "ECCPUBLICBLOB"
_SILENT: Final = 0x40
_MOST_BYTES: Final = 4096
_KEY_ABSENT: Final = 0x80090016
"""``NTE_BAD_KEYSET``."""

_ncrypt: Final = ctypes.WinDLL("ncrypt.dll")
_Handle = ctypes.c_void_p


class TpmKeys:
    """Keys of the Platform Crypto Provider; implements ``NamedKeys``."""

    def make(self, name: str) -> bytes:
        """See ``NamedKeys.make``. Raises: CngError."""
        with _provider() as provider:
            key = _Handle()
            _asked("NCryptCreatePersistedKey", provider, ctypes.byref(key), _ALGORITHM, name, 0, _SILENT)
            try:
                _asked("NCryptFinalizeKey", key, _SILENT)
                return _public(key)
            finally:
                _ncrypt.NCryptFreeObject(key)

    def sign(self, name: str, digest: bytes) -> bytes:
        """See ``NamedKeys.sign``. Raises: CngError."""
        with _provider() as provider, _key(provider, name) as key:
            signature, length = ctypes.create_string_buffer(_MOST_BYTES), wintypes.DWORD()
            _asked(
                "NCryptSignHash",
                key,
                None,
                digest,
                len(digest),
                signature,
                _MOST_BYTES,
                ctypes.byref(length),
                _SILENT,
            )
            return signature.raw[: length.value]

    def destroy(self, name: str) -> None:
        """See ``NamedKeys.destroy``. Raises: CngError."""
        try:
            with _provider() as provider:
                key = _Handle()
                _asked("NCryptOpenKey", provider, ctypes.byref(key), name, 0, _SILENT)
                _asked("NCryptDeleteKey", key, _SILENT)  # which frees the handle as well
        except CngError as error:
            if error.status != _KEY_ABSENT:
                raise


@contextmanager
def _provider() -> Iterator[_Handle]:
    provider = _Handle()
    _asked("NCryptOpenStorageProvider", ctypes.byref(provider), PLATFORM_PROVIDER, 0)
    try:
        yield provider
    finally:
        _ncrypt.NCryptFreeObject(provider)


@contextmanager
def _key(provider: _Handle, name: str) -> Iterator[_Handle]:
    key = _Handle()
    _asked("NCryptOpenKey", provider, ctypes.byref(key), name, 0, _SILENT)
    try:
        yield key
    finally:
        _ncrypt.NCryptFreeObject(key)


def _public(key: _Handle) -> bytes:
    blob, length = ctypes.create_string_buffer(_MOST_BYTES), wintypes.DWORD()
    _asked("NCryptExportKey", key, None, _PUBLIC_BLOB, None, blob, _MOST_BYTES, ctypes.byref(length), _SILENT)
    return point_of(blob.raw[: length.value])


def _asked(function: str, *arguments: object) -> None:
    asked = getattr(_ncrypt, function)
    asked.restype = ctypes.c_ulong
    status = int(asked(*arguments))
    if status:
        raise CngError(f"{function} refused", status=status)
