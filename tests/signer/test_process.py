"""The signer as a real process over its real socket."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import stat
import struct
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from tests.support.trust import DEVICE, NOON, OTHER_TENANT, TENANT, HandClock, policy_of

from shieldwall.contract import strict_json
from shieldwall.contract.ids import TenantId
from shieldwall.contract.messages import Manifest
from shieldwall.server.signer import wire
from shieldwall.server.signer.client import SignerClient
from shieldwall.server.signer.errors import (
    OtherTenantError,
    RevisionTakenError,
    SignerUnavailableError,
    UnsignableDocumentError,
)
from shieldwall.server.signer.keys import create_keys
from shieldwall.server.signer.ports import Signer
from shieldwall.server.signer.serving import MAX_CONNECTIONS
from shieldwall.server.signer.sockets import connect, socket_path
from shieldwall.trust import payload_types
from shieldwall.trust.device_key import DeviceKey, public_key_info
from shieldwall.trust.dsse import open_envelope
from shieldwall.trust.roots import Role

KEY = DeviceKey.generate()


@contextmanager
def running(data: Path) -> Iterator[subprocess.Popen[bytes]]:
    process = start(data)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield process
    finally:
        process.kill()
        process.communicate(timeout=20)


@contextmanager
def asking(data: Path) -> Iterator[Signer]:
    with SignerClient(data) as client:
        yield client.for_tenant(TENANT)


def start(data: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "shieldwall.server.signer", str(data)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def version_of(signer: Signer, tenant_id: TenantId = TENANT) -> int:
    envelope = signer.sign_manifest(tenant_id=tenant_id, device_id=DEVICE, device_key=KEY.thumbprint, items=())
    payload = open_envelope(envelope, payload_types.MANIFEST, signer.trust_root().keys(Role.MANIFEST))
    return strict_json.decode(payload, Manifest).manifest_version


def exchange(connection: socket.socket, frame: bytes) -> wire.Answer | None:
    connection.sendall(frame)
    reply = wire.read_frame(connection, wait_seconds=10)
    return None if reply is None else msgspec.json.decode(reply, type=wire.Answer)


def test_every_verb_works_over_the_socket(data: Path) -> None:
    with running(data), asking(data) as signer:
        document = strict_json.encode(policy_of(signer))
        root = signer.trust_root()

        assert open_envelope(signer.sign_policy(document), payload_types.POLICY, root.keys(Role.POLICY)) == document
        assert version_of(signer) == (1 << 40) + 1
        assert open_envelope(signer.sign_time("0" * 32), payload_types.TIME, root.keys(Role.TIME))
        certificate = signer.issue_certificate(spki=public_key_info(KEY.public_key), tenant_id=TENANT, device_id=DEVICE)
        assert certificate.startswith("-----BEGIN CERTIFICATE-----")
        assert signer.jwks()["keys"][0]["kty"] == "RSA"


def test_a_refusal_comes_back_as_its_own_class_with_cause_and_remedy(data: Path) -> None:
    with running(data), asking(data) as signer:
        signer.sign_policy(strict_json.encode(policy_of(signer, value=1)))

        with pytest.raises(RevisionTakenError) as refused:
            signer.sign_policy(strict_json.encode(policy_of(signer, value=2)))
        assert "another document" in refused.value.cause
        assert refused.value.advice == RevisionTakenError.remedy
        with pytest.raises(OtherTenantError):
            signer.sign_manifest(tenant_id=OTHER_TENANT, device_id=DEVICE, device_key=KEY.thumbprint, items=())
        with pytest.raises(UnsignableDocumentError):
            signer.sign_time("not a nonce")
        assert version_of(signer) > 0, "a refusal leaves the connection in order"


def test_manifest_numbers_neither_repeat_nor_fall_when_the_signer_is_killed(data: Path) -> None:
    seen: list[int] = []
    for _ in range(3):
        with running(data) as process, asking(data) as signer:
            seen += [version_of(signer) for _ in range(5)]
            process.send_signal(signal.SIGKILL)

    assert seen == sorted(set(seen))


def test_a_ledger_that_is_gone_does_not_start_over_in_silence(data: Path) -> None:
    assert "A new ledger begins" in said(data)
    assert "A new ledger begins" not in said(data)

    (data / "signer" / "ledger.sqlite3").write_bytes(b"")
    assert "A new ledger begins" in said(data)


def test_the_signer_speaks_in_json_lines_as_all_processes_of_a_server_do(data: Path) -> None:
    (warning,) = [json.loads(line) for line in said(data).encode().splitlines()]
    assert (warning["process"], warning["level"]) == ("signer", "warning")
    assert warning["timestamp"].endswith("Z")

    (key,) = data.glob("keys/*/policy.key.pem")
    key.chmod(0o644)
    process = start(data)
    _, text = process.communicate(timeout=20)
    (failure,) = [json.loads(line) for line in text.splitlines()]
    assert (process.returncode, failure["event"], failure["code"]) == (1, "signer_not_started", "signerKeyFiles")
    assert failure["cause"]
    assert failure["remedy"]


def said(data: Path) -> str:
    process = start(data)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    _, said = process.communicate(timeout=20)
    return said.decode()


def test_a_data_directory_of_one_tenant_goes_on_as_that_of_the_first_of_several(data: Path) -> None:
    (data / "signer").mkdir(0o700)
    with closing(sqlite3.connect(data / "signer" / "ledger.sqlite3")) as before:
        before.execute("create table manifest_number (incarnation integer primary key, reserved integer not null)")
        before.execute("create table policy_revision (policy_id text, revision integer, digest text)")
        before.execute("insert into manifest_number values (1, 3000)")
        before.commit()

    with running(data), SignerClient(data) as client:
        first, second = client.for_tenant(TENANT), client.for_tenant(OTHER_TENANT)
        assert version_of(first) == (1 << 40) + 3001
        with pytest.raises(OtherTenantError):
            second.trust_root()

        create_keys(data / "keys", OTHER_TENANT, HandClock(NOON + timedelta(days=1)))

        assert second.trust_root().tenant_id == OTHER_TENANT, "added while the signer runs"
        assert version_of(second, OTHER_TENANT) == (1 << 40) + 1
        with pytest.raises(OtherTenantError):
            version_of(second, TENANT)
    with running(data), SignerClient(data) as client:
        assert version_of(client.for_tenant(TENANT)) > (1 << 40) + 3001


def test_a_signed_revision_is_remembered_when_the_signer_is_killed(data: Path) -> None:
    with running(data) as process, asking(data) as signer:
        signer.sign_policy(strict_json.encode(policy_of(signer, value=1)))
        process.kill()

    with running(data), asking(data) as signer:
        signer.sign_policy(strict_json.encode(policy_of(signer, value=1)))
        with pytest.raises(RevisionTakenError):
            signer.sign_policy(strict_json.encode(policy_of(signer, value=2)))


def test_a_client_finds_a_restarted_signer_again(data: Path) -> None:
    with asking(data) as signer:
        with running(data):
            first = version_of(signer)
        with pytest.raises(SignerUnavailableError):
            signer.trust_root()
        with running(data):
            assert version_of(signer) > first


def test_threads_share_a_client_and_get_numbers_of_their_own(data: Path) -> None:
    with running(data), asking(data) as signer, ThreadPoolExecutor(8) as threads:
        versions = list(threads.map(lambda _: version_of(signer), range(64)))

    assert len(set(versions)) == 64


def test_clients_on_many_connections_get_numbers_of_their_own(data: Path) -> None:
    def ask(_: int) -> int:
        with asking(data) as signer:
            return version_of(signer)

    with running(data), ThreadPoolExecutor(16) as threads:
        versions = list(threads.map(ask, range(64)))

    assert len(set(versions)) == 64


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_in_order_when_told_to(data: Path, number: signal.Signals) -> None:
    with running(data) as process, asking(data) as signer:
        signer.trust_root()
        process.send_signal(number)

        assert process.wait(20) == 0
        assert not socket_path(data).exists()


def test_it_ends_when_its_parent_goes(data: Path) -> None:
    with running(data) as process, asking(data) as signer:
        signer.trust_root()
        assert process.stdin is not None
        process.stdin.close()

        assert process.wait(20) == 0
        process.stdin = None


def test_without_a_parent_pipe_it_stays(data: Path) -> None:
    command = [sys.executable, "-m", "shieldwall.server.signer", str(data)]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        with asking(data) as signer:
            assert signer.trust_root().tenant_id == TENANT
        process.terminate()
        assert process.wait(20) == 0


def test_a_second_signer_does_not_start_on_the_same_data(data: Path) -> None:
    with running(data):
        second = start(data)
        _, complaint = second.communicate(timeout=20)

        assert second.returncode == 1
        assert b"Another signer already serves" in complaint
        with asking(data) as signer:
            assert signer.trust_root().tenant_id == TENANT


def test_it_does_not_start_with_keys_open_to_others(data: Path) -> None:
    (data / "keys" / TENANT / "policy.key.pem").chmod(0o640)

    process = start(data)
    _, complaint = process.communicate(timeout=20)

    assert process.returncode == 1
    assert b"signerKeyFiles" in complaint
    assert b"PRIVATE" not in complaint


def test_only_its_own_user_reaches_what_it_writes(data: Path) -> None:
    with running(data), asking(data) as signer:
        signer.sign_policy(strict_json.encode(policy_of(signer)))

        modes = {
            path: path.lstat().st_mode for folder in ("keys", "run", "signer") for path in (data / folder).rglob("*")
        }

    assert len(modes) > 10
    assert {path for path, mode in modes.items() if stat.S_IMODE(mode) & 0o077} == set()


def test_a_socket_below_a_very_deep_directory_works(data: Path) -> None:
    deep = data / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)
    (data / "keys").rename(deep / "keys")

    with running(deep), asking(deep) as signer:
        assert signer.trust_root().tenant_id == TENANT


@pytest.mark.parametrize(
    "frame",
    [
        struct.pack(">I", 0xFFFFFFFF),
        struct.pack(">I", wire.MAX_FRAME_BYTES + 1),
        b"POST / HTTP/1.1\r\n\r\n",
    ],
    ids=["largest length", "one byte too many", "another protocol"],
)
def test_a_giant_frame_is_answered_and_hung_up_on(data: Path, frame: bytes) -> None:
    with running(data), connect(socket_path(data), 10) as connection:
        answer = exchange(connection, frame)

        assert isinstance(answer, wire.Refused)
        assert answer.code == "signerBadFrame"
        assert has_hung_up(connection)
        with asking(data) as signer:
            assert signer.trust_root().tenant_id == TENANT


def has_hung_up(connection: socket.socket) -> bool:
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:  # what it did not read is thrown back at us
        return True


def framed(body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + body


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b'{"verb":"exportKeys"}',
        b'{"verb":"getTrustRoot","extra":1}',
        b'{"verb":"getTrustRoot","verb":"getTokenKeys"}',
        b'{"verb":"signPolicy","document":7}',
        b'{"verb":"signPolicy","document":"%%%"}',
        b'{"verb":"signTime","nonce":"\xff"}',
        b'{"verb":"signToken","claims":{"iat":NaN}}',
        b"\xef\xbb\xbf{}",
        b"[" * 100_000,
    ],
)
def test_what_is_no_request_is_refused_and_harms_nobody(data: Path, body: bytes) -> None:
    with running(data), connect(socket_path(data), 10) as connection:
        answer = exchange(connection, framed(body))

        assert isinstance(answer, wire.Refused)
        assert answer.code in {"signerUnsignable", "signerBadFrame"}
        assert answer.remedy


def test_half_a_frame_does_not_stop_others(data: Path) -> None:
    with running(data) as process, connect(socket_path(data), 10) as connection:
        connection.sendall(struct.pack(">I", 100) + b"{")
        with asking(data) as signer:
            assert signer.trust_root().tenant_id == TENANT
        process.terminate()
        assert process.wait(20) == 0


def test_connections_beyond_the_bound_are_told_so(data: Path) -> None:
    with running(data):
        held = [connect(socket_path(data), 10) for _ in range(MAX_CONNECTIONS)]
        try:
            with connect(socket_path(data), 10) as connection:
                reply = wire.read_frame(connection, wait_seconds=10)
                assert reply is not None
                assert b"signerBusy" in reply
        finally:
            for connection in held:
                connection.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_process_of_another_user_is_turned_away(data: Path) -> None:
    program = (
        "import os, socket, sys\n"
        "folder = os.open(sys.argv[1], os.O_PATH)\n"
        "os.setuid(65534)\n"
        "connection = socket.socket(socket.AF_UNIX)\n"
        "connection.connect(f'/proc/self/fd/{folder}/signer.sock')\n"
        "print(connection.recv(10))\n"
    )
    with running(data):
        path = socket_path(data)
        for opened in (path.parent, path):  # even where the file system would let it in
            opened.chmod(0o777)
        stranger = subprocess.run(
            [sys.executable, "-c", program, str(path.parent)], capture_output=True, timeout=20, check=False
        )
        assert stranger.stdout == b"b''\n", stranger.stderr


def test_an_authority_that_ends_within_two_years_is_renewed_by_a_start(tmp_path: Path) -> None:
    create_keys(tmp_path / "keys", TENANT, HandClock(datetime.now(UTC) - timedelta(days=4 * 365)))
    for is_due in (True, False):
        with running(tmp_path) as process, asking(tmp_path) as signer:
            (authority,) = signer.trust_root().authorities()
            process.terminate()
            _, text = process.communicate(timeout=20)
        assert authority.not_valid_after_utc > datetime.now(UTC) + timedelta(days=4 * 365)
        assert ("authority_renewed" in text.decode()) is is_due
