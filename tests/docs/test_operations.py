"""What ``docs/operations.md`` and ``docs/security.md`` say about files, checks, metrics and units is so."""

from __future__ import annotations

import ast
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec
import pytest
from tests.support.documentation import DOCS, ROOT, table_rows

from shieldwall.agent.doctor.examine import EXAMINATIONS
from shieldwall.agent.doctor.known import KNOWN
from shieldwall.contract.ids import DeviceId, KeyThumbprint, TenantId
from shieldwall.server.configuration import served_certificate
from shieldwall.server.configuration.settings_file import SettingsFile
from shieldwall.server.directory import access_tokens, one_time_codes
from shieldwall.server.signer.keys import create_keys, load_keys
from shieldwall.server.signer.ledger import Ledger
from shieldwall.server.signer.service import MANIFEST_LIFETIME, SignerService
from shieldwall.trust import certificates
from shieldwall.trust.refusals import ManifestNotNewerError
from shieldwall.trust.verification import open_manifest

DOCTOR: Final = DOCS / "doctor.md"
CALLS: Final = {
    **{how: {how} for how in ("ok", "info", "warning", "error")},
    "_failed": {"error"},
    "told": {"error", "warning"},
}
"""Functions of the doctor that make a finding, and how grave it is then."""
OPERATIONS: Final = DOCS / "operations.md"
SECURITY: Final = DOCS / "security.md"
SOURCE: Final = ROOT / "src" / "shieldwall"
NOW: Final = datetime(2026, 11, 23, 12, tzinfo=UTC)
TENANT: Final = TenantId("5f0c2f5e-53a3-4a55-9f2e-0a4f6a1a5d10")
DEVICE: Final = DeviceId("0b7a4d1e-5a58-4f0e-8f1c-9a6e8f1b2c3d")
KEY: Final = KeyThumbprint("A" * 43)


class Clock:
    def now(self) -> datetime:
        return NOW


def names(heading: str, page: Path = OPERATIONS) -> set[str]:
    """Return what stands in backticks in the first column of the table below a heading of the first cell."""
    text = page.read_text()
    start = text.index(f"\n| {heading} |")
    return set(re.findall(r"`([^`]+)`", " ".join(row[0] for row in table_rows(text[start:].partition("\n\n")[0]))))


def _id_of(first: ast.expr) -> str:
    """Name the check that a finding belongs to; empty where a function hands on what it was given."""
    match first:
        case ast.Constant(value=str(name)):
            return name
        case ast.Name(id="check"):
            return "engine.…"
        case _:
            return ""


def test_every_check_of_the_doctor_is_documented() -> None:
    found: dict[str, set[str]] = {}
    for path in (SOURCE / "agent" / "doctor").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Call(func=ast.Name(id=how), args=[first, *_]) if how in CALLS:
                    found.setdefault(_id_of(first), set()).update(CALLS[how])
                case _:
                    pass

    found.pop("", None)
    assert {check.id: {each.value for each in check.severities} for check in KNOWN} == found
    assert names("Check", DOCTOR) == found.keys()
    assert {name for name, _ in EXAMINATIONS} <= found.keys()


def test_every_metric_is_documented() -> None:
    found: set[str] = set()
    for path in (SOURCE / "server").rglob("*.py"):
        text = path.read_text()
        counters = set(re.findall(r'Counter(?:MetricFamily)?\(\s*"(shieldwall_\w+)"', text))
        found |= {f"{name}_total" for name in counters}
        found |= set(re.findall(r'(?:Histogram|Gauge)(?:MetricFamily)?\(\s*"(shieldwall_\w+)"', text))
        found |= {f"shieldwall_gateway_{name}" for name in re.findall(r'measures\.watch\(\s*"(\w+)"', text)}

    assert names("Metric") == found


def test_every_member_of_the_settings_file_is_documented() -> None:
    assert names("Member") == {each.encode_name for each in msgspec.structs.fields(SettingsFile)}


def test_every_key_file_is_documented(tmp_path: Path) -> None:
    create_keys(tmp_path / "keys", TENANT, Clock())

    made = {f"keys/TENANT/{path.name}" for path in (tmp_path / "keys" / TENANT).glob("*.key.pem")}
    documented = names("File in the data directory", SECURITY)
    assert {name for name in documented if name.startswith("keys/")} == made
    assert documented - made == {"nonce.key", "tls/server.key", "tls/ca.key"}


@pytest.mark.parametrize(
    ("page", "said"),
    [
        (
            SECURITY,
            f"device certificates, {certificates.DEVICE_DAYS} days | {certificates.AUTHORITY_DAYS // 365} years |",
        ),
        (SECURITY, f"the server's TLS | {certificates.SERVER_DAYS} days |"),
        (SECURITY, f"manifests, each good for {MANIFEST_LIFETIME.days} days"),
        (SECURITY, f"access tokens, {access_tokens.LIFETIME.seconds // 3600} hour |"),
        (SECURITY, f"for a link within {one_time_codes.INVITATION_LIFETIME.seconds // 60} minutes"),
        (OPERATIONS, f"works once, within {one_time_codes.INVITATION_LIFETIME.seconds // 60} minutes"),
        (OPERATIONS, f"`tls/server.key`, {certificates.SERVER_DAYS} days"),
        (OPERATIONS, f"in its last {served_certificate.RENEW_BEFORE.days} days"),
    ],
)
def test_a_lifetime_on_a_page_is_that_of_the_code(page: Path, said: str) -> None:
    assert said in page.read_text()


def test_a_restored_server_is_believed_again_once_its_incarnation_is_raised(tmp_path: Path) -> None:
    create_keys(tmp_path / "keys", TENANT, Clock())
    root = load_keys(tmp_path / "keys", TENANT).trust_root()
    held = (1 << 40) + 5_000_000  # what the device saw before the backup was put back

    with pytest.raises(ManifestNotNewerError):
        offered(tmp_path, root, held)
    unit = tmp_path / "keys" / TENANT / "tenant.json"
    unit.write_text(unit.read_text().replace('"incarnation":1', '"incarnation":2'))

    assert offered(tmp_path, root, held) == 2


def offered(data: Path, root: object, held: int) -> int:
    """Let the server in ``data`` sign a manifest and the device look at it; returns its incarnation."""
    ledger = Ledger(data / "signer")
    service = SignerService(keys=load_keys(data / "keys", TENANT), ledger=ledger, clock=Clock())
    try:
        envelope = service.sign_manifest(tenant_id=TENANT, device_id=DEVICE, device_key=KEY, items=())
    finally:
        ledger.close()
    manifest = open_manifest(
        envelope,
        root,  # type: ignore[arg-type]  # the root of before
        tenant_id=TENANT,
        device_id=DEVICE,
        device_key=KEY,
        last_version=held,
        now=NOW + timedelta(hours=1),
    )
    return manifest.incarnation
