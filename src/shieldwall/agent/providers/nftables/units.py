"""Units of systemd as plain files: the table before the network, and the program that writes the logs. Pure.

Neither unit is enabled by links. A file beside a target says that the target wants it, so it is undone like any file.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Final

from shieldwall.agent.providers.nftables.lines import Table
from shieldwall.agent.providers.nftables.stops import GROUPS
from shieldwall.agent.providers.nftables.zones import ZONES, Profile

SCRIPT: Final = PurePosixPath("/etc/shieldwall/nftables.conf")
BOOT_SCRIPT: Final = PurePosixPath("/etc/shieldwall/nftables-boot.conf")
_UNITS: Final = PurePosixPath("/etc/systemd/system")
BOOT: Final = "shieldwall-firewall.service"
LOG: Final = "shieldwall-firewall-log.service"
BOOT_UNIT: Final = _UNITS / BOOT
LOG_UNIT: Final = _UNITS / LOG
BOOT_WANTED: Final = _UNITS / "sysinit.target.d" / "shieldwall-firewall.conf"
LOG_WANTED: Final = _UNITS / "multi-user.target.d" / "shieldwall-firewall-log.conf"
LOG_DIRECTORY: Final = PurePosixPath("/var/log/shieldwall")
LOG_FILES: Final = tuple(
    LOG_DIRECTORY / f"firewall-{zone}.log{older}" for zone in sorted(ZONES) for older in ("", ".1")
)
"""All that the program that writes the logs ever makes."""

_BOOT_UNIT: Final = f"""\
# Written by Shieldwall; a change made here is put back.
[Unit]
Description=Shieldwall firewall, loaded before the network comes up
Documentation=man:nft(8)
DefaultDependencies=no
RequiresMountsFor={BOOT_SCRIPT.parent}
# Debian's own unit flushes every table there is when it starts.
After=nftables.service
Wants=network-pre.target
Before=network-pre.target shutdown.target
Conflicts=shutdown.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/sbin/nft -f {BOOT_SCRIPT}
CapabilityBoundingSet=CAP_NET_ADMIN CAP_DAC_READ_SEARCH
NoNewPrivileges=yes
ProtectSystem=strict
ProtectHome=yes
"""
_LOG_UNIT: Final = """\
# Written by Shieldwall; a change made here is put back.
[Unit]
Description=Shieldwall firewall log
After=local-fs.target

[Service]
ExecStart={command}
Restart=always
RestartSec=2
LogsDirectory=shieldwall
UMask=0027
CapabilityBoundingSet=CAP_NET_ADMIN
RestrictAddressFamilies=AF_NETLINK AF_UNIX
NoNewPrivileges=yes
PrivateDevices=yes
PrivateTmp=yes
ProtectHome=yes
ProtectKernelTunables=yes
ProtectSystem=strict
MemoryDenyWriteExecute=yes
SystemCallArchitectures=native
MemoryMax=128M
"""
_WANTED: Final = """\
# Written by Shieldwall; a change made here is put back.
[Unit]
Wants={unit}
"""


def log_command(python: str, profile: Profile) -> str:
    """Return the command that writes the logs: each zone's group, and how large its file may become in KiB."""
    zones = " ".join(f"{zone}:{GROUPS[zone]}:{profile.zone(zone).log_kib}" for zone in sorted(ZONES))
    return f"{python} -I -m shieldwall.agent.firewall_log {LOG_DIRECTORY} {SCRIPT} {zones}"


def unit_files(profile: Profile, table: Table, *, boot_script: bytes, python: str) -> Mapping[PurePosixPath, bytes]:
    """Write the units that the profile needs."""
    files: dict[PurePosixPath, bytes] = {}
    if profile.load_at_boot:
        files[BOOT_SCRIPT] = boot_script
        files[BOOT_UNIT] = _BOOT_UNIT.encode()
        files[BOOT_WANTED] = _WANTED.format(unit=BOOT).encode()
    if any(line.log for line in table.lines):
        files[LOG_UNIT] = _LOG_UNIT.format(command=log_command(python, profile)).encode()
        files[LOG_WANTED] = _WANTED.format(unit=LOG).encode()
    return files


UNIT_FILES: Final = (BOOT_UNIT, BOOT_WANTED, LOG_UNIT, LOG_WANTED)
"""The files that systemd reads."""
ALL_FILES: Final = (SCRIPT, BOOT_SCRIPT, *UNIT_FILES)
"""Every file that the provider ever writes."""
