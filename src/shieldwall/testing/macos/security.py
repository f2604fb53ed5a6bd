"""Core Foundation and the Security framework of a Mac, as far as keys in the Secure Enclave go.

References are numbers, counted as the real ones are: what is used after it was let go, or never let go, is noticed.
Every call goes through C as on a Mac, so a wrong declaration is noticed too. Keys are real ones; their blob means
something to the stand-in that made it alone, as that of an enclave does.

Assumed (Apple, *Protecting keys with the Secure Enclave*; published source of the Security framework): keys are on
P-256 and signing alone; a key that is not permanent needs no keychain; ``toid`` is its blob; a machine without an
enclave refuses to make one with ``errSecUnimplemented`` (-4).
"""
# ruff: noqa: N802 - the names are Apple's

from __future__ import annotations

import ctypes
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from types import SimpleNamespace
from typing import Any, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from shieldwall.agent.host.macos.frameworks import SIGNATURES, Frameworks, declare
from shieldwall.trust.device_key import public_key_bytes

_CONSTANTS: Final = count(1_000)
_OBJECTS: Final = count(1 << 40)
"""Above 32 bits, so that whoever cuts a reference short is noticed."""


@dataclass(frozen=True, slots=True)
class Key:
    """A private key in the enclave, or its public half."""

    private: ec.EllipticCurvePrivateKey
    blob: bytes
    is_public: bool = False


@dataclass(frozen=True, slots=True)
class Access:
    """An access control: when a key may be used, and for what."""

    when: str
    flags: int


class PretendSecurity:
    """The frameworks of one Mac. ``refusal`` is what making and using keys fails with, where it does."""

    def __init__(self, *, refusal: str | None = None) -> None:
        self.refusal = refusal
        self._names: dict[str, int] = {}
        self._values: dict[int, Any] = {}
        self._counts: Counter[int] = Counter()
        self._keys: dict[bytes, ec.EllipticCurvePrivateKey] = {}
        self._buffers: list[Any] = []
        self.faults: list[Exception] = []
        """Wrong uses that were noticed. A function of C cannot raise, so whoever tests looks here."""
        core, security = SimpleNamespace(), SimpleNamespace()
        for name in SIGNATURES:
            setattr(core if name.startswith("CF") else security, name, self._function(name))
        declare(core, security)
        self.frameworks = Frameworks(core=core, security=security, constant=self.constant, address=self.constant)

    @property
    def unreleased(self) -> int:
        """How many references were made and never let go."""
        return sum(self._counts.values())

    def constant(self, name: str) -> int:
        """Give a name its reference."""
        if name not in self._names:
            self._names[name] = next(_CONSTANTS)
        return self._names[name]

    # Core Foundation

    def CFDataCreate(self, _allocator: Any, content: int, length: int) -> int:
        """Make bytes."""
        return self._made(ctypes.string_at(content, length))

    def CFDataGetLength(self, data: int) -> int:
        """Count bytes."""
        return len(self._value(data, bytes))

    def CFDataGetBytePtr(self, data: int) -> int:
        """Return the place of bytes in memory."""
        content = self._value(data, bytes)
        self._buffers.append(ctypes.create_string_buffer(content, len(content)))
        return ctypes.addressof(self._buffers[-1])

    def CFStringCreateWithCString(self, _allocator: Any, content: int, _encoding: int) -> int:
        """Make a text."""
        return self._made(ctypes.string_at(content).decode())

    def CFStringGetCString(self, text: int, buffer: Any, length: int, _encoding: int) -> bool:
        """Write a text into a buffer."""
        content = self._value(text, str).encode()[: length - 1] + b"\0"
        ctypes.memmove(buffer, content, len(content))
        return True

    def CFNumberCreate(self, _allocator: Any, _kind: int, value: Any) -> int:
        """Make a number."""
        return self._made(ctypes.c_int.from_address(value).value)

    def CFDictionaryCreate(self, _allocator: Any, keys: Any, values: Any, length: int, *_callbacks: int) -> int:
        """Make a dictionary, which keeps what is in it."""
        array = ctypes.c_void_p * length
        pairs = zip(array.from_address(keys), array.from_address(values), strict=True)
        return self._made({self._meaning(key or 0): self._meaning(value or 0) for key, value in pairs})

    def CFDictionaryGetValue(self, dictionary: int, key: int) -> int | None:
        """Return what stands in a dictionary; it stays the dictionary's."""
        found = self._value(dictionary, dict).get(self._meaning(key))
        if found is None:
            return None
        reference = next(_OBJECTS)
        self._values[reference] = found
        return reference

    def CFErrorCopyDescription(self, error: int) -> int:
        """Say an error in words."""
        return self._made(str(self._value(error, OSError)))

    def CFRelease(self, reference: int) -> None:
        """Let a reference go."""
        assert self._counts[reference] > 0, "let go of what was not held"
        self._counts[reference] -= 1
        if not self._counts[reference]:
            del self._values[reference]

    # Security

    def SecAccessControlCreateWithFlags(self, _allocator: Any, when: int, flags: int, _error: Any) -> int:
        """Make an access control."""
        return self._made(Access(when=self._meaning(when), flags=flags))

    def SecKeyCreateRandomKey(self, parameters: int, error: Any) -> int | None:
        """Make a key in the enclave."""
        wanted = self._value(parameters, dict)
        private: Mapping[str, Any] = wanted["kSecPrivateKeyAttrs"]
        if wanted["kSecAttrTokenID"] != "kSecAttrTokenIDSecureEnclave":
            return self._failed(error, "-50: the key is for no enclave")
        if private["kSecAttrIsPermanent"] != "kCFBooleanFalse":
            return self._failed(error, "-34018: A required entitlement isn't present.")
        if (wanted["kSecAttrKeyType"], wanted["kSecAttrKeySizeInBits"]) != ("kSecAttrKeyTypeECSECPrimeRandom", 256):
            return self._failed(error, "-50: the enclave has keys of another kind")
        access: Access = private["kSecAttrAccessControl"]
        if not access.flags & (1 << 30):
            return self._failed(error, "-50: the key may not sign")
        if self.refusal is not None:
            return self._failed(error, self.refusal)
        blob = os.urandom(284)
        self._keys[blob] = ec.generate_private_key(ec.SECP256R1())
        return self._made(Key(self._keys[blob], blob))

    def SecKeyCreateWithData(self, data: int, attributes: int, error: Any) -> int | None:
        """Make a key of its blob again."""
        wanted = self._value(attributes, dict)
        if self._value(data, bytes) or wanted.get("kSecAttrKeyClass") != "kSecAttrKeyClassPrivate":
            return self._failed(error, "-50: no key of the enclave is made like that")
        if self.refusal is not None:
            return self._failed(error, self.refusal)
        private = self._keys.get(wanted.get("toid", b""))
        if private is None:
            return self._failed(error, "-3: the blob is not of this enclave")
        return self._made(Key(private, wanted["toid"]))

    def SecKeyCopyAttributes(self, key: int) -> int:
        """Tell of a key."""
        return self._made({"toid": self._value(key, Key).blob, "kSecAttrKeySizeInBits": 256})

    def SecKeyCopyPublicKey(self, key: int) -> int:
        """Return the public half."""
        held = self._value(key, Key)
        return self._made(Key(held.private, held.blob, is_public=True))

    def SecKeyCopyExternalRepresentation(self, key: int, error: Any) -> int | None:
        """Write a public key; a private one does not come out."""
        held = self._value(key, Key)
        if not held.is_public:
            return self._failed(error, "-4: the key does not leave the enclave")
        return self._made(public_key_bytes(held.private.public_key()))

    def SecKeyCreateSignature(self, key: int, algorithm: int, data: int, error: Any) -> int | None:
        """Sign."""
        if self._meaning(algorithm) != "kSecKeyAlgorithmECDSASignatureMessageX962SHA256":
            return self._failed(error, "-50: the enclave has no such algorithm")
        held = self._value(key, Key)
        return self._made(held.private.sign(self._value(data, bytes), ec.ECDSA(hashes.SHA256())))

    def _function(self, name: str) -> Any:
        """Make a function of C of one of the methods above; texts and bytes come in as addresses."""
        result, takes = SIGNATURES[name]
        method = getattr(self, name)

        def called(*arguments: Any) -> Any:
            try:
                return method(*arguments)
            except Exception as error:  # noqa: BLE001 - whatever it is, C has no place for it
                self.faults.append(error)
                return 0

        return ctypes.CFUNCTYPE(result, *(ctypes.c_void_p if each is ctypes.c_char_p else each for each in takes))(
            called
        )

    def _made(self, value: Any) -> int:
        reference = next(_OBJECTS)
        self._values[reference] = value
        self._counts[reference] += 1
        return reference

    def _failed(self, error: Any, words: str) -> int | None:
        ctypes.c_void_p.from_address(error).value = self._made(OSError(words))
        return None

    def _value(self, reference: int, kind: type) -> Any:
        value = self._values[reference]
        assert isinstance(value, kind), f"{value!r} is no {kind.__name__}"
        return value

    def _meaning(self, reference: int) -> Any:
        """Return what a reference is, a constant by its name."""
        names = {number: name for name, number in self._names.items()}
        return names[reference] if reference in names else self._values[reference]
