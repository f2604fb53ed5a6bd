"""Calling Core Foundation and the Security framework: references are held while they are needed, and let go."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final

from msgspec import Struct, field

from shieldwall.agent.host.errors import HostError

_PLACE: Final = "/System/Library/Frameworks/{name}.framework/{name}"
_UTF_8: Final = 0x08000100
"""``kCFStringEncodingUTF8``."""
_INT: Final = 9
"""``kCFNumberIntType``."""
_LONGEST_WORDS: Final = 512

_Ref: Final = ctypes.c_void_p
SIGNATURES: Final[Mapping[str, tuple[Any, tuple[Any, ...]]]] = {
    "CFDataCreate": (_Ref, (_Ref, ctypes.c_char_p, ctypes.c_long)),
    "CFDataGetBytePtr": (_Ref, (_Ref,)),
    "CFDataGetLength": (ctypes.c_long, (_Ref,)),
    "CFStringCreateWithCString": (_Ref, (_Ref, ctypes.c_char_p, ctypes.c_uint32)),
    "CFStringGetCString": (ctypes.c_bool, (_Ref, ctypes.c_char_p, ctypes.c_long, ctypes.c_uint32)),
    "CFNumberCreate": (_Ref, (_Ref, ctypes.c_long, _Ref)),
    "CFDictionaryCreate": (_Ref, (_Ref, _Ref, _Ref, ctypes.c_long, _Ref, _Ref)),
    "CFDictionaryGetValue": (_Ref, (_Ref, _Ref)),
    "CFErrorCopyDescription": (_Ref, (_Ref,)),
    "CFRelease": (None, (_Ref,)),
    "SecAccessControlCreateWithFlags": (_Ref, (_Ref, _Ref, ctypes.c_ulong, _Ref)),
    "SecKeyCreateRandomKey": (_Ref, (_Ref, _Ref)),
    "SecKeyCreateWithData": (_Ref, (_Ref, _Ref, _Ref)),
    "SecKeyCopyAttributes": (_Ref, (_Ref,)),
    "SecKeyCopyPublicKey": (_Ref, (_Ref,)),
    "SecKeyCopyExternalRepresentation": (_Ref, (_Ref, _Ref)),
    "SecKeyCreateSignature": (_Ref, (_Ref, _Ref, _Ref, _Ref)),
}
"""What each function returns and takes. Left to themselves, ctypes would cut references to 32 bits."""


class EnclaveError(HostError):
    """The Secure Enclave makes no key, does not sign, or is not there."""

    code: ClassVar[str] = "secureEnclaveFailed"
    remedy: ClassVar[str] = "Look at the system's log; a device whose key does not sign any more is onboarded again."


class Frameworks(Struct, frozen=True, kw_only=True):
    """The two libraries; ``constant`` returns the reference that a name of theirs stands for, ``address`` its place."""

    core: Any
    security: Any
    constant: Callable[[str], int]
    address: Callable[[str], int]


def load() -> Frameworks | None:
    """Open the libraries of this machine; ``None`` where they are not there."""
    try:
        core = ctypes.CDLL(_PLACE.format(name="CoreFoundation"))
        security = ctypes.CDLL(_PLACE.format(name="Security"))
        declare(core, security)
    except (OSError, AttributeError):
        return None

    def library(name: str) -> ctypes.CDLL:
        return core if name.startswith("kCF") else security

    return Frameworks(
        core=core,
        security=security,
        constant=lambda name: ctypes.c_void_p.in_dll(library(name), name).value or 0,
        address=lambda name: ctypes.addressof(ctypes.c_char.in_dll(library(name), name)),
    )


def declare(core: Any, security: Any) -> None:
    """Tell ctypes what the functions take. Raises: AttributeError: There is no such function."""
    for name, (result, takes) in SIGNATURES.items():
        function = getattr(core if name.startswith("CF") else security, name)
        function.restype, function.argtypes = result, takes


class Held(Struct):
    """References that one task made, all let go at its end."""

    frameworks: Frameworks
    _kept: list[int] = field(default_factory=list)

    @property
    def core(self) -> Any:
        """Core Foundation."""
        return self.frameworks.core

    @property
    def security(self) -> Any:
        """The Security framework."""
        return self.frameworks.security

    def constant(self, name: str) -> int:
        """Return what a constant stands for; it is nobody's to let go."""
        return self.frameworks.constant(name)

    def keep(self, reference: int | None, made_by: str) -> int:
        """Hold a reference that is ours. Raises: EnclaveError: There is none."""
        if not reference:
            raise EnclaveError(f"{made_by} gave nothing.")
        self._kept.append(reference)
        return reference

    def call(self, name: str, *arguments: Any) -> int:
        """Call a function of the Security framework whose last argument tells its error. Raises: EnclaveError."""
        error = ctypes.c_void_p()
        reference = getattr(self.security, name)(*arguments, ctypes.byref(error))
        if reference:
            return self.keep(reference, name)
        raise EnclaveError(f"{name}: {self._words(error.value)}")

    def data(self, content: bytes) -> int:
        """Make a CFData."""
        return self.keep(self.core.CFDataCreate(None, content, len(content)), "CFDataCreate")

    def bytes_of(self, data: int) -> bytes:
        """Read a CFData."""
        return ctypes.string_at(self.core.CFDataGetBytePtr(data), self.core.CFDataGetLength(data))

    def text(self, content: str) -> int:
        """Make a CFString."""
        made = self.core.CFStringCreateWithCString(None, content.encode(), _UTF_8)
        return self.keep(made, "CFStringCreateWithCString")

    def number(self, value: int) -> int:
        """Make a CFNumber."""
        held = ctypes.c_int(value)
        return self.keep(self.core.CFNumberCreate(None, _INT, ctypes.byref(held)), "CFNumberCreate")

    def dictionary(self, values: Mapping[str, int], texts: Mapping[str, int] | None = None) -> int:
        """Make a CFDictionary; its keys are constants by name, or texts of their own."""
        keys = [*(self.constant(name) for name in values), *(self.text(each) for each in texts or {})]
        contents = [*values.values(), *(texts or {}).values()]
        array = ctypes.c_void_p * len(keys)
        made = self.core.CFDictionaryCreate(
            None,
            array(*keys),
            array(*contents),
            len(keys),
            self.frameworks.address("kCFTypeDictionaryKeyCallBacks"),
            self.frameworks.address("kCFTypeDictionaryValueCallBacks"),
        )
        return self.keep(made, "CFDictionaryCreate")

    def release(self) -> None:
        """Let go of everything, the last first."""
        while self._kept:
            self.core.CFRelease(self._kept.pop())

    def _words(self, error: int | None) -> str:
        if not error:
            return "it failed without a word."
        self._kept.append(error)
        description = self.core.CFErrorCopyDescription(error)
        if not description:
            return "it failed without a word."
        self._kept.append(description)
        words = ctypes.create_string_buffer(_LONGEST_WORDS)
        self.core.CFStringGetCString(description, words, _LONGEST_WORDS, _UTF_8)
        return words.value.decode(errors="replace")
