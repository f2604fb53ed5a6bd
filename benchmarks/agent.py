"""What an agent costs a device: memory of its two processes while they wait, CPU of a check-in that changes nothing."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Final

from benchmarks.bars import AGENT_MEMORY, AGENT_SHARE
from benchmarks.figures import Figure
from benchmarks.programs import (
    AGENT,
    SHIELDWALL,
    Server,
    processor_seconds,
    proportional_bytes,
    resident_bytes,
    run,
    started,
    unit,
    wait_until,
)

SAMPLES: Final = Path(__file__).parents[1] / "samples" / "policies"
_REST_SECONDS: Final = 180.0
"""Three looks for drift, whenever it begins."""
_NAMES: Final = ("agent", "applier")
_PERMISSIONS: Final = ("DeviceManagementConfiguration.ReadWrite.All", "Group.ReadWrite.All")


def measure(home: Path, *, quick: bool = False) -> list[Figure]:
    """Measure both processes at rest, with every sample policy in force, and the program that checks in once."""
    check_ins, rest = (3, 20.0) if quick else (15, _REST_SECONDS)
    server = Server(home, admin_port=18453, gateway_port=18454)
    root, state = home / "root", home / "state"
    (root / "etc").mkdir(parents=True)
    (root / "etc/os-release").write_text('PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\nVERSION_ID="12"\n')
    (root / "etc/machine-id").write_text("0123456789abcdef0123456789abcdef\n")
    (root / "etc/opt/microsoft/mdatp").mkdir(parents=True)
    socket = home / "run" / "applier.sock"
    places = ("--root", str(root), "--state", str(state), "--applier", str(socket))
    (agent, surroundings), (applier, others) = map(unit, _NAMES)
    agent += (str(root), str(state), str(socket))
    applier += ("--root", str(root), "--state", str(home / "applier"), "--socket", str(socket), "--agent-user", "0")
    with server.running(*_PERMISSIONS):
        _assign_samples(server)
        with started(applier, home / "applier.log", others) as second:
            wait_until(socket.exists, "the applier")
            run(AGENT, *places, "onboard", str(server.package))
            run(AGENT, *places, "sync")
            log = home / "agent.log"
            with started(agent, log, surroundings) as first:
                wait_until(lambda: log.exists() and "checkedIn" in log.read_text(), "the agent's first check-in")
                figures = _at_rest(first, second, rest)
            synced = [each * 1e3 for each in _costs(check_ins, places)]
    note = "start of the program included; of a running agent see check_in"
    return [*figures, Figure.of("shieldwall-agent sync without news", synced, "ms CPU", note=note)]


def _assign_samples(server: Server) -> None:
    """Give every device every sample policy for Linux."""
    group = server.home / "group.json"
    rule = '(device.deviceOSType -eq "Linux")'
    body = {"displayName": "Everybody", "mailEnabled": False, "mailNickname": "everybody", "securityEnabled": True}
    body |= {"groupTypes": ["DynamicMembership"], "membershipRule": rule, "membershipRuleProcessingState": "On"}
    group.write_text(json.dumps(body))
    run(SHIELDWALL, "api", "POST", "/v1.0/groups", "--body", str(group), environment=server.environment)
    for sample in sorted(SAMPLES.glob("linux-*.json")):
        said = run(SHIELDWALL, "policy", "import", str(sample), "--json", environment=server.environment)
        for made in json.loads(said):
            words = ("policy", "assign", made["id"], "--group", "Everybody")
            run(SHIELDWALL, *words, environment=server.environment)


def _at_rest(agent: int, applier: int, seconds: float) -> list[Figure]:
    pids = [agent, applier]
    time.sleep(20)
    before, moment = processor_seconds(pids, with_children=True), time.monotonic()
    time.sleep(seconds)
    share = (processor_seconds(pids, with_children=True) - before) / (time.monotonic() - moment)
    together = sum(map(proportional_bytes, pids)) / 2**20
    each = ", ".join(
        f"{name} {resident_bytes(pid) / 2**20:.1f} MiB resident" for name, pid in zip(_NAMES, pids, strict=True)
    )
    return [
        Figure("agent and applier at rest", together, "MiB", bar=AGENT_MEMORY, note=f"shared pages divided; {each}"),
        Figure("agent and applier at rest", share * 100, "% of a core", bar=AGENT_SHARE, note=f"over {seconds:.0f} s"),
    ]


def _costs(times: int, places: tuple[str, ...]) -> list[float]:
    costs = []
    for _ in range(times):
        before = os.times()
        run(AGENT, *places, "sync")
        after = os.times()
        costs.append(after.children_user + after.children_system - before.children_user - before.children_system)
    return costs
