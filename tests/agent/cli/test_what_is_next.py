"""What a person is told after onboarding: the truth of this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from shieldwall.agent.providers import systemd
from shieldwall.cli.agent_next import BY_HAND, what_is_next, words

ENABLED = {"LoadState": "loaded", "ActiveState": "active", "UnitFileState": "enabled"}
DEAD = {"LoadState": "loaded", "ActiveState": "inactive", "UnitFileState": "enabled"}
DISABLED = {"LoadState": "loaded", "ActiveState": "inactive", "UnitFileState": "disabled"}
NONE = {"LoadState": "not-found", "ActiveState": "inactive", "UnitFileState": ""}


def test_on_a_packaged_machine_nobody_is_told_to_start_what_starts_by_itself() -> None:
    for service in (ENABLED, DEAD, {**DEAD, "ActiveState": "activating"}):
        told = words(service, ENABLED)
        assert "shieldwall-agent run" not in told
        assert "systemctl enable" not in told
        assert "systemctl status shieldwall-agent.service" in told
    assert words(ENABLED, ENABLED).startswith("The agent runs.")
    assert words(DEAD, ENABLED).startswith("systemd starts the agent by itself now.")


def test_where_somebody_switched_it_off_the_command_that_helps_is_named() -> None:
    assert "systemctl enable --now shieldwall-agent.path shieldwall-agent.service" in words(DISABLED, DISABLED)
    assert "At the next boot it does not" in words({**DISABLED, "ActiveState": "active"}, DISABLED)


def test_without_our_units_it_is_started_by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert words(NONE, NONE) == BY_HAND
    assert what_is_next(tmp_path, is_split=True) == BY_HAND, "systemd runs no root of its own"

    monkeypatch.setattr(systemd, "runs", lambda _host: True)
    monkeypatch.setattr(systemd, "show", lambda _host, _unit, *_names: ENABLED)
    assert what_is_next(Path("/"), is_split=False) == BY_HAND
    assert what_is_next(Path("/"), is_split=True).startswith("The agent runs.")
