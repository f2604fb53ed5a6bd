"""What administrators do in a simulation, by the real use cases; and beside it, in few words, what must come of it.

``expected`` is an oracle: it works out from what was done here, and from nothing the server stores, which revisions a
device shall enforce at this moment. It shares no code with the server's targeting.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Connection

from shieldwall.contract.ids import DeviceId, Digest, GroupId, PolicyId, SettingId, TemplateId
from shieldwall.contract.messages import ManifestItem
from shieldwall.contract.settings import ChoiceSetting, ChoiceValue
from shieldwall.contract.target import target_digest
from shieldwall.server.directory import assigned_members, groups
from shieldwall.server.directory.groups import GroupDraft
from shieldwall.server.manager import sync
from shieldwall.server.manager.assignments import Assigned, assign
from shieldwall.server.manager.catching_up import catch_up_all
from shieldwall.server.manager.policies import Policies, PolicyDraft
from shieldwall.server.storage.devices import devices
from shieldwall.server.storage.policies import revisions
from shieldwall.server.storage.records import AssignmentKind, Policy
from shieldwall.simulator.chance import Chance
from shieldwall.simulator.core.history import History
from shieldwall.simulator.core.server import SimulatedServer

_ANTIVIRUS: Final = TemplateId("4cfd164c-5e8a-4ea9-b15d-9aa71e4ffff4_1")
_CLOUD: Final = SettingId("linux_mdatp_managed_cloudservice_enabled")
_DIAGNOSTIC: Final = SettingId("linux_mdatp_managed_cloudservice_diagnosticlevel")
SITES: Final = ("berlin", "lyon", "oslo", "porto")
"""Where devices stand; their names begin so, and dynamic groups ask for it."""
ROLES: Final = ("laptop", "desk", "server")
POLICIES: Final = 5
STATIC_GROUPS: Final = 4
_SWEPT: Final = 3
BROKEN: Final = frozenset[str]({_DIAGNOSTIC})
"""What cannot be written on some devices."""


@dataclass(slots=True)
class KnownGroup:
    """A group: members by name, or a rule about how a device is called."""

    id: GroupId
    members: set[DeviceId] = field(default_factory=set)
    asks_for: str | None = None
    """Of a dynamic group: what stands somewhere in the names of its members."""


@dataclass(slots=True)
class KnownPolicy:
    """A policy: the revision that holds, and whom it names."""

    item: ManifestItem
    draft: PolicyDraft
    assigned: tuple[Assigned, ...] = ()


@dataclass(slots=True)
class Administration:
    """Administrators of one tenant, and what they have done."""

    server: SimulatedServer
    chance: Chance
    history: History
    groups: list[KnownGroup] = field(default_factory=list)
    policies: dict[PolicyId, KnownPolicy] = field(default_factory=dict)
    names: dict[DeviceId, str] = field(default_factory=dict)
    """How devices are called, as far as the server was told."""
    gone: set[DeviceId] = field(default_factory=set)
    """Devices that were told to leave."""
    asked: Callable[[frozenset[DeviceId]], None] = lambda _ids: None
    """Hears of devices that a policy sync was asked for."""
    _made: int = 0

    @property
    def _use_cases(self) -> Policies:
        return Policies(catalog=self.server.catalog, signatures=self.server.signer)

    def begin(self) -> None:
        """Make groups and policies, as a tenant has them before its first device comes."""
        with self.server.database.write() as connection:
            for number in range(STATIC_GROUPS):
                self._new_group(connection, f"Chosen {number}", None)
            for word in (*SITES, *ROLES):
                self._new_group(connection, f"All of {word}", word)
        for _ in range(POLICIES):
            self.new_policy()

    def expected(self, device_id: DeviceId) -> tuple[ManifestItem, ...]:
        """Return what a device shall enforce now."""
        mine = {group.id for group in self.groups if self._belongs(group, device_id)}
        items = []
        for known in self.policies.values():
            kinds = {each.kind for each in known.assigned if each.group_id is None or each.group_id in mine}
            if kinds and AssignmentKind.EXCLUDE not in kinds:
                items.append(known.item)
        return tuple(items)

    def expected_target(self, device_id: DeviceId) -> Digest:
        """Name what a device shall enforce now."""
        return target_digest(self.expected(device_id))

    def foreign(self, device_id: DeviceId) -> Digest | None:
        """Name a policy revision that a device shall not read, if there is one."""
        own = {item.digest for item in self.expected(device_id)}
        others = sorted(known.item.digest for known in self.policies.values() if known.item.digest not in own)
        return self.chance.choice(others) if others else None

    def act(self) -> None:
        """Do one thing that administrators do."""
        act = self.chance.choices(
            (self.edit_policy, self.reassign, self.change_rule, self.move_members, self.ask_for_sync, self.new_policy),
            weights=(8, 5, 3, 5, 2, 1),
        )[0]
        act()

    def new_policy(self) -> None:
        """Save a policy and assign it."""
        self._made += 1
        draft = self._draft(f"Policy {self._made}")
        with self.server.database.write() as connection:
            policy = self._use_cases.create(connection, self.server.acting, draft)
            self.policies[policy.id] = KnownPolicy(item=_item(connection, policy), draft=draft)
        self._assign(policy.id)

    def edit_policy(self) -> None:
        """Save other settings in a policy."""
        policy_id = self._some_policy()
        draft = self._draft(self.policies[policy_id].draft.name)
        with self.server.database.write() as connection:
            policy = self._use_cases.update(connection, self.server.acting, policy_id, draft)
            known = self.policies[policy_id]
            known.item, known.draft = _item(connection, policy), draft
        self.history.add("policyEdited", draft.name, known.item.revision)

    def reassign(self) -> None:
        """Assign a policy to others."""
        self._assign(self._some_policy())

    def change_rule(self) -> None:
        """Let a dynamic group ask for something else."""
        group = self.chance.choice([each for each in self.groups if each.asks_for is not None])
        word = self.chance.choice((*SITES, *ROLES, "-1", "-2"))
        with self.server.database.write() as connection:
            present = groups.get_group(connection, self.server.settings.tenant_id, group.id)
            draft = _group_draft(present.display_name, word)
            groups.update_group(connection, self.server.acting, group.id, draft)
        group.asks_for = word
        self.history.add("ruleChanged", present.display_name, word)

    def move_members(self) -> None:
        """Let a device join a static group, or leave it."""
        present = [each for each in self.names if each not in self.gone]
        if not present:
            return
        group = self.chance.choice([each for each in self.groups if each.asks_for is None])
        device_id = self.chance.choice(present)
        joins = device_id not in group.members
        with self.server.database.write() as connection:
            move = assigned_members.add_member if joins else assigned_members.remove_member
            move(connection, self.server.acting, group.id, device_id)
        group.members ^= {device_id}
        self.history.add("memberMoved", self.names[device_id], joins)

    def ask_for_sync(self) -> None:
        """Ask every device to check in now."""
        tenant_id = self.server.settings.tenant_id
        with self.server.database.write() as connection:
            found = devices.find_many(connection, sorted(devices.speaking_ids(connection, tenant_id)))
            sync.ask(connection, self.server.acting, found)
        self.history.add("syncAsked", len(found))
        self.asked(frozenset(device.id for device in found))

    def sweep(self) -> None:
        """Let the server come to some devices that may be behind, as its sweep does in the background."""
        some = self.chance.sample(sorted(self.names), min(_SWEPT, len(self.names)))
        with self.server.database.write() as connection:
            caught = catch_up_all(connection, self.server.acting.within, some)
        if caught.reached:
            self.history.add("swept", len(caught.reached))

    def _belongs(self, group: KnownGroup, device_id: DeviceId) -> bool:
        if group.asks_for is None:
            return device_id in group.members
        return group.asks_for in self.names[device_id]

    def _new_group(self, connection: Connection, name: str, word: str | None) -> None:
        made = groups.create_group(connection, self.server.acting, _group_draft(name, word))
        self.groups.append(KnownGroup(id=made.id, asks_for=word))

    def _some_policy(self) -> PolicyId:
        return self.chance.choice(list(self.policies))

    def _assign(self, policy_id: PolicyId) -> None:
        known = self.policies[policy_id]
        wanted = tuple(self._wanted())
        with self.server.database.write() as connection:
            assign(connection, self.server.acting, policy_id, wanted)
        known.assigned = wanted
        self.history.add("policyAssigned", known.draft.name, len(wanted))

    def _wanted(self) -> Sequence[Assigned]:
        chosen = self.chance.sample(self.groups, self.chance.randint(0, 3))
        found = [Assigned(kind=AssignmentKind.INCLUDE, group_id=group.id) for group in chosen]
        if chosen and self.chance.random() < 0.3:
            found[-1] = Assigned(kind=AssignmentKind.EXCLUDE, group_id=chosen[-1].id)
        if self.chance.random() < 0.3:
            found.append(Assigned(kind=AssignmentKind.ALL_DEVICES))
        return found

    def _draft(self, name: str) -> PolicyDraft:
        cloud = self.chance.choice(("true", "false"))
        level = self.chance.choice(("0", "1"))
        return PolicyDraft(
            name=name,
            description=f"As of {self.server.time.seconds:.0f}",
            platforms="linux",
            technologies="microsoftSense",
            template_id=_ANTIVIRUS,
            settings=(_chosen(_CLOUD, cloud), _chosen(_DIAGNOSTIC, level)),
        )


def _chosen(setting: SettingId, option: str) -> ChoiceSetting:
    return ChoiceSetting(definition=setting, value=ChoiceValue(value=f"{setting}_{option}"))


def _group_draft(name: str, word: str | None) -> GroupDraft:
    rule = None if word is None else f'(device.displayName -contains "{word}")'
    return GroupDraft(display_name=name, mail_nickname=groups.nickname_of(name), membership_rule=rule)


def _item(connection: Connection, policy: Policy) -> ManifestItem:
    kept = revisions.get(connection, policy.id, policy.revision)
    return ManifestItem(policy_id=policy.id, revision=policy.revision, digest=kept.digest, length=kept.length)
