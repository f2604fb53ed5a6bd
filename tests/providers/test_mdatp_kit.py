"""The stand-in for mdatp keeps what is published of it: where values come from, what it prints, what it refuses."""

from __future__ import annotations

import json
import plistlib
import subprocess
from pathlib import Path
from typing import Any

import pytest

from shieldwall.testing.mdatp import PretendMdatp
from shieldwall.testing.mdatp.product import FILES

CLOUD = "cloudService.enabled"


@pytest.fixture
def mac(tmp_path: Path) -> PretendMdatp:
    made = PretendMdatp(root=tmp_path, platform="macos")
    made.install()
    return made


@pytest.fixture
def linux(tmp_path: Path) -> PretendMdatp:
    made = PretendMdatp(root=tmp_path)
    made.install()
    return made


def run(mdatp: PretendMdatp, *words: str) -> subprocess.CompletedProcess[str]:
    program = mdatp.root / "bin/mdatp"
    return subprocess.run([program, *words], capture_output=True, text=True, check=False, timeout=30, env={})


def put(mdatp: PretendMdatp, path: str, document: Any) -> None:
    file = mdatp.root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(plistlib.dumps(document) if path.endswith(".plist") else json.dumps(document).encode())


def cloud(enabled: bool) -> dict[str, Any]:
    return {"cloudService": {"enabled": enabled}}


def test_on_macos_attach_outdoes_everything_of_an_mdm_and_an_mdm_what_is_local(mac: PretendMdatp) -> None:
    files = FILES["macos"]
    assert mac.product.effective(CLOUD) == (True, "default")
    assert run(mac, "config", "cloud", "--value", "disabled").returncode == 0
    assert mac.product.effective(CLOUD) == (False, "local")

    put(mac, files.managed[0], cloud(True) | {"edr": {"groupIds": "mdm"}})
    assert mac.product.effective(CLOUD) == (True, "managed")

    put(mac, files.attached, {})
    assert mac.product.effective("edr.groupIds") == ("mdm", "managed")

    put(mac, files.attached, cloud(False))
    assert mac.product.effective(CLOUD) == (False, "attach")
    assert mac.product.effective("edr.groupIds") == ("", "default")


def test_values_that_do_not_stand_at_the_top_are_not_heeded(mac: PretendMdatp) -> None:
    put(mac, FILES["macos"].managed[0], {"PayloadContent": [{"mcx_preference_settings": cloud(False)}]})

    assert mac.product.effective(CLOUD) == (True, "default")


def test_of_two_profiles_the_top_level_alone_is_put_together(mac: PretendMdatp) -> None:
    first, second = FILES["macos"].managed
    put(mac, first, cloud(False))
    put(mac, second, {"cloudService": {"automaticDefinitionUpdateEnabled": False}, "edr": {"groupIds": "g"}})

    assert mac.product.effective(CLOUD) == (False, "managed")
    assert mac.product.effective("cloudService.automaticDefinitionUpdateEnabled") == (True, "default")
    assert mac.product.effective("edr.groupIds") == ("g", "managed")


def test_on_linux_an_attached_file_replaces_the_managed_one_but_for_a_few_groups(linux: PretendMdatp) -> None:
    files = FILES["linux"]
    put(linux, files.managed[0], cloud(False) | {"proxy": "http://p"})
    assert linux.product.effective(CLOUD) == (False, "managed")

    put(linux, files.attached, {})

    assert linux.product.effective(CLOUD) == (True, "default")
    assert linux.product.managed == {"proxy": "http://p"}


@pytest.mark.parametrize(("place", "manager"), [("attached", "MDE"), ("managed", "MEM"), (None, "MEM")])
def test_health_says_who_manages_a_mac(mac: PretendMdatp, place: str | None, manager: str) -> None:
    if place is not None:
        files = FILES["macos"]
        put(mac, files.attached if place == "attached" else files.managed[0], cloud(False))

    assert json.loads(run(mac, "health", "--field", "managed_by").stdout) == manager
    assert json.loads(run(mac, "health", "--output", "json").stdout)["managedBy"] == manager


def test_managed_stands_behind_what_an_mdm_brought_alone(mac: PretendMdatp) -> None:
    put(mac, FILES["macos"].managed[0], cloud(False))
    assert "cloud_enabled                             : false [managed]" in run(mac, "health").stdout

    put(mac, FILES["macos"].attached, cloud(False))
    assert "[managed]" not in run(mac, "health").stdout


def test_settings_facts_and_states_have_their_own_forms_in_json(mac: PretendMdatp) -> None:
    found = json.loads(run(mac, "health", "--output", "json").stdout)

    assert (found["healthy"], found["cloudEnabled"]) == (True, {"value": True})
    assert found["definitionsStatus"] == {"$type": "upToDate"}
    assert found["tamperProtection"] == {"value": "audit"}
    assert found["networkProtectionEnforcementLevel"] == {"value": "audit"}


@pytest.mark.parametrize("place", ["attached", "managed"])
def test_what_is_managed_cannot_be_changed_locally(mac: PretendMdatp, place: str) -> None:
    files = FILES["macos"]
    put(mac, files.attached if place == "attached" else files.managed[0], cloud(True))

    refused = run(mac, "config", "cloud", "--value", "disabled")

    assert (refused.returncode, mac.product.effective(CLOUD)[0]) == (1, True)
    assert "managed" in refused.stderr


def test_tamper_protection_follows_profile_then_person_then_portal_then_default(mac: PretendMdatp) -> None:
    def shown() -> tuple[str, str]:
        fields = ("tamper_protection", "configuration_source")
        level, source = (
            json.loads(run(mac, "health", "--details", "tamper_protection", "--field", field).stdout)
            for field in fields
        )
        return level, source

    assert shown() == ("audit", "defaults")
    mac.behave(portalTamperProtection="block")
    assert shown() == ("block", "portal")
    assert run(mac, "config", "tamper-protection", "enforcement-level", "--value", "disabled").returncode == 0
    assert shown() == ("disabled", "local")
    put(mac, FILES["macos"].managed[0], {"tamperProtection": {"enforcementLevel": "audit"}})
    assert shown() == ("audit", "mdm")
    assert run(mac, "config", "tamper-protection", "enforcement-level", "--value", "block").returncode == 1


def test_a_local_level_can_be_taken_back(mac: PretendMdatp) -> None:
    words = ("config", "tamper-protection", "enforcement-level", "--value")
    run(mac, *words, "block")
    run(mac, *words, "default")

    assert mac.product.tamper_protection() == ("audit", "defaults")


@pytest.mark.parametrize(
    "words",
    [
        ("health", "--fail-daemon"),
        ("health", "--field", "no_such_field"),
        ("health", "--details", "no_such_feature"),
        ("health", "--details", "tamper_protection", "--field", "no_such_field"),
        ("config", "no-such-setting", "--value", "1"),
        ("config", "tamper-protection", "enforcement-level", "--value", "hard"),
        ("config", "cloud"),
        ("nonsense",),
        (),
    ],
)
def test_what_it_does_not_know_it_refuses_with_words(mac: PretendMdatp, words: tuple[str, ...]) -> None:
    refused = run(mac, *words)

    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr


def test_it_misbehaves_as_it_is_told(mac: PretendMdatp) -> None:
    mac.behave(badJson=True)
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        json.loads(run(mac, "health", "--output", "json").stdout)

    mac.behave(failDaemon=True)
    assert run(mac, "version").returncode == 1

    mac.behave()
    assert run(mac, "version").stdout.startswith("Product version: 101.")


def test_a_file_that_is_too_young_is_not_heeded_yet(mac: PretendMdatp) -> None:
    put(mac, FILES["macos"].attached, cloud(False))
    mac.behave(noticeSeconds=3600)

    assert mac.product.effective(CLOUD) == (True, "default")


@pytest.mark.parametrize("content", [b"", b"bplist00", b"<plist>", plistlib.dumps([1])])
def test_a_broken_file_is_as_none(mac: PretendMdatp, content: bytes) -> None:
    path = mac.root / FILES["macos"].attached
    path.parent.mkdir(parents=True)
    path.write_bytes(content)

    assert mac.product.effective(CLOUD) == (True, "default")


def test_the_program_knows_nothing_of_the_environment_and_goes_where_its_machine_goes(
    mac: PretendMdatp, tmp_path: Path
) -> None:
    put(mac, FILES["macos"].attached, cloud(False))
    moved = tmp_path.with_name(tmp_path.name + "-moved")
    tmp_path.rename(moved)

    assert run(PretendMdatp(root=moved, platform="macos"), "health", "--field", "cloud_enabled").stdout == "false\n"
