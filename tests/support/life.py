"""A server as it runs and devices with the agent's real code on them: every layer but machine and products is real.

Devices talk TLS to the gateway, an administrator talks to the API; only the clock is moved by hand. A device's machine
says what the scenario wants it to say, and its products are a dictionary of settings.
"""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from httpx import Response
from tests.support.admin import Client, admin_routes
from tests.support.gateway_world import GatewayWorld, gateway_world
from tests.support.simulated_agent import MemoryMachine
from tests.support.simulated_applier import ConfirmsByHand, pretend_enforcer

from shieldwall.agent.applier.state import Terms
from shieldwall.agent.applier.transaction import NOBODY, Seen
from shieldwall.agent.journal import Journal
from shieldwall.agent.service.assembly import Enrolled, Surroundings
from shieldwall.agent.service.check_in import Settled
from shieldwall.agent.service.disk import LocalDisk
from shieldwall.agent.service.records import Server
from shieldwall.agent.service.state import AgentState
from shieldwall.agent.service.transport import HttpsTransport, tls_context
from shieldwall.contract import strict_json
from shieldwall.contract.ids import Digest, SettingId, TenantId
from shieldwall.contract.messages import DeviceFacts, HardwareIds
from shieldwall.contract.settings import PolicyDocument
from shieldwall.contract.status import SettingState, SettingStatus, StatusReport
from shieldwall.contract.strict_json import digest_of_bytes
from shieldwall.server.access.permissions import PERMISSIONS
from shieldwall.server.directory import apps
from shieldwall.server.main import compose_admin
from shieldwall.trust.onboarding import OnboardingPackage, open_package

BEFORE = {SettingId("local_setting"): "set by hand before management"}
"""What every device has before management, and shall have again after."""


@dataclass
class LifeMachine(MemoryMachine):
    """A machine whose hardware is its own: two of the same ``hardware_name`` are one machine, or copies of it."""

    hardware_name: str = "machine"

    def say(self, **changes: Any) -> None:
        """Be another machine from now on, in these respects."""
        self.said = msgspec.structs.replace(self.said, **changes)

    def hardware(self, tenant_id: TenantId) -> HardwareIds:
        return HardwareIds(machine_id_hash=digest_of_bytes(f"{tenant_id} {self.hardware_name}".encode()))


@dataclass
class LifeProducts(ConfirmsByHand):
    """The products of a device: settings by name, each as the policy wants it; it can always be seen what holds."""

    now: dict[SettingId, str] = field(default_factory=lambda: dict(BEFORE))
    wanted: dict[SettingId, str] = field(default_factory=dict)
    target: Digest | None = None

    def recover(self) -> Sequence[str]:
        return ()

    def enforce(
        self, documents: Iterable[PolicyDocument], *, target: Digest | None, terms: Terms, is_start: bool = False
    ) -> StatusReport:
        del terms, is_start
        self.wanted = {
            setting.definition: strict_json.encode(setting).decode()
            for document in documents
            for setting in document.settings
        }
        self.target = target
        self.now = BEFORE | self.wanted
        return self._report(frozenset())

    def refresh(self, seen: Seen = NOBODY) -> StatusReport:
        del seen
        changed = frozenset(name for name, value in self.wanted.items() if self.now.get(name) != value)
        self.now = BEFORE | self.wanted
        return self._report(changed)

    def release(self) -> None:
        self.wanted, self.now, self.target = {}, dict(BEFORE), None

    def _report(self, repaired: frozenset[SettingId]) -> StatusReport:
        return StatusReport(
            target=self.target,
            settings=tuple(
                SettingStatus(
                    setting=setting,
                    state=SettingState.SUCCEEDED,
                    provider="products",
                    code="repaired" if setting in repaired else None,
                    value=value,
                    read_back=value,
                    written=True,
                )
                for setting, value in sorted(self.wanted.items())
            ),
        )


@dataclass
class LifeDevice:
    """One machine with an agent, which starts anew from its disk whenever it does something."""

    life: Life
    directory: Path
    machine: LifeMachine
    products: LifeProducts = field(default_factory=LifeProducts)

    @property
    def name(self) -> str:
        return self.machine.said.display_name

    @property
    def state(self) -> AgentState:
        return AgentState(directory=self.directory, disk=LocalDisk())

    @property
    def surroundings(self) -> Surroundings:
        return Surroundings(
            state=self.state,
            open_transport=self.life.open_transport,
            machine=self.machine,
            enforcer=pretend_enforcer(self.products, self.machine, self.directory / "applier", self.life.server.clock),
            clock=self.life.server.clock,
            randomness=os.urandom,
            journal=Journal(out=io.StringIO(), clock=self.life.server.clock),
        )

    @property
    def id(self) -> str:
        return self.state.get_identity().device_id

    @property
    def is_onboarded(self) -> bool:
        return self.state.find_identity() is not None

    def onboard(self, package: OnboardingPackage) -> LifeDevice:
        self.surroundings.onboard()(package)
        return self

    def enrolled(self) -> Enrolled:
        return self.surroundings.enrolled()

    def check_in(self) -> Settled:
        settled = self.enrolled().check_in()
        return self.enrolled().check_in() if settled.promoted else settled  # as the agent's loop does

    def copied(self, name: str, *, hardware_name: str | None = None, boot: str = "boot-of-the-copy") -> LifeDevice:
        """Copy the disk into another machine."""
        directory = self.life.home / name
        shutil.copytree(self.directory, directory)
        machine = LifeMachine(
            said=self.machine.said, boot=boot, hardware_name=hardware_name or self.machine.hardware_name
        )
        return LifeDevice(life=self.life, directory=directory, machine=machine, products=LifeProducts())

    @contextmanager
    def set_back(self) -> Iterator[None]:
        """Let what happens inside be forgotten by the disk: a snapshot is restored at the end."""
        snapshot = self.life.home / f"snapshot of {self.directory.name}"
        shutil.copytree(self.directory, snapshot)
        yield
        shutil.rmtree(self.directory)
        snapshot.rename(self.directory)


@dataclass
class Life:
    """The server, who administers it, and where devices keep their disks."""

    server: GatewayWorld
    graph: Client
    home: Path
    token_until: datetime

    def open_transport(self, server: Server) -> HttpsTransport:
        return HttpsTransport(context=tls_context(server.tls_roots), monotonic=_still, proxy=None)

    def device(
        self, name: str, *, os_type: Any = "Linux", hardware_name: str | None = None, **facts: Any
    ) -> LifeDevice:
        """Set up a machine with an agent that is not onboarded yet."""
        said = DeviceFacts(display_name=name, os_type=os_type, os_version="12", **facts)
        machine = LifeMachine(said=said, hardware_name=hardware_name or name)
        return LifeDevice(life=self, directory=self.home / name, machine=machine)

    def package(self, **members: Any) -> OnboardingPackage:
        """Make an onboarding package through the API."""
        body = {"displayName": "Life", "allowedPlatforms": ["linux", "windows", "macos"], **members}
        made = self.post("/beta/deviceManagement/onboardingPackages", body)
        return open_package(strict_json.encode(made["package"]), self.server.clock.now())

    def ask(self, method: str, path: str, body: Any = None) -> Response:
        """Call the API with a token of this hour."""
        if self.server.clock.now() >= self.token_until:
            self.token_until = self.server.clock.now() + timedelta(minutes=30)
            self.graph.headers["Authorization"] = f"Bearer {self._token()}"
        return self.graph.request(method, path, json=body)

    def get(self, path: str) -> Any:
        return self._taken("GET", path)

    def post(self, path: str, body: Any = None) -> Any:
        return self._taken("POST", path, {} if body is None else body)

    def patch(self, path: str, body: Any) -> Any:
        return self._taken("PATCH", path, body)

    def put(self, path: str, body: Any) -> Any:
        return self._taken("PUT", path, body)

    def delete(self, path: str) -> None:
        self._taken("DELETE", path)

    def _taken(self, method: str, path: str, body: Any = None) -> Any:
        answer = self.ask(method, path, body)
        assert answer.status_code in {200, 201, 204}, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def _token(self) -> str:
        """Ask for a token as an application made for this very moment: the scenario outlives every secret."""
        services, url = self.server.services, self.server.settings.public_url
        with services.database.write() as connection:
            app, secret = apps.create_app(
                connection,
                services.acting("console"),
                display_name="Administrator",
                permissions=tuple(PERMISSIONS),
            )
        form = {"grant_type": "client_credentials", "scope": f"{url}/.default"}
        self.graph.headers.pop("Authorization", None)
        answer = self.graph.post(
            f"/{services.tenant.id}/oauth2/v2.0/token",
            data=form | {"client_id": app.client_id, "client_secret": secret},
        )
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    def group(self, name: str, rule: str | None = None) -> str:
        """Make a group, dynamic with a rule."""
        body: dict[str, Any] = {
            "displayName": name,
            "mailEnabled": False,
            "mailNickname": name.replace(" ", ""),
            "securityEnabled": True,
        }
        if rule is not None:
            body |= {"groupTypes": ["DynamicMembership"], "membershipRule": rule}
        return str(self.post("/v1.0/groups", body)["id"])

    def members(self, group: str) -> set[str]:
        """The ids of a group's devices."""
        found, path = set(), f"/v1.0/groups/{group}/members?$top=999"
        while path:
            page = self.get(path)
            found |= {str(each["deviceId"]) for each in page["value"]}
            path = page.get("@odata.nextLink", "")
        return found

    def add_to_group(self, group: str, device: LifeDevice) -> None:
        """Let a device belong to an assigned group."""
        reference = {"@odata.id": f"https://graph/v1.0/devices/{device.id}"}
        self.post(f"/v1.0/groups/{group}/members/$ref", reference)

    def alerts(self, kind: str) -> list[Any]:
        """The open alerts of a kind, each with the ids of the devices it is about."""
        found = self.get("/beta/security/alerts_v2?$filter=status eq 'new'&$top=999")["value"]
        return [
            alert | {"devices": [each["azureAdDeviceId"] for each in alert["evidence"]]}
            for alert in found
            if alert["category"] == kind
        ]

    def managed(self, device: LifeDevice | str) -> Any:
        """The managed device as administrators see it."""
        wanted = device if isinstance(device, str) else device.id
        return self.get(f"/beta/deviceManagement/managedDevices/{wanted}")


@contextmanager
def a_life(home: Path, database: str | None = None) -> Iterator[Life]:
    """Start a server with an administrator who may do everything."""
    with (
        gateway_world(home / "data", database) as server,
        closing(Client(compose_admin(server.services, admin_routes(), monotonic=_still).application)) as graph,
    ):
        graph.base_url = server.settings.public_url
        (home / "devices").mkdir()
        yield Life(server=server, graph=graph, home=home / "devices", token_until=server.clock.now())


def _still() -> float:
    """No time passes that a limit would count."""
    return 0.0
