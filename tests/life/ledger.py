"""Who went through what, and where each ended: what the scenario is held to, and what it shows."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table
from tests.support.life import BEFORE, Life, LifeDevice

from shieldwall.contract.ids import SettingId


@dataclass
class Ledger:
    """One line for each kind of life, with the number of devices that lived it."""

    lives: Counter[tuple[str, str]] = field(default_factory=Counter)
    devices: list[LifeDevice] = field(default_factory=list)

    def ended(self, life: str, end: str, *devices: LifeDevice) -> None:
        """Note that devices lived such a life and ended so."""
        self.lives[life, end] += len(devices)
        self.devices += devices

    def show(self) -> None:
        """Print it for people who would rather look."""
        table = Table("Life", "Where it ended", "Devices")
        for (life, end), count in self.lives.items():
            table.add_row(life, end, str(count))
        Console(width=150).print(table)


def is_managed(life: Life, device: LifeDevice, setting: SettingId) -> bool:
    """Whether a device is managed by everybody's word: the server's, the directory's, and its products'."""
    seen = life.managed(device)["shieldwall"]
    in_directory = life.get(f"/v1.0/devices(deviceId='{device.id}')")
    return (
        seen["managedBy"] == "MDE"
        and seen["deviceState"] == "active"
        and seen["upToDate"]
        and in_directory["managementType"] == "MicrosoftSense"
        and in_directory["isManaged"] is True
        and setting in device.products.now
    )


def is_untouched(device: LifeDevice) -> bool:
    """Whether a device's products are as they were before management."""
    return device.products.now == BEFORE
