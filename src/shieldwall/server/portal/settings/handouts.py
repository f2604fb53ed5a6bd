"""Files that are handed out on a page, once: they are part of it, and nothing of them stays on the server."""

from __future__ import annotations

import base64
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from shieldwall.contract.messages import Envelope
from shieldwall.contract.strict_json import encode
from shieldwall.trust.offboarding import OffboardingPackage
from shieldwall.trust.offboarding_scripts import OffboardingScriptKind, make_offboarding_script
from shieldwall.trust.onboarding_scripts import ScriptKind

ONBOARDING_SCRIPTS: Final[Mapping[ScriptKind, tuple[str, str]]] = {
    "linux": ("onboard-linux.sh", "Shell script for Linux"),
    "macos": ("onboard-macos.sh", "Shell script for macOS"),
    "windows": ("onboard-windows.ps1", "PowerShell script for Windows"),
    "ansible": ("onboard-ansible.yml", "Ansible playbook"),
    "cloud-init": ("cloud-init.yml", "User data of cloud-init"),
}
"""What a script is called as a file, and to people."""
_OFFBOARDING_NAMES: Final[Mapping[OffboardingScriptKind, str]] = {
    "linux": "offboard-linux.sh",
    "macos": "offboard-macos.sh",
    "windows": "offboard-windows.ps1",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Handout:
    """A file to save; ``link`` holds all of it, so that no address leads to it again."""

    name: str
    about: str
    link: str


def onboarding_files(envelope: Envelope, scripts: Mapping[ScriptKind, str]) -> list[Handout]:
    """Return the package and the scripts made of it."""
    package = _handout("shieldwall_onboarding.json", "The package", encode(envelope))
    return [package, *(_handout(*ONBOARDING_SCRIPTS[kind], text.encode()) for kind, text in scripts.items())]


def offboarding_files(
    envelope: Envelope, said: OffboardingPackage, kinds: Collection[OffboardingScriptKind]
) -> list[Handout]:
    """Return the package and the scripts that carry it. Raises: PackageNotForDeviceError."""
    file = encode(envelope)
    return [
        _handout("shieldwall_offboarding.json", "The package", file),
        *(
            _handout(_OFFBOARDING_NAMES[kind], "Script", make_offboarding_script(kind, said, file).encode())
            for kind in kinds
        ),
    ]


def _handout(name: str, about: str, content: bytes) -> Handout:
    link = f"data:application/octet-stream;base64,{base64.b64encode(content).decode('ascii')}"
    return Handout(name=name, about=about, link=link)
