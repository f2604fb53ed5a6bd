"""The commands that bring a machine in and take it out again, to be copied: one way for each platform. Pure.

What stands between the quotes is the package as it was made, one line of JSON that holds neither a quotation mark of
these shells nor a line break, so that pasting it says nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_AGENT_WINDOWS: Final = '& "$env:ProgramFiles\\Shieldwall\\shieldwall-agent.cmd"'
_NAMES: Final[Mapping[str, str]] = {"linux": "Linux", "macos": "macOS", "windows": "Windows"}
_INSTALL: Final[Mapping[str, str]] = {
    "linux": "sudo apt install ./shieldwall-agent_*_amd64.deb     # Debian, Ubuntu\n"
    "sudo dnf install ./shieldwall-agent-*.x86_64.rpm    # Fedora, RHEL",
    "macos": "sudo installer -pkg shieldwall-agent.pkg -target /",
    "windows": "msiexec /i shieldwall-agent.msi",
}
_ONBOARD: Final[Mapping[str, str]] = {
    "linux": "sudo shieldwall-agent onboard shieldwall_onboarding.json --wait",
    "macos": "sudo shieldwall-agent onboard shieldwall_onboarding.json --wait",
    "windows": f"{_AGENT_WINDOWS} onboard shieldwall_onboarding.json --wait",
}
_LOOK: Final[Mapping[str, str]] = {
    "linux": "sudo shieldwall-agent status",
    "macos": "sudo shieldwall-agent status",
    "windows": f"{_AGENT_WINDOWS} status",
}
_LEAVE: Final[Mapping[str, str]] = {
    "linux": "sudo shieldwall-agent offboard --package shieldwall_offboarding.json",
    "macos": "sudo shieldwall-agent offboard --package shieldwall_offboarding.json",
    "windows": f"{_AGENT_WINDOWS} offboard --package shieldwall_offboarding.json",
}
_PASTE_UNIX: Final = """\
sudo sh -c 'umask 077; cat > /root/shieldwall_onboarding.json' <<'PACKAGE'
@FILE@
PACKAGE
sudo shieldwall-agent onboard /root/shieldwall_onboarding.json --wait && sudo rm /root/shieldwall_onboarding.json"""
_PASTE: Final[Mapping[str, str]] = {
    "linux": _PASTE_UNIX,
    "macos": _PASTE_UNIX.replace("/root/", "/var/root/"),
    "windows": """\
$file = Join-Path $env:ProgramData 'shieldwall_onboarding.json'
New-Item -ItemType File -Force -Path $file | Out-Null
icacls.exe $file /inheritance:r /grant:r '*S-1-5-32-544:F' '*S-1-5-18:F' | Out-Null
[IO.File]::WriteAllText($file, '@FILE@')
@AGENT@ onboard $file --wait
if ($LASTEXITCODE -eq 0) { Remove-Item -LiteralPath $file }""".replace("@AGENT@", _AGENT_WINDOWS),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How a machine of one platform comes in: install the agent, onboard it, look.

    ``paste`` brings the package along; it is there only where its file is at hand. ``onboard`` reads the file.
    """

    platform: str
    name: str
    install: str
    onboard: str
    paste: str
    look: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WayOut:
    """How a machine of one platform leaves with an offboarding package."""

    name: str
    leave: str


def way_in(platform: str, file: str = "") -> Way:
    """Return the way in for a platform; with the package's file also what brings it along."""
    is_plain = bool(file) and "'" not in file and "\n" not in file
    return Way(
        platform=platform,
        name=_NAMES[platform],
        install=_INSTALL[platform],
        onboard=_ONBOARD[platform],
        paste=_PASTE[platform].replace("@FILE@", file) if is_plain else "",
        look=_LOOK[platform],
    )


def way_out(platform: str) -> WayOut:
    """Return the way out for a platform."""
    return WayOut(name=_NAMES[platform], leave=_LEAVE[platform])
