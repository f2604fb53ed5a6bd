"""What a test needs of the machine: where that is missing it is skipped with a line that says so; on CI it fails."""

from __future__ import annotations

import fcntl
import gc
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import HealthCheck, settings
from tests.support.campaign import size
from tests.support.scratch import scratch_for_programs

if TYPE_CHECKING:
    from tests.support.sharing import Sharing
    from xdist.remote import Producer

settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")
"""No property is a timed test, on a machine that is busy with something else least of all."""

settings.register_profile(
    "campaign",
    max_examples=size(short=1_000, full=100_000),
)
"""``make campaign``: hours, on demand."""

if (in_memory := scratch_for_programs()) is not None:
    # Server, agent and applier let all that they write outlive a power cut: tests waited for the disk most of the time.
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(in_memory))

gc.disable()  # until all tests are collected: two thousand modules, and nothing of them is garbage
with suppress(ImportError):  # before anything loads structlog with what draws tracebacks, half a minute for one
    import shieldwall.server.plain_logging  # noqa: F401 - see above

os.umask(_MASK := os.umask(0o022))
_PATH: Final = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


def _program(name: str) -> bool:
    return shutil.which(name, path=_PATH) is not None


NEEDS: Final[dict[str, tuple[Callable[[], bool], str]]] = {
    "root": (lambda: os.geteuid() == 0, "needs root and network namespaces of its own"),
    "nftables": (lambda: _program("nft") and _program("ip"), "needs nft and ip: apt-get install nftables iproute2"),
    "clamav": (lambda: _program("clamd"), "needs clamd: apt-get install clamav-daemon"),
    "browser": (lambda: _program("chromium"), "needs Chromium: apt-get install chromium"),
    "swtpm": (
        lambda: _program("swtpm") and _program("swtpm_setup"),
        "needs swtpm: apt-get install swtpm swtpm-tools",
    ),
    "audit": (lambda: _program("auditctl"), "needs auditctl: apt-get install auditd"),
    "fapolicyd": (lambda: _program("fapolicyd"), "needs fapolicyd: apt-get install fapolicyd"),
    "wine": (lambda: _program("wine"), "needs wine: apt-get install wine wine64"),
    "nginx": (lambda: _program("nginx"), "needs nginx: apt-get install nginx-light"),
    "haproxy": (lambda: _program("haproxy"), "needs HAProxy: apt-get install haproxy"),
    "pgbouncer": (lambda: _program("pgbouncer"), "needs PgBouncer: apt-get install pgbouncer"),
    "prometheus": (lambda: _program("promtool"), "needs promtool: apt-get install prometheus"),
    "nats": (lambda: _program("nats-server"), "needs a NATS server: apt-get install nats-server"),
}


LONG: Final = (
    *("campaigns/", "cli/", "clients/", "e2e/", "life/", "machine/", "packaging/"),
    *("graph/test_fuzzed_api.py", "inventory/test_life_machine.py"),
)
"""Few tests that take long, because they start whole programs or try much."""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes long: of processes that share the files, none then works alone for minutes at the end."""
    here = Path(__file__).parent
    items.sort(key=lambda item: not item.path.relative_to(here).as_posix().startswith(LONG))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Sharing | None:
    """Let the processes of a test run share its files so that cores idle little."""
    if config.getoption("dist") != "loadfile":
        return None
    from tests.support.sharing import Sharing  # noqa: PLC0415 - only where there are several processes

    return Sharing(config, log)


def pytest_collection_finish() -> None:
    """Leave out of every garbage collection what stays until the end: all modules, with catalog and schemas.

    Putting the application together makes so many objects that each test would go through all of them several times.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    gc.enable()
    gc.collect()  # or what is frozen counts among what lives, and has to grow by a quarter before anything is collected


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown() -> Iterator[None]:
    """Collect what tests left behind between two of them, and soon: an application is a knot of 100 000 objects.

    Millions of them take so long that a test in which they are collected finds its transaction given up by PostgreSQL,
    which waits ten seconds for the next statement.
    """
    yield
    if gc.get_count()[2]:
        gc.collect()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Let tests that change the kernel's audit run one at a time: there is one for the whole machine."""
    if item.get_closest_marker("audit") is None:
        return (yield)
    with (Path(tempfile.gettempdir()) / "shieldwall-tests-audit.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Let a law that is tried a hundred thousand times say how far it is."""
    progress = None
    if "CAMPAIGN" in os.environ and isinstance(item, pytest.Function):
        from tests.support.laws import counted  # noqa: PLC0415 - reads the profile, which is chosen by now

        progress = counted(item.nodeid, item.obj)
    try:
        return (yield)
    finally:
        if progress is not None:
            progress.end()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    os.umask(_MASK)  # programs that a test before ran in this process have set their own
    for name, (is_there, reason) in NEEDS.items():
        if item.get_closest_marker(name) is not None and not is_there():
            if os.environ.get("CI") == "true":
                pytest.fail(f"CI skips nothing: {reason}", pytrace=False)
            pytest.skip(reason)
