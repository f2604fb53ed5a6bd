"""Bring the mounts of this machine into the state of a plan, and back: what was before is written down first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from shieldwall.agent.host.errors import ProgramError
from shieldwall.agent.host.in_time import HungError, in_time
from shieldwall.agent.host.ports import Host
from shieldwall.agent.providers.base import ProviderError
from shieldwall.agent.providers.hardening import systemd
from shieldwall.agent.providers.hardening.mount_plan import (
    BEFORE,
    REMOVABLE_FLAGS,
    SYSTEM_DIRECTORIES,
    USER_DIRECTORIES,
    MountPlan,
)
from shieldwall.agent.providers.hardening.mountinfo import Mount, binds_itself, containing, parse, visible

MOUNTS: Final = PurePosixPath("/proc/self/mountinfo")
MOUNTS_OF_INIT: Final = PurePosixPath("/proc/1/mountinfo")

_BY_SYSTEMD: Final = ("--quiet", "--wait", "--collect", "--pipe", "--service-type=exec", "--")
_ELSEWHERE: Final = 99
_SCRIPT: Final = f'cd -P -- "$1" && [ "$(pwd -P)" = "$1" ] || exit {_ELSEWHERE}; shift; exec "$@"'
_ENTER: Final = ("/bin/sh", "-c", _SCRIPT, "sh")
_BLOCK_DEVICES: Final = PurePosixPath("/sys/dev/block")


class MountError(ProviderError):
    """A directory could not be mounted as a rule wants it."""

    code = "mountFailed"
    remedy = "Mount the directory by hand as the cause says; the kernel's log tells why it refuses."


def reconcile(host: Host, plan: MountPlan) -> None:
    """Give every mount concerned its flags, and all that we touched earlier its own. Raises: MountError, HostError."""
    listing = host.read_file(mounts_file(host))
    if listing is None:
        return
    before = _before(host, listing, plan)
    if before is None:
        return
    for directory in (*sorted(plan.flags), *plan.open):
        _make_mount(host, directory)
    for mount in reversed(_current(host)):
        if _is_superfluous(host, mount, before, plan):
            _take_away(host, mount)
    mounts = _current(host)
    for mount in visible(mounts).values():
        flags = _flags(host, mounts, mount, before, plan)
        if flags is not None and mount.options(flags) != mount.options(mount.flags):
            _note(host, mounts, mount)
            _remount(host, mount, flags, plan)
    if plan.is_empty:
        _refuse_held(host, before)
        host.write_file(BEFORE, None)


def shortfalls(host: Host, plan: MountPlan) -> tuple[str, ...]:
    """Say in words where the mounts are not as the plan wants them, be it behind a link. Raises: HostError."""
    mounts = _current(host)
    faults: list[str] = []
    for directory, wanted in sorted(plan.flags.items()):
        place = _place(host, directory) or _behind_link(host, directory)
        mount = containing(mounts, place) if place is not None else None
        flags = frozenset[str]() if mount is None else mount.flags
        if place is not None and not wanted <= flags:
            faults.append(f"{directory} is mounted without {', '.join(sorted(wanted - flags))}.")
    for mount in visible(mounts).values():
        missing = _wanted(host, mount, plan) - mount.flags
        if missing and not any(mount.target == _place(host, directory) for directory in plan.flags):
            faults.append(f"{mount.target} is mounted without {', '.join(sorted(missing))}.")
    return tuple(faults)


def missing(host: Host, directories: Iterable[PurePosixPath]) -> tuple[PurePosixPath, ...]:
    """Return the directories that are not there, or are links: nothing is mounted through a link."""
    return tuple(directory for directory in directories if _place(host, directory) is None)


def mounts_file(host: Host) -> PurePosixPath:
    """Return where the mounts of the machine are listed, also for a process that has mounts of its own."""
    return MOUNTS_OF_INIT if _through(host) else MOUNTS


def is_removable(host: Host, device: str) -> bool:
    """Say whether a device can be pulled out: its disk says so, or it is at USB. Raises: HostError."""
    located = host.locate(_BLOCK_DEVICES / device)
    if not located.exists():
        return False
    real = located.resolve()
    if any(part.startswith("usb") for part in real.parts):
        return True
    disk = real if (real / "removable").exists() else real.parent
    return (disk / "removable").is_file() and (disk / "removable").read_text().strip() == "1"


def _flags(
    host: Host, mounts: Sequence[Mount], mount: Mount, before: dict[PurePosixPath, Mount], plan: MountPlan
) -> frozenset[str] | None:
    """Return the flags that a mount shall have, its own and the plan's; ``None`` where it is not our business."""
    wanted = _wanted(host, mount, plan)
    if not wanted and mount.target not in before and not _is_in_scope(host, mount):
        return None
    return _own_flags(mounts, mount, before) | wanted


def _own_flags(mounts: Sequence[Mount], mount: Mount, before: dict[PurePosixPath, Mount]) -> frozenset[str]:
    """Return the flags that a mount has without us; one that we made has those of what it lies on."""
    if mount.target in before:
        return before[mount.target].flags
    around = containing(mounts, mount.target.parent) if binds_itself(mounts, mount) else None
    return mount.flags if around is None else _own_flags(mounts, around, before)


def _wanted(host: Host, mount: Mount, plan: MountPlan) -> frozenset[str]:
    flags = plan.wanted(_logical(host, mount.target))
    if plan.removable and _may_be_held(host, mount, plan) and is_removable(host, mount.device):
        flags |= REMOVABLE_FLAGS
    return flags


def _may_be_held(host: Host, mount: Mount, plan: MountPlan) -> bool:
    target = _logical(host, mount.target)
    if target == PurePosixPath("/") or any(target.is_relative_to(directory) for directory in SYSTEM_DIRECTORIES):
        return False
    return not any(target.is_relative_to(path) for path in plan.left_out)


def _is_in_scope(host: Host, mount: Mount) -> bool:
    target = _logical(host, mount.target)
    return any(target.is_relative_to(directory) for directory in USER_DIRECTORIES)


def _is_superfluous(host: Host, mount: Mount, before: dict[PurePosixPath, Mount], plan: MountPlan) -> bool:
    """Say whether a mount is one that we made and that no directory of the plan needs any more."""
    if mount.target in before or not _is_in_scope(host, mount) or not binds_itself(_current(host), mount):
        return False
    return _logical(host, mount.target) not in {*plan.flags, *plan.open}


def _make_mount(host: Host, directory: PurePosixPath) -> None:
    """Make a directory a mount of its own, with all that is mounted below, if it is none."""
    place = _place(host, directory)
    if place is None or place in visible(_current(host)):
        return
    _mount(host, place, "--rbind", ".")
    # What is unmounted below the new mount must stay mounted below the old one, so it follows and does not lead.
    _mount(host, place, "--make-rslave")
    _mount(host, place, "--make-rshared")


def _take_away(host: Host, mount: Mount) -> None:
    """Unmount what we made. Where somebody works in it, it stays, with the flags of before: nothing is to be felt."""
    host.run([*_through(host), host.find_program("umount") or "umount", "-R", str(mount.target)])


def _before(host: Host, listing: bytes, plan: MountPlan) -> dict[PurePosixPath, Mount] | None:
    """Return the mounts as they were, and write them down when nobody did since the last start."""
    noted = host.read_file(BEFORE)
    if noted is None and plan.is_empty:
        return None
    if noted is None:
        host.write_file(BEFORE, listing, mode=0o600)
    return visible(parse(listing if noted is None else noted))


def _note(host: Host, mounts: Sequence[Mount], mount: Mount) -> None:
    """Write down a mount that came after the others were, before it is changed for the first time."""
    noted = host.read_file(BEFORE)
    if noted is None or mount.target in visible(parse(noted)) or binds_itself(mounts, mount):
        return
    host.write_file(BEFORE, noted.rstrip(b"\n") + b"\n" + mount.line + b"\n", mode=0o600)


def _current(host: Host) -> tuple[Mount, ...]:
    root = PurePosixPath(host.root)
    return tuple(
        mount for mount in parse(host.read_file(mounts_file(host)) or b"") if mount.target.is_relative_to(root)
    )


def _place(host: Host, directory: PurePosixPath) -> PurePosixPath | None:
    """Return where a directory really is; ``None`` when there is none, or a link leads away from its name."""
    located: Path = host.locate(directory)
    try:
        is_so = in_time(f"The directory {located}", lambda: located.is_dir() and located.resolve() == located)
    except HungError:
        return None  # whoever serves what is mounted there does not answer, and no mount can be made upon it
    return PurePosixPath(located) if is_so else None


def _behind_link(host: Host, directory: PurePosixPath) -> PurePosixPath | None:
    """Return where whoever goes to a directory arrives; ``None`` when that is none, or nobody answers there."""
    located: Path = host.locate(directory)
    try:
        real = in_time(f"The directory {located}", lambda: located.resolve() if located.is_dir() else None)
    except (HungError, OSError, RuntimeError):
        return None
    return None if real is None else PurePosixPath(real)


def _logical(host: Host, target: PurePosixPath) -> PurePosixPath:
    """Return a path of this process as one of the managed system."""
    root = PurePosixPath(host.root)
    return PurePosixPath("/") / target.relative_to(root) if target.is_relative_to(root) else target


def _through(host: Host) -> tuple[str, ...]:
    """Return the words by which systemd does it for us, where what this process mounts stays within its own unit."""
    program = host.find_program("systemd-run")
    if host.root != Path("/") or program is None or not systemd.runs(host):
        return ()
    # Every mount has a number of its own, also the copy of one in another namespace.
    own, of_init = ({mount.id for mount in parse(host.read_file(path) or b"")} for path in (MOUNTS, MOUNTS_OF_INIT))
    return (program, *_BY_SYSTEMD) if of_init and not own & of_init else ()


def _remount(host: Host, mount: Mount, flags: frozenset[str], plan: MountPlan) -> None:
    """Give a mount its flags. One odd mount below must not undo all others: that it lacks them is seen afterwards.

    Raises:
        MountError, ProgramError: It is one of the plan's own directories.
    """
    try:
        _mount(host, mount.target, "-o", f"remount,bind,{mount.options(flags)}", "none")
    except (MountError, ProgramError):
        if _logical(host, mount.target) in plan.flags:
            raise


def _refuse_held(host: Host, before: dict[PurePosixPath, Mount]) -> None:
    """Raise where a mount has not got back what it allowed: what was before stays known, so that it gets it later.

    Raises:
        MountError: It is so.
    """
    mounts = _current(host)
    held = [
        mount.target
        for mount in visible(mounts).values()
        if (flags := _flags(host, mounts, mount, before, MountPlan())) is not None
        and (mount.flags - flags) & REMOVABLE_FLAGS
    ]
    if held:
        raise MountError(f"These are still mounted as a policy wanted it: {', '.join(map(str, held[:5]))}.")


def _mount(host: Host, place: PurePosixPath, *words: str) -> None:
    """Mount upon a directory that is entered first: whoever may rename it meanwhile leads us nowhere else.

    Raises:
        MountError: mount refuses, or another directory than that one is there now.
    """
    program = host.find_program("mount") or "mount"
    completed = host.run([*_through(host), *_ENTER, str(place), program, "--no-canonicalize", *words, "."])
    if completed.returncode == _ELSEWHERE:
        raise MountError(f"{place} is another directory than it was a moment ago.")
    if completed.returncode != 0:
        said = completed.stderr.decode(errors="replace").strip().split("\n")[0][:400]
        raise MountError(f"mount {' '.join(words)} on {place} failed: {said}.")
