"""An audit system in memory, the provider that steers it, and settings in few words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any, Final

from tests.support.hardening import catalog
from tests.support.memory_host import MemoryHost
from tests.support.systemd_host import SystemdHost

from shieldwall.agent.host.ports import Completed
from shieldwall.agent.providers.audit import AuditProvider
from shieldwall.agent.providers.audit.profile import Vocabulary
from shieldwall.agent.providers.audit.rendering import RULES
from shieldwall.agent.providers.base import Desired
from shieldwall.contract.ids import SettingId
from shieldwall.policy.values import Item

PROVIDER: Final = AuditProvider(catalog(), python="/usr/bin/python3")
WORDS: Final = Vocabulary.of(catalog())
PREFIX: Final = "linux_shieldwall_audit_"
BEHAVIOR: Final = SettingId("linux_mdatp_managed_antivirusengine_behaviormonitoring")
EXCLUSIONS: Final = SettingId("linux_mdatp_managed_exclusionsettings_exclusions")


def name(part: str) -> SettingId:
    return SettingId(PREFIX + part.lower())


def choices(**parts: str) -> Desired:
    return {name(part): f"{name(part)}_{word}" for part, word in parts.items()}


def watch(path: str, *uses: str, key: str | None = None) -> Item:
    item = name("watches_item")
    members: dict[SettingId, Any] = {
        SettingId(f"{item}_path"): path,
        SettingId(f"{item}_permissions"): tuple(f"{item}_permissions_{use}" for use in uses),
    }
    if key is not None:
        members[SettingId(f"{item}_key")] = key
    return Item(tuple(sorted(members.items())))


def excluded_path(path: str, *, directory: bool) -> Item:
    item = f"{EXCLUSIONS}_item_"
    return Item(
        tuple(
            sorted(
                {
                    SettingId(f"{item}$type"): f"{item}$type_0",
                    SettingId(f"{item}isdirectory"): f"{item}isdirectory_{str(directory).lower()}",
                    SettingId(f"{item}path"): path,
                }.items()
            )
        )
    )


def excluded_program(program: str) -> Item:
    item = f"{EXCLUSIONS}_item_"
    return Item(((SettingId(f"{item}$type"), f"{item}$type_1"), (SettingId(f"{item}name"), program)))


ON: Final = choices(enabled="true")


def rules(desired: Desired, kept: Mapping[str, Any] | None = None) -> list[str]:
    content = PROVIDER.render({}, desired, kept or {}).files[RULES] or b""
    return [line for line in content.decode().splitlines() if not line.startswith("#")]


class Kernel:
    """An audit system in memory: rules by their lines, values by their options."""

    def __init__(self, *, enabled: str = "0", foreign: Sequence[str] = (), refuses: str = "") -> None:
        self.values = {"enabled": enabled, "failure": "1", "pid": "0", "rate_limit": "0", "backlog_limit": "64"}
        self.values |= {"lost": "0", "backlog_wait_time": "15000", "loginuid_immutable": "0 unlocked"}
        self.rules = list(foreign)
        self.refuses = refuses
        self.overhears: Counter[str] = Counter()
        """How many times yet nothing is deleted of a key, though auditctl says so: the list of rules came too late."""
        self.read: Callable[[str], bytes | None] = lambda _path: None
        self.takes: Callable[[str], bool] = lambda _rule: True
        """Whether a rule is taken: one about a directory that is not there is not."""

    def __call__(self, words: Sequence[str], _stdin: bytes) -> Completed:
        if self.refuses:
            return Completed(returncode=1, stdout=b"", stderr=f"Error - {self.refuses}\n".encode())
        match words:
            case ["-s"]:
                said = "".join(f"{name} {value}\n" for name, value in self.values.items())
                return Completed(returncode=0, stdout=said.encode(), stderr=b"")
            case ["-l"]:
                said = "\n".join(self.rules) or "No rules"
                return Completed(returncode=0, stdout=f"{said}\n".encode(), stderr=b"")
            case _ if self.values["enabled"] == "2":
                return Completed(returncode=1, stdout=b"", stderr=b"The audit system is in immutable mode")
            case ["-R", path]:
                for line in (self.read(path) or b"").decode().splitlines():
                    self.take(line.split())
            case ["-D", "-k", key] if self.overhears[key]:
                self.overhears[key] -= 1
            case ["-D", "-k", key]:
                self.rules = [rule for rule in self.rules if not rule.endswith((f"key={key}", f"-k {key}"))]
            case _:
                self.take(list(words))
        return Completed(returncode=0, stdout=b"", stderr=b"")

    def take(self, words: list[str]) -> None:
        options = {"-b": "backlog_limit", "--backlog_wait_time": "backlog_wait_time", "-r": "rate_limit"}
        options |= {"-f": "failure", "-e": "enabled"}
        match words:
            case ["-a", *_]:
                self.rules += filter(self.takes, [" ".join(words)])
            case ["--loginuid-immutable"]:
                self.values["loginuid_immutable"] = "1 locked"
            case [option, value] if option in options:
                self.values[options[option]] = value
            case _:
                assert words[:1] in ([], ["-c"], ["##"]), words


def a_host(kernel: Kernel, *, systemd: bool = True, files: Mapping[PurePosixPath, bytes] | None = None) -> MemoryHost:
    kind = SystemdHost if systemd else MemoryHost
    host = kind(dict(files or {}), programs={"auditctl": kernel})
    kernel.read = lambda path: host.files.get(RULES) if path.endswith(RULES.name) else None
    return host
