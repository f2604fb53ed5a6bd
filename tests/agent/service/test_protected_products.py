"""Protection and the way out with the real applier and the real providers: files of products, byte for byte."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import cast

import pytest
from msgspec.structs import replace
from tests.agent.service.test_loop import HandPause
from tests.agent.service.test_protection import told
from tests.support.policies import ANTIVIRUS, EXCLUSIONS, LEVEL, catalog, choice, document, excluded_path, items
from tests.support.simulated_agent import MemoryEnforcer, SimulatedAgent
from tests.support.simulated_gateway import TENANT, SimulatedGateway

from shieldwall.agent.applier.engine import Applier
from shieldwall.agent.applier.store import Store
from shieldwall.agent.host.local import LocalHost
from shieldwall.agent.providers.clamav import ClamavProvider
from shieldwall.agent.providers.clamav.provider import CONFIGURATION
from shieldwall.agent.providers.mdatp import MdatpProvider
from shieldwall.agent.providers.mdatp.provider import MANAGED
from shieldwall.agent.service.loop import Loop
from shieldwall.contract.settings import PolicyDocument
from shieldwall.testing.mdatp import PretendMdatp

MERGE = "linux_mdatp_managed_antivirusengine_exclusionsmergepolicy"
ODD_JSON = b'{ "own":\t[1,2 ],\n  "antivirusEngine" : {"exclusions": [] } }'
CLAMD = b"LocalSocket /run/clamav/clamd.ctl\n# mine\nExcludePath ^/before$\n\nScanArchive  no"


@dataclass
class Products:
    """A device with Defender and ClamAV below a directory."""

    laptop: SimulatedAgent
    host: LocalHost

    def read(self, path: PurePosixPath) -> bytes:
        return self.host.read_file(path) or b""


def admin_only() -> PolicyDocument:
    """Exclusions of the administrator alone count; one path is excluded."""
    option = next(each.item_id for each in catalog().definitions[MERGE].options if each.value == "admin_only")  # type: ignore[index]
    merge = choice(MERGE, option.removeprefix(MERGE))
    made = document(1, choice(LEVEL, "_0"), merge, items(EXCLUSIONS, excluded_path("/srv/data")))
    return replace(made, tenant_id=TENANT, template_id=ANTIVIRUS)


@pytest.fixture
def products(laptop: SimulatedAgent, gateway: SimulatedGateway, tmp_path: Path) -> Products:
    root = tmp_path / "root"
    program = PretendMdatp(root=root).install("program")
    host = LocalHost(root, program_directories=[program.parent])
    host.write_file(MANAGED, ODD_JSON)
    host.write_file(CONFIGURATION, CLAMD)
    applier = Applier(
        host=host,
        store=Store(laptop.directory / "applier"),
        providers=(MdatpProvider(catalog()), ClamavProvider(catalog())),
        catalog=catalog(),
        platform="linux",
        clock=laptop.clock,
    )
    laptop.enforcer = cast("MemoryEnforcer", applier)
    laptop.onboard()
    gateway.protect()
    gateway.assign(gateway.publish(admin_only()))
    laptop.check_in()
    laptop.enrolled().enforcement.refresh()
    made = Products(laptop=laptop, host=host)
    assert made.read(MANAGED) != ODD_JSON
    assert made.read(CONFIGURATION) != CLAMD
    return made


def test_an_exclusion_added_by_hand_is_taken_out_again_and_told(products: Products, gateway: SimulatedGateway) -> None:
    enforced = products.read(MANAGED)
    changed = json.loads(enforced)
    changed["antivirusEngine"]["exclusions"].append({"$type": "excludedPath", "isDirectory": True, "path": "/"})
    products.host.write_file(MANAGED, json.dumps(changed).encode())

    products.laptop.enrolled().enforcement.refresh()
    products.laptop.check_in()

    kept = json.loads(products.read(MANAGED))["antivirusEngine"]["exclusions"]
    assert [each["path"] for each in kept] == ["/srv/data"]
    assert ("settingChanged", EXCLUSIONS) in told(gateway)


def test_an_exclusion_of_another_line_does_not_count_where_only_ours_shall(products: Products) -> None:
    enforced = products.read(CONFIGURATION)
    products.host.write_file(CONFIGURATION, enforced + b"\nExcludePath ^/home\n")

    products.laptop.enrolled().enforcement.refresh()

    lines = products.read(CONFIGURATION).splitlines()
    assert [line for line in lines if line.startswith(b"ExcludePath")] == [b"ExcludePath ^/srv/data$"]
    assert b"#~shieldwall~ ExcludePath ^/home" in lines


def test_by_order_every_file_is_as_it_was_byte_for_byte(products: Products, gateway: SimulatedGateway) -> None:
    gateway.device.leaving = True

    assert products.laptop.check_in().left

    assert products.read(MANAGED) == ODD_JSON
    assert products.read(CONFIGURATION) == CLAMD


def test_time_for_troubleshooting_leaves_the_files_alone(products: Products, gateway: SimulatedGateway) -> None:
    laptop = products.laptop
    gateway.protect(until=laptop.clock.now().replace(hour=16))
    laptop.check_in()
    products.host.write_file(MANAGED, ODD_JSON)

    laptop.enrolled().enforcement.refresh()
    assert products.read(MANAGED) == ODD_JSON
    laptop.clock.advance(hours=5)
    laptop.enrolled().enforcement.refresh()

    assert json.loads(products.read(MANAGED))["antivirusEngine"]["exclusions"]
    laptop.check_in()
    assert told(gateway) == []


def test_the_service_ends_once_the_device_has_left(laptop: SimulatedAgent, gateway: SimulatedGateway) -> None:
    gateway.channels = False
    laptop.onboard()
    pause = HandPause(until=10 * 5_400.0)
    pause.at[600.0] = lambda: setattr(gateway.device, "leaving", True)
    enrolled = laptop.enrolled()

    Loop(
        check_in=enrolled.check_in,
        enforcement=enrolled.enforcement,
        policy_sync=enrolled.policy_sync,
        pause=pause,
        monotonic=pause.monotonic,
        chance=lambda: 0.5,
        journal=laptop.surroundings.journal,
        reassemble=laptop.surroundings.enrolled,
    ).run()

    events = [json.loads(line)["event"] for line in laptop.log.getvalue().splitlines()]
    assert events[-1] == "left"
    assert events.count("checkedIn") == 1
    assert pause.now < 2 * 5_400.0
    assert not any(path.is_file() for path in laptop.directory.rglob("*"))
