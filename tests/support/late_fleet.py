"""One history of changes lived through twice: each change worked out at once, or taken up device by device.

Ids of what is made differ between the two lives, so whatever is compared speaks of numbers in the order of making.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final

import msgspec
from sqlalchemy import Connection
from tests.support.manager_world import ACTOR, World, a_draft, a_firewall_draft, caller
from tests.support.samples import TENANT_ID, CountingIds, a_device, device_id

from shieldwall.contract import strict_json
from shieldwall.contract.conflicts import ConflictFamily, ConflictRule
from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import AssignmentFilterId, DeviceId, GroupId, PolicyId
from shieldwall.contract.messages import PROTOCOL, CheckInRequest, DeviceFacts, Have
from shieldwall.policy.enrollment import Coverage, EnforcementScope, TagRule
from shieldwall.policy.protection import ProtectionSettings
from shieldwall.server.directory import assigned_members, membership
from shieldwall.server.directory import devices as directory
from shieldwall.server.directory import groups as directory_groups
from shieldwall.server.directory.acting import Acting
from shieldwall.server.directory.groups import GroupDraft
from shieldwall.server.directory.registration import register
from shieldwall.server.inventory.offboarding import order_to_leave
from shieldwall.server.manager import sync
from shieldwall.server.manager.assignments import Assigned, assign
from shieldwall.server.manager.catching_up import catch_up_all
from shieldwall.server.manager.check_in import Behind, CheckIn, ToAnswer, Unchanged
from shieldwall.server.manager.conflict_rules import replace_rules
from shieldwall.server.manager.enforcement_scope import save_scope
from shieldwall.server.manager.filters import FilterDraft, create_filter, delete_filter, update_filter
from shieldwall.server.manager.protection import (
    end_troubleshooting,
    replace_settings,
    start_troubleshooting,
    stop_troubleshooting,
)
from shieldwall.server.manager.sweeping import look, sweep
from shieldwall.server.manager.targeting import Retargeting, retarget
from shieldwall.server.storage.check_ins import check_ins, targets
from shieldwall.server.storage.device_records import SPEAKING, DeviceState
from shieldwall.server.storage.devices import devices as device_store
from shieldwall.server.storage.groups import group_members
from shieldwall.server.storage.policies import aims
from shieldwall.server.storage.records import AssignmentKind, FilterKind, ProcessingState

TAGS: Final = ("web", "db")
HOLDER: Final = "00000000-0000-4000-8000-0000000000aa"
_RULES: Final = (
    'device.deviceTag -contains "web"',
    'device.tags -any (_ -eq "db")',
    'device.deviceOSType -eq "Linux"',
    'device.managementType -eq "MicrosoftSense"',
    'device.displayName -contains "new"',
)
_FACTS: Final = DeviceFacts(display_name="device", os_type="Linux", os_version="Debian 12")
_MOST_TRIES: Final = 2


@dataclass(slots=True)
class Life:
    """One of the two lives, in a transaction of which nothing stays."""

    world: World
    connection: Connection
    most_at_once: int
    ids: CountingIds
    groups: list[GroupId] = field(default_factory=list)
    policies: list[PolicyId] = field(default_factory=list)
    filters: list[AssignmentFilterId] = field(default_factory=list)
    seq: dict[DeviceId, int] = field(default_factory=dict)
    told: dict[DeviceId, Any] = field(default_factory=dict)
    """What each device was told to enforce when it checked in last."""

    @property
    def acting(self) -> Acting:
        return Acting(
            tenant_id=TENANT_ID,
            actor=ACTOR,
            clock=self.world.clock,
            new_id=self.ids,
            on_devices_changed=Retargeting(clock=self.world.clock),
            most_at_once=self.most_at_once,
        )

    def do(self, name: str, *arguments: int) -> object:
        """Let one thing happen, or not at all; return what can be compared of it."""
        savepoint = self.connection.begin_nested()
        action: Callable[..., object] = getattr(self, name)
        try:
            found = action(*arguments)
        except ShieldwallError as error:
            savepoint.rollback()
            return type(error).__name__
        savepoint.commit()
        return found

    # Devices

    def joins(self, number: int, kind: int) -> None:
        tags = ((), ("web",), ("db",), ("db", "web"))[kind % 4]
        state = DeviceState.PENDING if kind == 5 else DeviceState.ACTIVE
        device = replace(a_device(number), tags=tags, state=state)
        if device_store.find(self.connection, device.id) is None:
            register(self.connection, self.acting, device)

    def is_tagged(self, number: int, tag: int) -> None:
        given = TAGS[tag % 2]
        wanted = {"add": [given]} if tag < 2 else {"remove": [given]}
        directory.change_tags(self.connection, self.acting, device_id(number), **wanted)

    def is_renamed(self, number: int, kind: int) -> None:
        directory.rename(self.connection, self.acting, device_id(number), f"{'new' if kind % 2 else 'old'}-{number}")

    def is_switched(self, number: int, kind: int) -> None:
        directory.set_enabled(self.connection, self.acting, device_id(number), enabled=bool(kind % 2))

    def leaves(self, number: int, kind: int) -> None:
        order_to_leave(self.connection, self.acting, device_id(number), force=kind == 0)

    def is_quarantined(self, number: int, _kind: int) -> None:
        before = directory.hold_device(self.connection, self.acting, device_id(number))
        if before.state is DeviceState.ACTIVE:
            device_store.put(self.connection, replace(before, state=DeviceState.QUARANTINED))
            directory.follow(self.connection, self.acting, before)

    def is_troubleshot(self, number: int, kind: int) -> None:
        change = start_troubleshooting if kind % 2 else stop_troubleshooting
        change(self.connection, self.acting, device_id(number))

    # Groups

    def group_is_made(self, rule: int, state: int) -> None:
        made = directory_groups.create_group(self.connection, self.acting, self._group_draft(rule, state))
        self.groups.append(made.id)

    def group_changes(self, group: int, rule: int, state: int) -> None:
        if (group_id := self._of(self.groups, group)) is not None:
            draft = self._group_draft(rule, state)
            directory_groups.update_group(self.connection, self.acting, group_id, draft)

    def group_is_paused(self, group: int, kind: int) -> None:
        if (group_id := self._of(self.groups, group)) is not None:
            before = directory_groups.get_group(self.connection, TENANT_ID, group_id)
            state = ProcessingState.PAUSED if kind % 2 else ProcessingState.ON
            draft = GroupDraft(
                display_name=before.display_name,
                mail_nickname=before.mail_nickname,
                membership_rule=before.membership_rule if kind < 3 else None,
                processing_state=state if kind < 3 else ProcessingState.ON,
            )
            directory_groups.update_group(self.connection, self.acting, group_id, draft)

    def group_goes(self, group: int) -> None:
        if (group_id := self._of(self.groups, group)) is not None:
            directory_groups.delete_group(self.connection, self.acting, group_id)

    def member_joins(self, group: int, number: int) -> None:
        if (group_id := self._of(self.groups, group)) is not None:
            assigned_members.add_member(self.connection, self.acting, group_id, device_id(number))

    def member_leaves(self, group: int, number: int) -> None:
        if (group_id := self._of(self.groups, group)) is not None:
            assigned_members.remove_member(self.connection, self.acting, group_id, device_id(number))

    # Policies and what else aims them

    def policy_is_made(self, kind: int) -> None:
        draft = a_firewall_draft() if kind == 0 else a_draft()
        self.policies.append(self.world.policies.create(self.connection, self.acting, draft).id)

    def policy_changes(self, policy: int, kind: int) -> None:
        if (policy_id := self._of(self.policies, policy)) is not None:
            draft = a_draft(cloud="true" if kind % 2 else "false")
            self.world.policies.update(self.connection, self.acting, policy_id, draft)

    def policy_goes(self, policy: int) -> None:
        if (policy_id := self._of(self.policies, policy)) is not None:
            self.world.policies.delete(self.connection, self.acting, policy_id)

    def policy_is_assigned(self, policy: int, group: int, other: int, kind: int) -> None:
        if (policy_id := self._of(self.policies, policy)) is None:
            return
        narrowed = self._of(self.filters, other) if kind % 3 else None
        lets_in = FilterKind.INCLUDE if kind % 2 else FilterKind.EXCLUDE
        how: dict[str, Any] = {"filter_id": narrowed, "filter_kind": lets_in}
        wanted = [Assigned(kind=AssignmentKind.ALL_DEVICES, **(how if narrowed else {}))] if kind < 2 else []
        if (group_id := self._of(self.groups, group)) is not None and kind < 6:
            includes = AssignmentKind.EXCLUDE if kind % 2 else AssignmentKind.INCLUDE
            wanted.append(Assigned(kind=includes, group_id=group_id, **(how if narrowed and not kind % 2 else {})))
        assign(self.connection, self.acting, policy_id, wanted)

    def filter_is_made(self, kind: int) -> None:
        self.filters.append(create_filter(self.connection, self.acting, _filter_draft(kind)).id)

    def filter_changes(self, number: int, kind: int) -> None:
        if (filter_id := self._of(self.filters, number)) is not None:
            update_filter(self.connection, self.acting, filter_id, _filter_draft(kind))

    def filter_goes(self, number: int) -> None:
        if (filter_id := self._of(self.filters, number)) is not None:
            delete_filter(self.connection, self.acting, filter_id)

    def protection_changes(self, group: int, number: int, kind: int) -> None:
        named = self._of(self.groups, group)
        there = device_store.find(self.connection, device_id(number)) is not None
        excluded = (device_id(number),) if there and kind > 2 else ()
        of_groups = {named: bool(kind % 2)} if named is not None and kind > 1 else {}
        wanted = ProtectionSettings(enabled=bool(kind % 2), groups=of_groups, excluded=excluded)
        replace_settings(self.connection, self.acting, wanted)

    def rules_change(self, kind: int) -> None:
        family = min(ConflictFamily)
        replace_rules(self.connection, self.acting, {} if kind % 2 else {family: sorted(ConflictRule)[kind % 3]})

    def scope_changes(self, kind: int) -> None:
        coverage = (Coverage.ALL, Coverage.TAGGED, Coverage.OFF, Coverage.TAGGED)[kind % 4]
        web = TagRule(display_name="Web", rule=_RULES[0])
        scope = EnforcementScope(linux=coverage, dynamic_tags=(web,) if kind % 4 == 3 else ())
        save_scope(self.connection, self.acting, scope)

    # Devices that speak

    def checks_in(self, number: int, kind: int) -> object:
        """Return what the device hears, as ``shown``; where it is behind, it catches up first, as at the gateway."""
        device = device_id(number)
        repeats = kind == 0 and device in self.seq
        self.seq[device] = self.seq.get(device, 0) + (not repeats)
        facts = msgspec.structs.replace(_FACTS, display_name=f"{'new' if kind % 2 else 'old'}-{number}")
        request = CheckInRequest(
            seq=self.seq[device],
            epoch=1,
            instance_id=f"{number:032x}",
            boot_id="boot",
            agent_version="0.1.0",
            protocol=PROTOCOL,
            have=Have(facts=strict_json.digest_of(facts)),
            facts=facts if kind > 2 else None,
        )
        outcome = self._recorded(device, request)
        assert isinstance(outcome, ToAnswer | Unchanged)
        told = None if isinstance(outcome, Unchanged) or outcome.target is None else self.shown(outcome.target)
        self.told[device] = told
        return told

    def _recorded(self, device: DeviceId, request: CheckInRequest) -> object:
        use = CheckIn(
            signers=self.world.signer,
            clock=self.world.clock,
            acting_for=lambda _: self.acting,
            catalog=lambda: self.world.catalog,
        )
        for _ in range(_MOST_TRIES):
            outcome = use.record(self.connection, caller(device), request, strict_json.digest_of(request))
            if not isinstance(outcome, Behind):
                return outcome
            assert self.most_at_once < 1_000, "where all is worked out at once nobody is behind"
            catch_up_all(self.connection, lambda _: self.acting, [device])
        raise AssertionError("still behind")

    def woken(self) -> frozenset[DeviceId]:
        """Return whom the server wakes of all devices, if all of them wait."""
        asked = sync.asked_to_come(self.connection, [device_id(number) for number in range(1, 8)])
        return asked.due | catch_up_all(self.connection, lambda _: self.acting, asked.behind).aimed_anew

    # The server by itself

    def sweeps(self, portion: int, kind: int) -> None:
        """Bring a few devices up to date; or try to, and crash."""
        savepoint = self.connection.begin_nested()
        if (looked := look(self.connection, TENANT_ID, portion)) is not None:
            assert sweep(self.connection, self.acting, looked, HOLDER) is not None
        if kind == 0:
            savepoint.rollback()
        else:
            savepoint.commit()

    def time_passes(self, minutes: int) -> None:
        """Let it pass, and what is over with it, as the server sees to every few minutes."""
        self.world.clock.advance(minutes=minutes)
        end_troubleshooting(self.connection, self.acting)

    def ends(self) -> None:
        """Go round until nobody is behind, which must not take for ever."""
        for _ in range(200):
            if (looked := look(self.connection, TENANT_ID, 2)) is None:
                break
            assert sweep(self.connection, self.acting, looked, HOLDER) is not None
        assert not aims.is_open(self.connection, TENANT_ID)

    # What there is to see

    def device(self, number: int) -> object:
        """Return all that is decided about one device."""
        found = device_store.find(self.connection, device_id(number))
        if found is None:
            return None
        digest = check_ins.get(self.connection, found.id).target_digest
        belongs = group_members.memberships(self.connection, [found.id])[found.id]
        target = None if digest is None or found.state not in SPEAKING else self.shown_digest(digest)
        return found.state, found.enrollment_code, sorted(map(self.groups.index, belongs)), target

    def shown_digest(self, digest: Any) -> object:
        return self.shown(targets.get(self.connection, TENANT_ID, digest))

    def shown(self, target: Any) -> object:
        items = sorted((self.policies.index(item.policy_id), item.revision) for item in target.items)
        return items, dict(target.conflict_rules), target.protection, target.offboard, target.enrollment

    def is_what_it_would_be(self) -> None:
        """Hold that working everything out anew changes nothing."""
        speaking = device_store.speaking_ids(self.connection, TENANT_ID)
        assert retarget(self.connection, speaking, self.world.clock.now()) == frozenset()
        for device in device_store.find_many(self.connection, sorted(speaking)):
            assert membership.reevaluate_device(self.connection, self.acting, device) == frozenset()

    def _of(self, made: list[Any], number: int) -> Any:
        return made[number % len(made)] if made else None

    def _group_draft(self, rule: int, state: int) -> GroupDraft:
        text: str | None = None
        if rule < len(_RULES):
            text = _RULES[rule]
        elif rule < len(_RULES) + 3 and self.groups:
            asked = self.groups[rule % len(self.groups)]
            text = f"device.memberOf -any (group.objectId -in ['{asked}'])"
        paused = state == 0 and text is not None
        return GroupDraft(
            display_name=f"Group {rule} {state}",
            mail_nickname="group",
            membership_rule=text,
            processing_state=ProcessingState.PAUSED if paused else ProcessingState.ON,
        )


def _filter_draft(kind: int) -> FilterDraft:
    rule = ('device.deviceTag -eq "web"', 'device.deviceName -startsWith "new"')[kind % 2]
    return FilterDraft(display_name="Some", platform="linux", rule=rule)
