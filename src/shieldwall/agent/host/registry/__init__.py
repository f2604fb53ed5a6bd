"""The Windows registry as documents: a key with all that is below it is one."""

from __future__ import annotations

from shieldwall.agent.host.registry.backend import RegistryBackend
from shieldwall.agent.host.registry.document import decode, encode
from shieldwall.agent.host.registry.model import RegistryValue, Tree, ValueKind
from shieldwall.agent.host.registry.store import MOUNT, RegistryStore, document_path

__all__ = [
    "MOUNT",
    "RegistryBackend",
    "RegistryStore",
    "RegistryValue",
    "Tree",
    "ValueKind",
    "decode",
    "document_path",
    "encode",
]
