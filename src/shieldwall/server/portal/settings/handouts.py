"""Files that are handed out on a page, once: they are part of it, and nothing of them stays on the server."""

from __future__ import annotations

import base64
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from shieldwall.contract.messages import Envelope
from shieldwall.contract.strict_json import encode
from shieldwall.server.admin.package_handout import HandedOut
from shieldwall.server.portal.language import marked
from shieldwall.server.portal.settings.ways_in import way_in
from shieldwall.trust.offboarding import OffboardingPackage
from shieldwall.trust.offboarding_scripts import OffboardingScriptKind, make_offboarding_script
from shieldwall.trust.onboarding_scripts import ScriptKind

PACKAGE_FILE: Final = "shieldwall_onboarding.json"
OFFBOARDING_FILE: Final = "shieldwall_offboarding.json"
ONBOARDING_SCRIPTS: Final[Mapping[ScriptKind, tuple[str, str]]] = {
    "linux": ("onboard-linux.sh", marked("Shell script for Linux")),
    "macos": ("onboard-macos.sh", marked("Shell script for macOS")),
    "windows": ("onboard-windows.ps1", marked("PowerShell script for Windows")),
    "ansible": ("onboard-ansible.yml", marked("Ansible playbook")),
    "cloud-init": ("cloud-init.yml", marked("User data of cloud-init")),
}
"""What a script is called as a file, and to people."""
OFFBOARDING_SCRIPTS: Final[Mapping[OffboardingScriptKind, tuple[str, str]]] = {
    "linux": ("offboard-linux.sh", marked("Shell script for Linux")),
    "macos": ("offboard-macos.sh", marked("Shell script for macOS")),
    "windows": ("offboard-windows.ps1", marked("PowerShell script for Windows")),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Handout:
    """A file to save; ``link`` holds all of it, so that no address leads to it again."""

    name: str
    about: str
    link: str


def handed_out(made: HandedOut) -> dict[str, Any]:
    """Return what the page shows of a package that was made: its files, and on each platform the way in."""
    file = encode(made.envelope)
    return {
        "files": [
            _handout(PACKAGE_FILE, marked("The package"), file),
            *(_handout(*ONBOARDING_SCRIPTS[kind], text.encode()) for kind, text in made.scripts.items()),
        ],
        "ways": [way_in(platform, file.decode()) for platform in made.record.platforms],
        "ways_out": [],
        "holds_secret": True,
    }


def offboarding_files(
    envelope: Envelope, said: OffboardingPackage, kinds: Collection[OffboardingScriptKind]
) -> list[Handout]:
    """Return the package and the scripts that carry it. Raises: PackageNotForDeviceError."""
    file = encode(envelope)
    return [
        _handout(OFFBOARDING_FILE, marked("The package"), file),
        *(_handout(*OFFBOARDING_SCRIPTS[kind], make_offboarding_script(kind, said, file).encode()) for kind in kinds),
    ]


def _handout(name: str, about: str, content: bytes) -> Handout:
    link = f"data:application/octet-stream;base64,{base64.b64encode(content).decode('ascii')}"
    return Handout(name=name, about=about, link=link)
