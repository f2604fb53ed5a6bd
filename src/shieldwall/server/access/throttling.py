"""Bounds on what a caller may ask in a time, and on how often somebody may try to come in (decision 0032).

Every limit is a token bucket, kept as one number a name: the moment at which it will be full again (the generic cell
rate algorithm, ITU-T I.371). Nothing here knows a database or a clock of its own, and memory is bounded.
"""

from __future__ import annotations

import ipaddress
import math
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Final

import msgspec

from shieldwall.contract.errors import ShieldwallError

MOST_NAMES: Final = 10_000
Count = Annotated[int, msgspec.Meta(ge=1, le=10_000_000)]


class TooManyRequestsError(ShieldwallError):
    """The caller, or all callers of the tenant together, asked more than one may in this time."""

    code = "tooManyRequests"
    remedy = "Wait as many seconds as Retry-After says, then try again; ask for less at a time."

    def __init__(self, cause: str, *, seconds: float) -> None:
        super().__init__(cause)
        self.retry_after = max(1, math.ceil(seconds))
        """Whole seconds to wait, at least 1."""


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """How much may be asked: of Graph in 20 seconds, of Defender's API in a minute and an hour (as published there).

    ``attempts`` bounds how often one may try to come in within 15 minutes: to one account from one address, to one
    account from all addresses that its owner never came from, and from one address to all accounts.
    """

    app_requests: Count = 2_000
    tenant_requests: Count = 4_000
    app_writes: Count = 1_000
    tenant_writes: Count = 2_000
    defender_per_minute: Count = 100
    defender_per_hour: Count = 1_500
    account_attempts: Count = 10
    stranger_attempts: Count = 50
    address_attempts: Count = 300


GRAPH_SECONDS: Final = 20.0
MINUTE: Final = 60.0
HOUR: Final = 3_600.0
ATTEMPT_SECONDS: Final = 900.0
_ROUNDING: Final = 1e-6
"""Seconds that thousands of sums may be wrong by."""


class Meter:
    """Lets each name have ``count`` at once, and as many again in ``seconds``."""

    def __init__(self, count: int, seconds: float, *, most_names: int = MOST_NAMES) -> None:
        self._interval: Final = seconds / count
        self._room: Final = self._interval * (count - 1)
        self._most_names: Final = most_names
        self._full_at: dict[str, float] = {}

    def wait(self, name: str, now: float) -> float:
        """Say in how many seconds a name may have one; 0 means now."""
        wait = self._full_at.get(name, now) - self._room - now
        return wait if wait > _ROUNDING else 0.0

    def take(self, name: str, now: float) -> None:
        """Let a name have one."""
        full_at = max(self._full_at.pop(name, now), now) + self._interval
        self._full_at[name] = full_at  # last in the order, which is that of use
        if len(self._full_at) > self._most_names:
            del self._full_at[next(iter(self._full_at))]

    def give_back(self, name: str) -> None:
        """Take back one that was taken for nothing."""
        if name in self._full_at:
            self._full_at[name] -= self._interval

    def __len__(self) -> int:
        """How many names are known."""
        return len(self._full_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request of somebody who is known: ``caller`` is the application or the person."""

    tenant: str
    caller: str
    writes: bool
    of_defender: bool = False


class Throttle:
    """Decides about requests. A request that is refused uses nothing up."""

    def __init__(self, limits: Limits, monotonic: Callable[[], float]) -> None:
        self._monotonic: Final = monotonic
        self._lock: Final = threading.Lock()  # requests are let in on threads, where it is asked who sends them
        self._of_caller: Final = Meter(limits.app_requests, GRAPH_SECONDS)
        self._of_tenant: Final = Meter(limits.tenant_requests, GRAPH_SECONDS)
        self._writes_of_caller: Final = Meter(limits.app_writes, GRAPH_SECONDS)
        self._writes_of_tenant: Final = Meter(limits.tenant_writes, GRAPH_SECONDS)
        self._per_minute: Final = Meter(limits.defender_per_minute, MINUTE)
        self._per_hour: Final = Meter(limits.defender_per_hour, HOUR)

    def admit(self, call: Call) -> None:
        """Let a request pass.

        Raises:
            TooManyRequestsError: Not now.
        """
        with self._lock:
            _take_all(self._meters(call), self._monotonic(), "Too many requests were sent in a short time.")

    def _meters(self, call: Call) -> list[tuple[Meter, str]]:
        caller = f"{call.tenant} {call.caller}"
        if call.of_defender:
            return [(self._per_minute, caller), (self._per_hour, caller)]
        meters = [(self._of_caller, caller), (self._of_tenant, call.tenant)]
        if call.writes:
            meters += [(self._writes_of_caller, caller), (self._writes_of_tenant, call.tenant)]
        return meters


class Attempts:
    """Decides about attempts to come in with something that can be guessed: a secret, a code.

    Nobody locks an owner out: attempts from elsewhere use up the room of strangers, and an address from which the
    account was entered before has its own. What cannot be guessed, a passkey or a signed assertion, is no attempt.
    """

    def __init__(self, limits: Limits, monotonic: Callable[[], float]) -> None:
        self._monotonic: Final = monotonic
        self._lock: Final = threading.Lock()  # attempts are made on threads: to check a secret takes a while
        self._from_here: Final = Meter(limits.account_attempts, ATTEMPT_SECONDS)
        self._of_strangers: Final = Meter(limits.stranger_attempts, ATTEMPT_SECONDS)
        self._of_address: Final = Meter(limits.address_attempts, ATTEMPT_SECONDS)
        self._known: Final[dict[str, None]] = {}

    def admit(self, account: str, address: str) -> None:
        """Let somebody try; what is tried counts until ``succeeded`` says that it was right.

        Raises:
            TooManyRequestsError: Not now.
        """
        with self._lock:
            cause = "Too many attempts to sign in were made in a short time."
            _take_all(self._meters(account, address), self._monotonic(), cause)

    def succeeded(self, account: str, address: str) -> None:
        """Say that the attempt was right: it does not count, and the address is one of the owner's."""
        with self._lock:
            for meter, name in self._meters(account, address):
                meter.give_back(name)
            name = _pair(account, address)
            self._known.pop(name, None)
            self._known[name] = None
            if len(self._known) > MOST_NAMES:
                del self._known[next(iter(self._known))]

    def _meters(self, account: str, address: str) -> list[tuple[Meter, str]]:
        name = _pair(account, address)
        meters = [(self._from_here, name), (self._of_address, network_of(address))]
        return meters if name in self._known else [*meters, (self._of_strangers, account)]


def network_of(address: str) -> str:
    """Name what one may take for a single client: an IPv4 address, or the /64 of an IPv6 address."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is None:
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else parsed)


def _take_all(meters: Iterable[tuple[Meter, str]], now: float, cause: str) -> None:
    """Take one of each, or none. Raises: TooManyRequestsError."""
    wanted = list(meters)
    wait = max(meter.wait(name, now) for meter, name in wanted)
    if wait > 0:
        raise TooManyRequestsError(cause, seconds=wait)
    for meter, name in wanted:
        meter.take(name, now)


def _pair(account: str, address: str) -> str:
    return f"{account[:256]} {network_of(address)}"
