"""Files that onboard machines, made from an onboarding package: shell, PowerShell, an Ansible playbook, cloud-init.

Each places the package so that its owner alone may read it, runs the agent, and may run again. None fetches anything
unless whoever runs it says from where. What stands in them of the package is base64, ids and times: nobody's text.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from importlib import resources
from typing import Final, Literal, TypeAlias, get_args

from shieldwall.contract.errors import ShieldwallError
from shieldwall.trust.onboarding import OnboardingPackage

ScriptKind: TypeAlias = Literal["linux", "macos", "windows", "ansible", "cloud-init"]
KINDS: Final[tuple[ScriptKind, ...]] = get_args(ScriptKind)
_LINE: Final = 76
_START: Final = {
    "linux": """\
if [ -z "$root" ] && command -v systemctl > /dev/null 2>&1 && systemctl cat shieldwall-agent > /dev/null 2>&1; then
    systemctl enable --now shieldwall-agent
else
    echo "Start the agent with your service manager: shieldwall-agent run"
fi""",
    "macos": """\
service=$root/Library/LaunchDaemons/shieldwall-agent.plist
if [ -z "$root" ] && [ -f "$service" ]; then
    launchctl bootstrap system "$service" 2> /dev/null || launchctl kickstart system/shieldwall-agent
else
    echo "Start the agent with your service manager: shieldwall-agent run"
fi""",
}
_DECODE: Final = {"linux": "-d", "macos": "-D"}
_PLATFORM: Final[Mapping[ScriptKind, str]] = {
    "linux": "linux",
    "macos": "macos",
    "windows": "windows",
    "ansible": "linux",
    "cloud-init": "linux",
}


class ScriptPlatformError(ShieldwallError):
    """The package does not let in what this kind of file is for."""

    code = "scriptPlatform"
    remedy = "Make a package that allows the platform, or choose another kind of file."


def make_script(kind: ScriptKind, package: OnboardingPackage, file: bytes) -> str:
    """Write a file of this kind; ``file`` is the package as devices are given it, ``package`` what it says.

    Raises:
        ScriptPlatformError: The package is not for that platform.
    """
    if _PLATFORM[kind] not in package.allowed_platforms:
        raise ScriptPlatformError(f"The package is not for {_PLATFORM[kind]}, which {kind} is for.")
    return _MAKERS[kind](package, file)


def _unix(platform: str) -> Callable[[OnboardingPackage, bytes], str]:
    def make(package: OnboardingPackage, file: bytes) -> str:
        parts = {"DECODE": _DECODE[platform], "START": _START[platform], "CONTENT": "\n".join(_lines(file))}
        return _filled("unix.sh", package, parts)

    return make


def _windows(package: OnboardingPackage, file: bytes) -> str:
    return _filled("windows.ps1", package, {"CONTENT": "\n".join(_lines(file))}).replace("\n", "\r\n")


def _ansible(package: OnboardingPackage, file: bytes) -> str:
    return _filled("ansible.yml", package, {"INDENTED": _indented(file)})


def _cloud_init(package: OnboardingPackage, file: bytes) -> str:
    return _filled("cloud_init.yml", package, {"INDENTED": _indented(_unix("linux")(package, file).encode())})


_MAKERS: Final[Mapping[ScriptKind, Callable[[OnboardingPackage, bytes], str]]] = {
    "linux": _unix("linux"),
    "macos": _unix("macos"),
    "windows": _windows,
    "ansible": _ansible,
    "cloud-init": _cloud_init,
}


def _filled(template: str, package: OnboardingPackage, parts: Mapping[str, str]) -> str:
    text = resources.files("shieldwall.trust").joinpath("scripts", template).read_text("utf-8")
    known = {
        "TENANT": package.tenant_id,
        "PACKAGE": package.package_id,
        "EXPIRES": package.not_after,
        "PLATFORMS": ", ".join(package.allowed_platforms),
    }
    for name, value in {**known, **parts}.items():
        text = text.replace(f"@{name}@", value)
    return text


def _lines(content: bytes) -> list[str]:
    text = base64.b64encode(content).decode("ascii")
    return [text[start : start + _LINE] for start in range(0, len(text), _LINE)]


def _indented(content: bytes) -> str:
    return "\n".join(f"      {line}" for line in _lines(content))
