"""What this machine says about itself. A fact that cannot be read is left out; none of them is worth failing for."""

from __future__ import annotations

import hashlib
import hmac
import re
import shlex
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Final

from shieldwall.agent.host.errors import HostError
from shieldwall.agent.host.ports import Host
from shieldwall.agent.host.running_system import processor
from shieldwall.contract.ids import Digest, TenantId
from shieldwall.contract.messages import DeviceFacts, HardwareIds

_LONGEST: Final = 256
_OS_RELEASE: Final = (PurePosixPath("/etc/os-release"), PurePosixPath("/usr/lib/os-release"))
_DMI: Final = PurePosixPath("/sys/class/dmi/id")
_MACHINE_ID: Final = re.compile(r"[0-9a-f]{32}\Z")
_SMBIOS_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")
_MEANINGLESS_UUIDS: Final = frozenset(
    {
        "00000000-0000-0000-0000-000000000000",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
        "03000200-0400-0500-0006-000700080009",  # what makers of boards leave in by default
    }
)


def device_facts(
    host: Host,
    *,
    agent_version: str,
    catalog_version: str,
    providers: Mapping[str, str],
) -> DeviceFacts:
    """Gather the facts that a check-in reports; what the survey finds is not among them."""
    system = os_release(host)
    version = " ".join(filter(None, (system.get("NAME", "Linux"), system.get("VERSION_ID", ""))))
    return DeviceFacts(
        display_name=host_name(host)[:_LONGEST],
        os_type="Linux",
        os_version=version[:_LONGEST],
        architecture=processor()[:_LONGEST],
        # A machine without DMI (many virtual ones have none, or no board_vendor) is as good as any other.
        manufacturer=(_line(host, _DMI / "sys_vendor") or _line(host, _DMI / "board_vendor"))[:_LONGEST],
        model=_line(host, _DMI / "product_name")[:_LONGEST],
        agent_version=agent_version,
        catalog_version=catalog_version,
        providers=dict(sorted(providers.items())),
        is_rooted=False,  # a word about phones: nobody has to break into a computer to be its root
    )


def hardware_ids(host: Host, tenant_id: TenantId) -> HardwareIds:
    """Name the machine by hashes that mean nothing to another tenant and do not give the ids away."""
    machine_id = _line(host, PurePosixPath("/etc/machine-id"))
    return hashed_ids(tenant_id, machine_id=machine_id, smbios_uuid=_line(host, _DMI / "product_uuid").lower())


def hashed_ids(tenant_id: TenantId, *, machine_id: str, smbios_uuid: str) -> HardwareIds:
    """Hash ids of the machine for one tenant; one that says nothing is left out. Pure."""
    known = _SMBIOS_UUID.match(smbios_uuid) and smbios_uuid not in _MEANINGLESS_UUIDS
    return HardwareIds(
        machine_id_hash=_hash(tenant_id, "machine-id", machine_id) if _MACHINE_ID.match(machine_id) else None,
        smbios_uuid_hash=_hash(tenant_id, "smbios-uuid", smbios_uuid) if known else None,
    )


def boot_id(host: Host) -> str:
    """Return the id of this boot, empty where the kernel tells none."""
    return _line(host, PurePosixPath("/proc/sys/kernel/random/boot_id"))[:_LONGEST]


def uptime(host: Host) -> float:
    """Return the seconds since the boot, 0 where the kernel does not tell."""
    try:
        return float(_line(host, PurePosixPath("/proc/uptime")).partition(" ")[0])
    except ValueError:
        return 0.0


def host_name(host: Host) -> str:
    """Return the name of the machine: the one in use, else the one configured, else ``localhost``."""
    running = _line(host, PurePosixPath("/proc/sys/kernel/hostname"))
    return running or _line(host, PurePosixPath("/etc/hostname")) or "localhost"


def os_release(host: Host) -> Mapping[str, str]:
    """Read os-release(5): the first of its two places that is there."""
    text = next(filter(None, (read_text(host, path) for path in _OS_RELEASE)), "")
    found: dict[str, str] = {}
    for line in text.splitlines():
        name, separator, quoted = line.strip().partition("=")
        if separator and not name.startswith("#"):
            try:
                found[name] = " ".join(shlex.split(quoted))
            except ValueError:  # an unbalanced quotation mark spoils that line alone
                continue
    return found


def _hash(tenant_id: TenantId, kind: str, value: str) -> Digest:
    return Digest(hmac.new(tenant_id.encode(), f"shieldwall {kind} {value}".encode(), hashlib.sha256).hexdigest())


def _line(host: Host, path: PurePosixPath) -> str:
    return next(iter(read_text(host, path).splitlines()), "").strip()


def read_text(host: Host, path: PurePosixPath) -> str:
    """Read a file as text, empty where it is not there or cannot be read."""
    try:
        content = host.read_file(path)
    except HostError:
        return ""
    return (content or b"").decode("utf-8", errors="replace").replace("\0", "")
