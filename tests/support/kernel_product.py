"""A product with real files and a runtime of its own that outlives the process that steers it, as the kernel does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tests.support.pretend_products import RiskyProvider, read_lines

from shieldwall.agent.host.ports import Host
from shieldwall.agent.providers.base import Desired, Files, Observation
from shieldwall.contract.ids import SettingId


class KernelProduct(RiskyProvider):
    """Loads its first file into a runtime at ``/runtime/<name>``, which a boot would empty; any change may cut off."""

    def __init__(self, name: str, settings: Sequence[SettingId], *, risky: bool) -> None:
        super().__init__(name, settings)
        self.risky = risky

    def may_cut_off(self, before: Files, after: Files) -> bool:
        return self.risky and before != after

    def activate(self, host: Host) -> None:
        content = host.read_file(self.files()[0])
        runtime = host.root / "runtime" / self.name
        runtime.parent.mkdir(exist_ok=True)
        loading = runtime.with_suffix(".loading")
        loading.write_bytes(content or b"")
        loading.rename(runtime)  # a transaction of the kernel: never half

    def observe(self, host: Host, desired: Desired) -> Mapping[SettingId, Observation]:
        running = dict(read_lines(self.running(host)))
        return {name: Observation(effective=running.get(name) == value) for name, value in desired.items()}

    def running(self, host: Host) -> bytes:
        """Return what is loaded."""
        runtime = host.root / "runtime" / self.name
        return runtime.read_bytes() if runtime.exists() else b""

    def is_in_step(self, host: Host) -> bool:
        """Say whether what runs is what the file says."""
        return self.running(host) == (host.read_file(self.files()[0]) or b"")
