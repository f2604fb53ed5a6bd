"""Files that take machines out of management: they carry an offboarding package, and run the agent with it."""

from __future__ import annotations

import base64
from importlib import resources
from types import MappingProxyType
from typing import Final, Literal, TypeAlias, get_args

from shieldwall.trust.offboarding import OffboardingPackage, PackageNotForDeviceError

OffboardingScriptKind: TypeAlias = Literal["linux", "macos", "windows"]
KINDS: Final[tuple[OffboardingScriptKind, ...]] = get_args(OffboardingScriptKind)
_LINE: Final = 76
_TEMPLATES: Final = MappingProxyType(
    {
        "linux": ("offboard_unix.sh", "-d", "\n"),
        "macos": ("offboard_unix.sh", "-D", "\n"),
        "windows": ("offboard_windows.ps1", "", "\r\n"),
    }
)


def make_offboarding_script(kind: OffboardingScriptKind, package: OffboardingPackage, file: bytes) -> str:
    """Write a file of this kind; ``file`` is the package as it is carried to devices, ``package`` what it says.

    Raises:
        PackageNotForDeviceError: The package is not for that platform.
    """
    if kind not in package.platforms:
        raise PackageNotForDeviceError(f"The package is for {', '.join(package.platforms)}, not for {kind}.")
    template, decode, ending = _TEMPLATES[kind]
    text = resources.files("shieldwall.trust").joinpath("scripts", template).read_text("utf-8")
    content = base64.b64encode(file).decode("ascii")
    known = {
        "TENANT": package.tenant_id,
        "PACKAGE": package.package_id,
        "EXPIRES": package.not_after,
        "PLATFORMS": ", ".join(package.platforms),
        "DECODE": decode,
        "CONTENT": "\n".join(content[start : start + _LINE] for start in range(0, len(content), _LINE)),
    }
    for name, value in known.items():
        text = text.replace(f"@{name}@", value)
    return text.replace("\n", ending)
