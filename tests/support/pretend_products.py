"""A device with pretend products: real files and a component that loads them, all in memory, that fails on demand."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Final

from tests.support.policies import catalog
from tests.support.samples import HandClock

from shieldwall.agent.applier.engine import Applier
from shieldwall.agent.applier.state import State
from shieldwall.agent.applier.store import Store
from shieldwall.agent.applier.uptime import Moment
from shieldwall.agent.host.ports import Completed, Host
from shieldwall.agent.providers.base import Desired, Files, Kept, Observation, ProviderError, Rendered, Support
from shieldwall.catalog.model import Catalog
from shieldwall.contract.ids import SettingId
from shieldwall.contract.status import ItemStatus, SettingState
from shieldwall.policy.values import Item, SettingValue

_MARK: Final = b"#managed "


class Killed(BaseException):
    """The process is gone. Nothing but a test catches this."""


class PretendProvider:
    """Appends one managed line per setting to each of its files; every other line belongs to somebody else."""

    def __init__(self, name: str, settings: Sequence[SettingId], files: int = 2) -> None:
        self._name = name
        self._settings = frozenset(settings)
        self._files = tuple(PurePosixPath(f"/etc/{name}/{number}.conf") for number in range(files))
        self.installed = True
        self.deaf = False
        """Activates without complaint and does nothing."""
        self.rejected: Mapping[SettingId, tuple[ItemStatus, ...]] = {}
        self.render_error: Exception | None = None
        self.support_error: Exception | None = None
        self.misreads = False

    @property
    def name(self) -> str:
        return self._name

    def product_version(self, host: Host) -> str | None:
        del host
        return "1.0" if self.installed else None

    def support(self, host: Host, setting: SettingId) -> Support | None:
        del host
        if setting not in self._settings:
            return None
        if self.support_error:
            raise self.support_error
        return Support(applicable=self.installed, reason="" if self.installed else f"{self._name} is not installed.")

    def files(self) -> tuple[PurePosixPath, ...]:
        return self._files

    def render(self, files: Files, desired: Desired, kept: Kept) -> Rendered:
        if self.render_error:
            raise self.render_error
        absent = kept.get("absent", [str(path) for path in self._files if files.get(path) is None] if desired else [])
        contents: dict[PurePosixPath, bytes | None] = {}
        for path in self._files:
            others = [line for line in (files.get(path) or b"").splitlines(keepends=True) if _MARK not in line]
            ours = [
                _MARK + base64.b64encode(json.dumps([name, _plain(value)]).encode()) + b"\n"
                for name, value in sorted(desired.items())
                if name not in self.rejected
            ]
            content = b"".join([*others, *ours])
            was_absent = str(path) in absent or files.get(path) is None
            contents[path] = None if not content and was_absent and not desired else content
        kept = {"absent": absent} if desired else {}
        return Rendered(files=contents, kept=kept, rejected={k: v for k, v in self.rejected.items() if k in desired})

    def read(self, files: Files) -> Desired:
        if self.misreads:
            return {}
        found = [dict(read_lines(files.get(path))) for path in self._files]
        return {name: value for name, value in found[0].items() if all(other.get(name) == value for other in found)}

    def activate(self, host: Host) -> None:
        completed = host.run(["load", self._name])
        if completed.returncode:
            raise ProviderError(f"{self._name} refused to load.")

    def observe(self, host: Host, desired: Desired) -> Mapping[SettingId, Observation]:
        loaded = host.run(["show", self._name]).stdout
        running = dict(read_lines(loaded))
        return {
            name: Observation(effective=True)
            if running.get(name) == value
            else Observation(effective=False, code="notLoaded", reason="Not loaded.")
            for name, value in desired.items()
        }


class RiskyProvider(PretendProvider):
    """A product whose every change may cut the device off."""

    def may_cut_off(self, before: Files, after: Files) -> bool:
        return any(before.get(path) != after.get(path) for path in self.files())

    def activate(self, host: Host) -> None:
        """Hand the content over, as nft is handed a script."""
        completed = host.run(["take", self.name], stdin=host.read_file(self.files()[0]) or b"")
        if completed.returncode:
            raise ProviderError(f"{self.name} refused to load.")


@dataclass(kw_only=True)
class HandUptime:
    """Boots and seconds that only pass when a test says so."""

    boot: str = "boot-1"
    seconds: float = 1000.0

    def now(self) -> Moment:
        return Moment(boot=self.boot, seconds=self.seconds)

    def pass_by(self, seconds: float) -> None:
        self.seconds += seconds

    def reboot(self, *, seconds: float = 20.0) -> None:
        self.boot = f"boot-{int(self.boot.partition('-')[2]) + 1}"
        self.seconds = seconds


@dataclass(kw_only=True)
class PretendDevice:
    """A host in memory with programs that load and show, a real store on disk, and a count of every step taken.

    ``fault`` is called with the name of each step before it happens; whatever changes something is a step.
    """

    directory: Path
    providers: Sequence[PretendProvider]
    files: dict[PurePosixPath, bytes] = field(default_factory=dict)
    loaded: dict[str, bytes] = field(default_factory=dict)
    refusing: set[str] = field(default_factory=set)
    """Components that refuse to load."""
    steps: list[str] = field(default_factory=list)
    fault: Callable[[str, int], None] = lambda _step, _number: None
    catalog: Catalog = field(default_factory=catalog)
    uptime: HandUptime = field(default_factory=HandUptime)

    def root(self) -> Path:
        return self.directory

    def applier(self) -> Applier:
        return Applier(
            host=PretendHost(self),
            store=FaultyStore(self),
            providers=self.providers,
            platform="linux",
            catalog=self.catalog,
            clock=HandClock(),
            uptime=self.uptime,
        )

    def step(self, name: str) -> None:
        self.steps.append(name)
        self.fault(name, len(self.steps) - 1)

    def no_more_faults(self) -> None:
        self.fault = lambda _step, _number: None
        self.steps.clear()


class PretendHost:
    def __init__(self, device: PretendDevice) -> None:
        self._device = device

    @property
    def root(self) -> Path:
        return self._device.directory

    def locate(self, path: PurePosixPath) -> Path:
        return self._device.directory.joinpath(*path.parts[1:])

    def read_file(self, path: PurePosixPath) -> bytes | None:
        return self._device.files.get(path)

    def write_file(self, path: PurePosixPath, content: bytes | None, *, mode: int = 0o644) -> None:
        del mode
        self._device.step(f"write {path}")
        if content is None:
            self._device.files.pop(path, None)
        else:
            self._device.files[path] = content

    def find_program(self, name: str) -> str | None:
        return f"/usr/bin/{name}"

    def run(self, command: Sequence[str], *, stdin: bytes = b"", timeout_seconds: float = 30.0) -> Completed:
        del timeout_seconds
        verb, name = command
        provider = next(provider for provider in self._device.providers if provider.name == name)
        if verb == "show":
            return Completed(returncode=0, stdout=self._device.loaded.get(name, b""), stderr=b"")
        self._device.step(f"load {name}")
        if name in self._device.refusing:
            return Completed(returncode=1, stdout=b"", stderr=b"no")
        if not provider.deaf:
            content = self._device.files.get(provider.files()[0], b"")
            self._device.loaded[name] = stdin if verb == "take" else content
        return Completed(returncode=0, stdout=b"", stderr=b"")


class FaultyStore(Store):
    """The real store; a fault may come before a save and, as a process may be killed there too, right after it."""

    def __init__(self, device: PretendDevice) -> None:
        super().__init__(device.directory)
        self._device = device

    def save(self, state: State) -> None:
        self._device.step("before save")
        super().save(state)
        self._device.step("saved")


def rejection(code: str, state: SettingState = SettingState.ERROR) -> tuple[ItemStatus, ...]:
    return (ItemStatus(item="an item", state=state, code=code, reason="No."),)


def read_lines(content: bytes | None) -> list[tuple[SettingId, SettingValue]]:
    marked = [line for line in (content or b"").splitlines() if line.startswith(_MARK)]
    pairs = [json.loads(base64.b64decode(line.removeprefix(_MARK))) for line in marked]
    return [(SettingId(name), _value(plain)) for name, plain in pairs]


def _plain(value: SettingValue) -> Any:
    match value:
        case Item(members=members):
            return {name: _plain(member) for name, member in members}
        case tuple():
            return [_plain(part) for part in value]
        case _:
            return value


def _value(plain: Any) -> Any:
    match plain:
        case dict():
            return Item(tuple((SettingId(name), _value(member)) for name, member in plain.items()))
        case list():
            return tuple(_value(part) for part in plain)
        case _:
            return plain
