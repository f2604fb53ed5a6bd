"""A pretended Windows with its firewall, managed by the real engine; and rules as a policy says them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from hypothesis import strategies as st
from msgspec.structs import replace
from tests.support import policies as p
from tests.support.pretend_products import HandUptime
from tests.support.samples import HandClock
from tests.support.windows_firewall_rules import RULES, TEMPLATE

from shieldwall.agent.applier.engine import Applier
from shieldwall.agent.applier.store import Store
from shieldwall.agent.host.documents import DocumentHost
from shieldwall.agent.providers.windows_firewall import MDM_STORE, PolicyStore, WindowsFirewallProvider
from shieldwall.catalog.loader import load
from shieldwall.contract.ids import SettingId, TemplateId
from shieldwall.contract.settings import PolicyDocument, SettingInstance
from shieldwall.contract.status import SettingStatus
from shieldwall.policy.flatten import put
from shieldwall.policy.values import Item, SettingValue
from shieldwall.testing.windows.firewall import PretendFirewall
from shieldwall.testing.windows.machine import WINDOWS_11, Edition, PretendWindows

CATALOG: Final = load(platform="windows")
STORE: Final = "vendor_msft_firewall_mdmstore_"
PROFILES: Final = TemplateId("6078910e-d808-4a9f-a51d-1b8a7bacb7c0_1")
RULE_SETTING: Final = SettingId(RULES)


class FirewalledMachine:
    """One machine; ``server`` is where the engine thinks that the server is."""

    def __init__(self, root: Path, *, edition: Edition = WINDOWS_11, store: PolicyStore = MDM_STORE) -> None:
        self.windows = PretendWindows(root / "root", edition=edition)
        self.firewall = PretendFirewall(self.windows.registry)
        self.windows.add(self.firewall)
        self.provider = WindowsFirewallProvider(CATALOG, self.windows.cim, store=store)
        self.uptime = HandUptime()
        self.applier = Applier(
            host=self.host,
            store=Store(root / "state"),
            providers=[self.provider],
            catalog=CATALOG,
            platform="windows10",
            clock=HandClock(),
            uptime=self.uptime,
        )

    @property
    def host(self) -> DocumentHost:
        return self.windows.host

    def enforce(self, *documents: PolicyDocument) -> Mapping[str, SettingStatus]:
        report = self.applier.enforce(documents)
        return {status.setting.removeprefix(STORE): status for status in report.settings}

    def contents(self) -> Mapping[str, bytes | None]:
        return {str(path): self.host.read_file(path) for path in self.provider.files()}


def profiles(*settings: SettingInstance, number: int = 1) -> PolicyDocument:
    return _windows(p.document(number, *settings, template=PROFILES))


def rules(*items: tuple[SettingInstance, ...], number: int = 2) -> PolicyDocument:
    return _windows(p.document(number, p.items(RULES, *items), template=TEMPLATE))


def profile(name: str, *settings: SettingInstance, on: bool = True) -> SettingInstance:
    """A profile that is on, with what is inside; ``of`` makes that."""
    return p.choice(f"{STORE}{name}profile_enablefirewall", "_true" if on else "_false", *settings)


def of(name: str, setting: str, suffix: str) -> SettingInstance:
    return p.choice(f"{STORE}{name}profile_{setting}", f"_{suffix}")


def item(*members: SettingInstance) -> Item:
    """One rule as providers get it."""
    values: dict[SettingId, SettingValue] = {}
    put(CATALOG, [p.items(RULES, members)], values)
    found = values[RULE_SETTING]
    assert isinstance(found, tuple)
    assert isinstance(found[0], Item)
    return found[0]


def _windows(document: PolicyDocument) -> PolicyDocument:
    return replace(document, platforms="windows10", technologies="mdm,microsoftSense")


_PORTS: Final = st.sampled_from(["0", "443", "8000-8010", "00080", "5-5", "70000", "x"])
_ADDRESSES: Final = st.sampled_from(
    [
        *(
            "10.0.0.0/8",
            "10.1.0.0/255.255.0.0",
            "192.0.2.1",
            "192.0.2.1-192.0.2.9",
            "2001:db8::/32",
            "::1",
            "0.0.0.0/0",
        ),
        *("LocalSubnet", "localsubnet", "DNS", "Internet", "Intranet", "*", "10.0.0.9-10.0.0.1", "::/0", "nowhere"),
    ]
)
_TEXTS: Final = st.text('ab |@\\"é€=', max_size=6)


def _choices(member: str, *suffixes: str) -> st.SearchStrategy[SettingValue]:
    chosen = st.lists(st.sampled_from([f"{RULES}_{member}{suffix}" for suffix in suffixes]), max_size=3, unique=True)
    return chosen.map(lambda found: tuple(sorted(found)))


def _choice(member: str, *suffixes: str) -> st.SearchStrategy[SettingValue]:
    return st.sampled_from([f"{RULES}_{member}{suffix}" for suffix in suffixes])


def _lists(values: st.SearchStrategy[str]) -> st.SearchStrategy[SettingValue]:
    return st.lists(values, max_size=4, unique=True).map(lambda found: tuple(sorted(found)))


_MEMBERS: Final[Mapping[str, st.SearchStrategy[SettingValue]]] = {
    "action_type": _choice("action_type", "_0", "_1"),
    "app_filepath": st.sampled_from([r"C:\Program Files\a b.exe", "System", r"%SystemRoot%\x.exe", "a|b", "*"]),
    "app_packagefamilyname": st.sampled_from(["Microsoft.Windows.Cortana_cw5n1h2txyewy", "no"]),
    "app_servicename": st.sampled_from(["*", "Dnscache", "a/b"]),
    "description": _TEXTS,
    "direction": _choice("direction", "_in", "_out"),
    "edgetraversal": _choice("edgetraversal", "_0", "_1"),
    "enabled": _choice("enabled", "_0", "_1"),
    "icmptypesandcodes": _lists(st.sampled_from(["8:0", "3:*", "*", "300:0"])),
    "interfacetypes": _choices("interfacetypes", "_all", "_lan", "_wireless", "_remoteaccess", "_mbb"),
    "localaddressranges": _lists(_ADDRESSES),
    "localportranges": _lists(_PORTS),
    "localuserauthorizedlist": st.sampled_from(["O:LSD:(A;;CC;;;S-1-5-4)", "me"]),
    "policyappid": st.just("Browser"),
    "profiles": _choices("profiles", "_1", "_2", "_4", "_2147483647", "_-2147483648"),
    "protocol": st.sampled_from([1, 6, 17, 47, 58, 255]),
    "remoteaddressranges": _lists(_ADDRESSES),
    "remoteportranges": _lists(_PORTS),
}


@st.composite
def items(draw: st.DrawFn) -> Item:
    """A rule of any members; in most something is wrong or does not go together."""
    names = draw(st.lists(st.sampled_from(sorted(_MEMBERS)), max_size=6, unique=True))
    members = {SettingId(f"{RULES}_{name}"): draw(_MEMBERS[name]) for name in names}
    members[SettingId(f"{RULES}_name")] = draw(_TEXTS.map(lambda text: f"r{text}") | st.just("@a.dll,-1"))
    return Item(tuple(sorted(members.items())))
