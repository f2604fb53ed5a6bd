"""One page of a walk through the directory: what it shows, and where the client stands after it (``following``)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from msgspec.structs import replace
from sqlalchemy import Connection

from shieldwall.contract.ids import DeviceId, GroupId, TenantId
from shieldwall.server.directory import registrations
from shieldwall.server.directory.following import State
from shieldwall.server.storage.device_records import Device
from shieldwall.server.storage.devices import devices as device_rows
from shieldwall.server.storage.devices import registrations as registration_rows
from shieldwall.server.storage.devices.registrations import ExistingRegistration
from shieldwall.server.storage.groups import changes, group_members, groups
from shieldwall.server.storage.groups.changes import KINDS, Change, Feed, FeedState, Kind
from shieldwall.server.storage.records import Group, Page

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowedDevice:
    """A device, or a registration that none uses, as it is now; ``None`` where it is gone."""

    object_id: str
    now: Device | ExistingRegistration | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowedGroup:
    """A group as it is now, ``None`` where it is gone; and directory objects that joined and left it."""

    id: GroupId
    now: Group | None
    joined: tuple[str, ...] = ()
    left: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowedPage(Generic[T]):
    """What a page shows; ``state`` is where the client stands then, at the end of its round or not."""

    entries: tuple[T, ...]
    state: State
    is_last: bool


def devices_page(
    connection: Connection, tenant_id: TenantId, state: State, feed: FeedState
) -> FollowedPage[FollowedDevice]:
    """Return the next page of a walk through the devices."""
    if state.listing:
        page = Page(size=state.size + 1, after=state.id or None)
        found = registrations.list_directory(connection, tenant_id, page)
        shown = [FollowedDevice(object_id=each.object_id, now=each) for each in found[: state.size]]
        if len(found) > state.size:
            return _more(shown, replace(state, id=_name(found[state.size - 1])))
        return _listed(shown, state)
    changed, following, is_last = _changed(connection, tenant_id, state, feed, KINDS[Feed.DEVICES])
    objects = list(dict.fromkeys(change.other for change in changed))
    present: dict[str, Device | ExistingRegistration] = {}
    present |= {each.object_id: each for each in registration_rows.find_unused_objects(connection, tenant_id, objects)}
    present |= {each.object_id: each for each in device_rows.find_objects(connection, tenant_id, objects)}
    entries = tuple(FollowedDevice(object_id=each, now=present.get(each)) for each in objects)
    return FollowedPage(entries=entries, state=following, is_last=is_last)


def groups_page(
    connection: Connection, tenant_id: TenantId, state: State, feed: FeedState
) -> FollowedPage[FollowedGroup]:
    """Return the next page of a walk through the groups, and their members where the client wants them."""
    if state.listing:
        return _listed_groups(connection, tenant_id, state)
    kinds = KINDS[Feed.GROUPS] if state.with_members else (Kind.GROUP,)
    changed, following, is_last = _changed(connection, tenant_id, state, feed, kinds)
    entries = tuple(_changed_groups(connection, tenant_id, changed))
    return FollowedPage(entries=entries, state=following, is_last=is_last)


def _listed_groups(connection: Connection, tenant_id: TenantId, state: State) -> FollowedPage[FollowedGroup]:
    """List groups and members, at most a page of either: a large group comes in several parts, on several pages."""
    halfway = groups.find(connection, GroupId(state.id)) if state.other else None
    found = list(groups.list_groups(connection, tenant_id, Page(size=state.size + 1, after=state.id or None)))
    if halfway is not None and halfway.tenant_id == tenant_id:
        found.insert(0, halfway)
    shown, place = found[: state.size], (found[state.size - 1].id, "") if len(found) > state.size else None
    members: dict[str, list[str]] = {}
    if state.with_members:
        after = (GroupId(state.id), DeviceId(state.other))
        found_members = group_members.members_after(connection, [group.id for group in shown], after, state.size + 1)
        if len(found_members) > state.size:
            found_members = found_members[: state.size]
            place = found_members[-1].group_id, found_members[-1].device_id
            shown = [group for group in shown if group.id <= place[0]]
        for member in found_members:
            members.setdefault(member.group_id, []).append(member.object_id)
    entries = [FollowedGroup(id=group.id, now=group, joined=tuple(members.get(group.id, ()))) for group in shown]
    if place is None:
        return _listed(entries, state)
    return _more(entries, replace(state, id=place[0], other=place[1]))


def _changed_groups(connection: Connection, tenant_id: TenantId, changed: Sequence[Change]) -> Iterator[FollowedGroup]:
    present = {
        group.id: group
        for group in groups.find_many(connection, {GroupId(change.id) for change in changed})
        if group.tenant_id == tenant_id
    }
    pairs = [(GroupId(change.id), change.other) for change in changed if change.kind is Kind.MEMBER]
    belonging = group_members.belonging(connection, pairs)
    itself = {change.id for change in changed if change.kind is Kind.GROUP}
    for group_id in dict.fromkeys(change.id for change in changed):
        group = present.get(GroupId(group_id))
        if group is None:
            if group_id in itself:  # else that it is gone stands on another page
                yield FollowedGroup(id=GroupId(group_id), now=None)
            continue
        theirs = [pair for pair in pairs if pair[0] == group_id]
        yield FollowedGroup(
            id=group.id,
            now=group,
            joined=tuple(pair[1] for pair in theirs if pair in belonging),
            left=tuple(pair[1] for pair in theirs if pair not in belonging),
        )


def _changed(
    connection: Connection, tenant_id: TenantId, state: State, feed: FeedState, kinds: tuple[Kind, ...]
) -> tuple[Sequence[Change], State, bool]:
    """Read the next changes of a round; the first of its pages says at which version it ends."""
    upto = state.upto or feed.version
    size = state.size
    found = changes.list_changes(connection, tenant_id, kinds, state.place, upto=upto, size=size + 1)
    if len(found) > size:
        place = found[size - 1].place
        return found[:size], replace(state, version=place.version, id=place.id, other=place.other, upto=upto), False
    return found, replace(state, version=max(upto, state.version), id="", other="", upto=0), True


def _more(shown: Sequence[T], state: State) -> FollowedPage[T]:
    return FollowedPage(entries=tuple(shown), state=state, is_last=False)


def _listed(shown: Sequence[T], state: State) -> FollowedPage[T]:
    return FollowedPage(entries=tuple(shown), state=replace(state, listing=False, id="", other=""), is_last=True)


def _name(found: Device | ExistingRegistration) -> str:
    return found.id if isinstance(found, Device) else found.device_id
