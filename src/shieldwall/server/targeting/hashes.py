"""One number for a target: two targets with the same number are the same, as far as anybody can find out.

It is the exclusive or of one keyed code for each thing that a target says, so that one thing more or less is one
operation, on a million devices at once. Without the key nobody can compose policies whose codes cancel each other out;
and because it comes from a secret of the server, and not from chance, numbers mean the same after a restart.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

from shieldwall.contract.messages import ManifestItem
from shieldwall.contract.strict_json import encode
from shieldwall.contract.target import Target

Hash: TypeAlias = npt.NDArray[np.uint64]
"""Two words of 64 bits."""
SECRET_BYTES: Final = 32
_PURPOSE: Final = b"targeting index"
_KEPT: Final = 65_536


class Hasher:
    """Makes the codes of one server."""

    def __init__(self, secret: bytes) -> None:
        self._key: Final = blake2b(secret, digest_size=32, person=_PURPOSE).digest()
        self._item = lru_cache(maxsize=_KEPT)(self._code_of_item)
        self._surroundings = lru_cache(maxsize=_KEPT)(self._code_of)

    def of_item(self, item: ManifestItem) -> Hash:
        """Return the code of one revision of a policy."""
        return self._item(item)

    def of_surroundings(self, target: Target) -> Hash:
        """Return the code of all that a target says beside its items."""
        said = [dict(sorted(target.conflict_rules.items())), target.protection, target.offboard, target.enrollment]
        return self._surroundings(encode(said))

    def of(self, target: Target) -> Hash:
        """Return the number of a target."""
        found = self.of_surroundings(target).copy()
        for item in target.items:
            found ^= self.of_item(item)
        return found

    def _code_of_item(self, item: ManifestItem) -> Hash:
        return self._code_of(encode(item))

    def _code_of(self, said: bytes) -> Hash:
        code = np.frombuffer(blake2b(said, digest_size=16, key=self._key).digest(), np.uint64)
        return code.copy()
