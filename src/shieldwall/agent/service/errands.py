"""Errands: what an administrator wants done with the device key, where nobody but the agent's own account has that.

On Linux root becomes the agent's user for that. Windows lets nobody become a service, and a key in its TPM or sealed by
its DPAPI belongs to the account that made it. So the command line leaves an errand in a directory that administrators
and the agent alone may use, and waits for what the agent writes beside it. ``NAME.errand`` is read once and is gone
before it is done: an errand that breaks the agent is not done again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import msgspec
from msgspec import Struct

from shieldwall.agent.service.disk import Disk
from shieldwall.agent.service.package_file import open_leave
from shieldwall.contract.errors import InvalidJsonError, ShieldwallError
from shieldwall.contract.strict_json import decode, encode
from shieldwall.trust.onboarding import MAX_PACKAGE_BYTES, open_package

if TYPE_CHECKING:
    from shieldwall.agent.service.assembly import Surroundings

DIRECTORY: Final = "errands"
ASKED: Final = ".errand"
DONE: Final = ".done"
_Package = Annotated[str, msgspec.Meta(max_length=MAX_PACKAGE_BYTES)]
_Text = Annotated[str, msgspec.Meta(max_length=4096)]


class Errand(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"):
    """What is to be done; ``package`` is the content of an onboarding or offboarding package.

    ``certificate`` and ``key`` are the files of a registration that the machine has; the agent itself reads them.
    """

    kind: Literal["onboard", "join", "offboard"]
    package: _Package | None = None
    certificate: _Text | None = None
    key: _Text | None = None
    proxy: _Text | None = None
    reason: _Text = ""
    without_server: bool = False


class Outcome(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What came of it: ``code`` is that of a refusal, or empty."""

    code: _Text = ""
    cause: _Text = ""
    remedy: _Text = ""


class Errands(Struct, frozen=True, kw_only=True):
    """The directory of errands, from both sides. Every method may raise ``HostError``."""

    directory: Path
    disk: Disk

    def ask(self, name: str, errand: Errand) -> None:
        """Leave an errand."""
        self.disk.write(self.directory / f"{name}{ASKED}", encode(errand))

    def outcome(self, name: str) -> Outcome | None:
        """Take what came of it; ``None`` while nothing has."""
        path = self.directory / f"{name}{DONE}"
        content = self.disk.read(path)
        if content is None:
            return None
        self.disk.remove(path)
        return decode(content, Outcome)

    def take(self) -> Iterator[tuple[str, Errand | ShieldwallError]]:
        """Take every errand that waits, in the order of their names."""
        for file in self.disk.names(self.directory):
            if not file.endswith(ASKED):
                continue
            path = self.directory / file
            content = self.disk.read(path) or b""
            self.disk.remove(path)
            try:
                yield file.removesuffix(ASKED), decode(content, Errand)
            except InvalidJsonError as error:
                yield file.removesuffix(ASKED), error

    def answer(self, name: str, outcome: Outcome) -> None:
        """Write what came of it."""
        self.disk.write(self.directory / f"{name}{DONE}", encode(outcome))


class RunErrands(Struct, frozen=True, kw_only=True):
    """Does errands in the name of the agent. ``platform`` is the one that packages must be for."""

    errands: Errands
    surroundings: Callable[[], Surroundings]
    platform: str

    def __call__(self) -> frozenset[str]:
        """Do what waits; returns the kinds of what succeeded."""
        done: set[str] = set()
        for name, errand in self.errands.take():
            try:
                if isinstance(errand, ShieldwallError):
                    raise errand
                self._do(errand)
            except ShieldwallError as error:
                self.errands.answer(
                    name, Outcome(code=error.code, cause=error.cause[:4096], remedy=error.advice[:4096])
                )
            else:
                done.add(errand.kind)
                self.errands.answer(name, Outcome())
        return frozenset(done)

    def _do(self, errand: Errand) -> None:
        surroundings = self.surroundings()
        content = None if errand.package is None else errand.package.encode()
        if errand.certificate is not None and errand.key is not None:
            surroundings.existing.use_files(Path(errand.certificate), Path(errand.key))
        match errand.kind:
            case "onboard":
                package = open_package(content or b"", surroundings.clock.now())
                surroundings.onboard()(package, proxy=errand.proxy)
            case "join" if content is not None:
                surroundings.join()(open_package(content, surroundings.clock.now()), proxy=errand.proxy)
            case "join":
                pass  # the files alone: the registration is used at the next check-in
            case "offboard":
                identity = surroundings.state.get_identity()
                now = surroundings.trusted_clock.now()
                leave = None if content is None else open_leave(content, identity, self.platform, now)
                surroundings.promote().finish()
                offboard = surroundings.enrolled().offboard
                offboard.check_allowed(leave)
                offboard(reason=errand.reason, without_server=errand.without_server, package=leave)
