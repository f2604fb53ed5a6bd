"""IntuneCD, unmodified: a tenant's configuration saved to files, brought back after a change, and saved again alike.

It has the addresses of Microsoft built in; a proxy on this machine leads it to the server under test.
"""

from __future__ import annotations

import json
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from tests.clients.conftest import DOMAIN, PYTHON, Service
from tests.support.graph_bodies import FILTERS, GROUPS, POLICIES, SAMPLES, a_filter, a_group, a_policy, to_group

_PROGRAMS: Final = PYTHON.parent
_NEVER_SET_UP: Final = ("applePushNotificationCertificate", "androidManagedStoreAccountEnterpriseSettings")
"""What IntuneCD reports as an error wherever a tenant never set it up: single things that are not there."""
_OF_RUNS: Final = ("assignment_report", "backup_summary")


@pytest.fixture(scope="module")
def graph(service: Service) -> Iterator[httpx.Client]:
    """A caller that sets the tenant up and looks at it."""
    trust = ssl.create_default_context(cafile=service.authority)
    with closing(httpx.Client(base_url=service.public_url, verify=trust, timeout=60)) as client:
        answer = client.post(
            f"/{service.tenant_id}/oauth2/v2.0/token",
            data={
                "grant_type": "client_credentials",
                "client_id": service.client_id,
                "client_secret": service.client_secret,
                "scope": "https://graph.microsoft.com/.default",
            },
        )
        client.headers["Authorization"] = f"Bearer {answer.raise_for_status().json()['access_token']}"
        yield client


@pytest.fixture(scope="module")
def policies(graph: httpx.Client) -> dict[str, str]:
    """Policies of every kind that the samples have, one assigned to a group; ids by name."""
    group = graph.post(GROUPS, json=a_group("Linux servers")).raise_for_status().json()
    graph.post(FILTERS, json=a_filter()).raise_for_status()
    made = {}
    for body in [a_policy("Plain"), *(json.loads(file.read_text()) for file in SAMPLES)]:
        answer = graph.post(POLICIES, json=body)
        assert answer.status_code == 201, answer.text
        made[body["name"]] = answer.json()["id"]
    target = {"assignments": [to_group(group["id"])]}
    graph.post(f"{POLICIES}/{made['Plain']}/assign", json=target).raise_for_status()
    return made


def intunecd(service: Service, program: str, path: Path, *words: str) -> str:
    """Run IntuneCD as an administrator does, and return what it printed."""
    done = subprocess.run(
        [_PROGRAMS / program, "--mode", "1", "--path", path, *words],
        env=service.environment(
            HTTPS_PROXY=service.proxy_url,
            TENANT_NAME=DOMAIN,
            CLIENT_ID=service.client_id,
            CLIENT_SECRET=service.client_secret,
        ),
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    errors = [line for line in done.stdout.splitlines() if "[ERROR]" in line]
    assert all(any(name in line for name in _NEVER_SET_UP) for line in errors), done.stdout
    return done.stdout


def saved(path: Path) -> dict[str, Any]:
    """Read a backup: what every file says, by its place."""
    return {
        str(file.relative_to(path)): json.loads(file.read_text())
        for file in sorted(path.rglob("*.json"))
        if not file.stem.startswith(_OF_RUNS)
    }


def test_a_tenant_is_saved_changed_brought_back_and_saved_again_alike(
    service: Service, graph: httpx.Client, policies: dict[str, str], tmp_path: Path
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    intunecd(service, "IntuneCD-startbackup", first)
    before = saved(first)
    assert len([place for place in before if place.startswith("Settings Catalog/")]) == len(policies)

    damaged = graph.patch(f"{POLICIES}/{policies['Plain']}", json=a_policy("Plain", "1"))
    damaged.raise_for_status()
    graph.delete(f"{POLICIES}/{policies[next(name for name in policies if name != 'Plain')]}").raise_for_status()
    intunecd(service, "IntuneCD-startupdate", first, "--update-assignments")

    intunecd(service, "IntuneCD-startbackup", second)
    assert saved(second) == before
    assert {"graph.microsoft.com:443", "login.microsoftonline.com:443"} == set(service.proxy.asked)
