"""One identity on two machines: what gives a clone away, and what never does."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import combinations, pairwise

from hypothesis import given
from hypothesis import strategies as st
from tests.support.samples import NOON, TENANT_ID, device_id

from shieldwall.contract.strict_json import digest_of_bytes
from shieldwall.server.manager.clones import ALTERNATIONS, RESYNC_WINDOW, CloneSign, sign_of_clone
from shieldwall.server.storage.devices.sightings import MOST_KEPT, Sighting, SightingKind

CHECK_IN, RESYNC, RELEASED = SightingKind.CHECK_IN, SightingKind.RESYNC, SightingKind.RELEASED


@dataclass
class History:
    """Sightings in the order they were made, an hour apart unless said otherwise."""

    made: list[Sighting] = field(default_factory=list)
    hours: float = 0.0

    def see(self, instance: str, boot: str, kind: SightingKind = CHECK_IN, *, after: float = 1.0) -> History:
        self.hours += after
        self.made.append(
            Sighting(
                tenant_id=TENANT_ID,
                device_id=device_id(1),
                at=NOON + timedelta(hours=self.hours),
                kind=kind,
                instance_id=instance,
                boot_id=boot,
                request_digest=digest_of_bytes(b""),
                epoch=1,
            )
        )
        return self

    @property
    def sign(self) -> CloneSign | None:
        return sign_of_clone(self.made)


def places(*names: str) -> History:
    """See one installation after the other, each in one boot."""
    history = History()
    for name in names:
        history.see(name, f"boot of {name}")
    return history


def test_one_resync_in_a_day_says_nothing() -> None:
    assert History().see("a", "1").see("a", "2", RESYNC).see("a", "2").sign is None


def test_two_resyncs_of_one_installation_say_nothing() -> None:
    assert History().see("a", "1").see("a", "2", RESYNC).see("a", "3", RESYNC).sign is None


def test_two_resyncs_of_two_installations_within_a_day_give_a_clone_away() -> None:
    assert History().see("a", "1", RESYNC).see("b", "2", RESYNC, after=23.9).sign is CloneSign.TWO_RESYNCS


def test_two_resyncs_of_two_installations_a_day_apart_say_nothing_yet() -> None:
    hours = RESYNC_WINDOW / timedelta(hours=1)
    assert History().see("a", "1", RESYNC).see("b", "2", RESYNC, after=hours).sign is None


def test_a_machine_that_moved_and_one_that_came_back_from_a_snapshot_say_nothing() -> None:
    assert places("a", "b").sign is None
    assert places("a", "b", "a").sign is None


def test_two_installations_in_turn_give_a_clone_away() -> None:
    assert places("a", "b", "a", "b").sign is CloneSign.ALTERNATING


def test_a_third_machine_in_between_hides_nothing() -> None:
    assert places("a", "c", "b", "c2", "a", "c3", "b").sign is CloneSign.ALTERNATING


def test_two_boots_in_turn_give_a_clone_away_that_kept_its_installation_id() -> None:
    assert History().see("a", "1").see("a", "2").see("a", "1").see("a", "2").sign is CloneSign.ALTERNATING


def test_two_installations_give_themselves_away_whatever_they_boot() -> None:
    history = History()
    for number in range(4):
        history.see("ab"[number % 2], str(number))
    assert history.sign is CloneSign.ALTERNATING


def test_one_disk_that_wanders_between_two_running_machines_is_found_by_their_boots() -> None:
    history = History()
    for number in range(4):
        history.see(f"drawn anew {number}", "xy"[number % 2])
    assert history.sign is CloneSign.ALTERNATING


def test_boots_that_nobody_can_name_say_nothing() -> None:
    history = History()
    for number in range(6):
        history.see(f"drawn anew {number}", "" if number % 2 else "x")
    assert history.sign is None


@dataclass(frozen=True)
class Step:
    """What one machine does next."""

    what: str
    hours: float


STEPS = st.builds(
    Step,
    what=st.sampled_from(["boot", "new hardware", "machine id made anew"]),
    hours=st.floats(0.01, 500, allow_nan=False),
)


@given(st.lists(STEPS, max_size=30), st.sets(st.integers(0, 29), max_size=3))
def test_whatever_one_machine_does_it_is_never_a_clone(steps: list[Step], restored: set[int]) -> None:
    """Boots and installations of one machine never come back; a snapshot is restored once a day at most."""
    history, boot, instance = History(), 0, 0
    last_resync = -100.0
    for number, step in enumerate(steps):
        boot += 1
        instance += step.what != "boot"
        history.see(str(instance), str(boot), after=step.hours)
        if number in restored and history.hours - last_resync > 24:
            boot += 1
            history.see(str(instance), str(boot), RESYNC)
            last_resync = history.hours
        assert history.sign is None


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from([CHECK_IN, RESYNC]), st.floats(0.01, 100)), max_size=20)
)
def test_two_machines_that_took_three_turns_are_always_found(told: list[tuple[str, SightingKind, float]]) -> None:
    history = History()
    for name, kind, hours in told:
        history.see(name, f"boot of {name}", kind, after=hours)
    names = [name for name, _, _ in told]
    if sum(one != other for one, other in pairwise(names)) >= 3:
        assert history.sign is not None


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([CHECK_IN, RESYNC])), max_size=20))
def test_a_release_takes_everything_before_it_back(told: list[tuple[str, SightingKind]]) -> None:
    history = History()
    for name, kind in told:
        history.see(name, "boot", kind)
    assert history.see("a", "", RELEASED).sign is None
    assert history.see("a", "boot", RESYNC).sign is None


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from([CHECK_IN, RESYNC])), max_size=12), st.integers(0, 5))
def test_a_clone_that_was_found_stays_found(told: list[tuple[str, SightingKind]], more: int) -> None:
    history, found = History(), False
    for name, kind in [*told, *_fresh(more)]:
        history.see(name, f"boot of {name}", kind)
        found = found or history.sign is not None
        assert (history.sign is not None) == found


def _fresh(count: int) -> Iterable[tuple[str, SightingKind]]:
    return ((f"new {number}", CHECK_IN) for number in range(count))


@given(st.lists(st.sampled_from("abcde"), max_size=MOST_KEPT))
def test_turns_are_taken_exactly_where_some_two_places_alternate_three_times(names: list[str]) -> None:
    pairs = combinations(sorted(set(names)), 2)
    turns = [sum(one != other for one, other in pairwise(name for name in names if name in pair)) for pair in pairs]

    assert (places(*names).sign is CloneSign.ALTERNATING) == (max(turns, default=0) >= ALTERNATIONS)


class Compared(str):
    """A name of a place that counts how often it is compared with others."""

    __slots__ = ()
    times = 0

    def __eq__(self, other: object) -> bool:
        Compared.times += 1
        return str(self) == other

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = str.__hash__


def test_a_device_that_never_speaks_from_the_same_place_twice_makes_little_work() -> None:
    history = places(*(Compared(number) for number in range(MOST_KEPT)))
    Compared.times = 0

    assert history.sign is None
    assert Compared.times <= MOST_KEPT
