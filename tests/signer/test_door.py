"""The signer asked from another machine: the real processes, TLS between them, keys on one side alone."""

from __future__ import annotations

import secrets
import shutil
import socket
import ssl
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
from cryptography.x509 import load_pem_x509_certificate
from tests.support.gateway_world import until
from tests.support.ports import free_port
from tests.support.proxies import listens

from shieldwall.contract import strict_json
from shieldwall.server.configuration.roles import Role
from shieldwall.server.configuration.settings import FILE, ServerSettings, load, store
from shieldwall.server.configuration.settings_file import PushSettings, SettingsFile, SignerPlace
from shieldwall.server.configuration.signers import open_signers
from shieldwall.server.console import hosts
from shieldwall.server.console.hosts import InvalidHostError
from shieldwall.server.console.initialise import Initialise
from shieldwall.server.push import key_files
from shieldwall.server.push.key_files import NoPushKeysError
from shieldwall.server.signer import wire
from shieldwall.server.signer.afar import DOOR_NAME, hosts_directory
from shieldwall.server.signer.door import PERMITTED
from shieldwall.server.signer.errors import NotPermittedError, SignerUnavailableError
from shieldwall.server.system import SystemClock, new_id

PORT = free_port()
HERE = SignerPlace(host="127.0.0.1", port=PORT)
NONCE = "0" * 32


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerSettings]:
    """A server with its keys, whose signer and door run."""
    data = tmp_path_factory.mktemp("keys") / "data"
    make = Initialise(clock=SystemClock(), new_id=new_id, randomness=secrets.token_bytes, tell=lambda _step: None)
    made = make(
        data,
        database=None,
        public_url=f"https://localhost:{free_port()}",
        gateway_url=f"https://localhost:{free_port()}",
        listen="127.0.0.1",
        tenant_name="Contoso",
        domain="contoso.example",
    )
    file = strict_json.decode((data / FILE).read_bytes(), SettingsFile)
    store(data, type(file)(**{name: getattr(file, name) for name in file.__struct_fields__} | {"database": PRETENDED}))
    settings = load(data)
    hosts.add_host(settings, "first", Role.ADMIN, signer=HERE, out=data.parent / "first", now=SystemClock().now())
    with (
        _process("shieldwall.server.signer", str(data)),
        _process("shieldwall.server.signer.door", str(data), "127.0.0.1", str(PORT)),
    ):
        until(lambda: (made.run / "signer.sock").exists() and listens(PORT))
        yield settings


PRETENDED = "postgresql://shieldwall@127.0.0.1/shieldwall"


@contextmanager
def _process(*words: str) -> Iterator[None]:
    process = subprocess.Popen([sys.executable, "-m", *words], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.communicate(timeout=20)


def machine(settings: ServerSettings, tmp_path: Path, name: str, role: Role) -> ServerSettings:
    """Another machine, with what was handed over to it."""
    hosts.add_host(settings, name, role, signer=HERE, out=tmp_path / name, now=SystemClock().now())
    return load(tmp_path / name)


def test_a_machine_gets_no_key_that_signs(settings: ServerSettings, tmp_path: Path) -> None:
    machine(settings, tmp_path, "plain", Role.GATEWAY)
    found = {str(file.relative_to(tmp_path / "plain")) for file in (tmp_path / "plain").rglob("*") if file.is_file()}
    assert found == {
        "server.json",
        "nonce.key",
        "tls/server.pem",
        "tls/server.key",
        "tls/ca.pem",
        "tls/signer-authority.pem",
        "tls/signer-client.pem",
        "tls/signer-client.key",
    }
    assert all(file.stat().st_mode & 0o077 == 0 for file in (tmp_path / "plain").rglob("*"))


def test_a_gateway_elsewhere_may_ask_what_gateways_ask_and_nothing_else(
    settings: ServerSettings, tmp_path: Path
) -> None:
    afar = machine(settings, tmp_path, "edge", Role.GATEWAY)
    with open_signers(afar) as lines, open_signers(replace(settings, signer=None)) as near:
        signer = lines.for_tenant(settings.tenant_id)
        assert signer.trust_root() == near.for_tenant(settings.tenant_id).trust_root()
        assert signer.sign_time(NONCE).payload
        for ask in (
            lambda: signer.sign_policy(b"{}"),
            lambda: signer.sign_token({"sub": "me"}),
            lambda: signer.rotate_token_key(at_once=True),
            signer.jwks,
        ):
            with pytest.raises(NotPermittedError):
                ask()
        assert signer.sign_time(NONCE).payload, "the line is still good"


def test_an_admin_process_elsewhere_may_ask_everything(settings: ServerSettings, tmp_path: Path) -> None:
    afar = machine(settings, tmp_path, "office", Role.ADMIN)
    with open_signers(afar) as lines:
        assert lines.for_tenant(settings.tenant_id).jwks()["keys"]
    assert PERMITTED["admin"] == set(get_args(wire.Request)), "a new question has to be thought of"


def test_a_machine_that_is_removed_is_not_heard_any_more(settings: ServerSettings, tmp_path: Path) -> None:
    afar = machine(settings, tmp_path, "lost", Role.GATEWAY)
    with open_signers(afar) as lines:
        signer = lines.for_tenant(settings.tenant_id)
        signer.trust_root()
        hosts.remove_host(settings, "lost")
        with pytest.raises(SignerUnavailableError):
            signer.trust_root()
    with pytest.raises(InvalidHostError):
        hosts.remove_host(settings, "lost")


def test_strangers_get_no_answer(settings: ServerSettings, tmp_path: Path) -> None:
    """No certificate, one of another authority, the server's own: each is refused before it has asked."""
    other = settings.data.parent / "first"
    question = strict_json.encode(wire.Question(tenant_id=settings.tenant_id, request=wire.GetTrustRoot()))
    for certificate in (None, (settings.tls_certificate, settings.tls_key)):
        context = ssl.create_default_context(cafile=str(other / "tls" / "signer-authority.pem"))
        if certificate is not None:
            context.load_cert_chain(*certificate)
        assert not _answers(context, question)

    afar = machine(settings, tmp_path, "deceived", Role.GATEWAY)
    (afar.data / "tls" / "signer-authority.pem").write_bytes(settings.tls_authority.read_bytes())
    with open_signers(afar) as lines, pytest.raises(SignerUnavailableError):
        lines.for_tenant(settings.tenant_id).trust_root()


def _answers(context: ssl.SSLContext, question: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", PORT), timeout=10) as plain:
        try:
            with context.wrap_socket(plain, server_hostname=DOOR_NAME) as line:
                line.sendall(struct.pack(">I", len(question)) + question)
                return line.recv(4)
        except OSError:
            return b""


@pytest.mark.parametrize("name", ["", "UP", "a/b", "..", "a.gateway"])
def test_names_that_are_files_elsewhere_are_refused(settings: ServerSettings, tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidHostError):
        hosts.add_host(settings, name, Role.GATEWAY, signer=HERE, out=tmp_path / "out", now=SystemClock().now())
    assert not (tmp_path / "out").exists()


def test_the_role_of_the_signer_stays_where_the_keys_are(settings: ServerSettings, tmp_path: Path) -> None:
    with pytest.raises(InvalidHostError):
        hosts.add_host(settings, "x", Role.SIGNER, signer=HERE, out=tmp_path / "x", now=SystemClock().now())
    assert not (tmp_path / "x").exists()


def test_a_machine_gets_of_the_brokers_keys_what_lets_devices_listen(settings: ServerSettings, tmp_path: Path) -> None:
    push = PushSettings(url="tls://nats.example:4222")
    made = key_files.make(tmp_path / "push")
    with_broker = replace(settings, push=push, data=tmp_path)
    shutil.copytree(settings.data / "tls", tmp_path / "tls")
    for name in (FILE, "nonce.key"):
        shutil.copy(settings.data / name, tmp_path / name)
    hosts.add_host(with_broker, "edge", Role.GATEWAY, signer=HERE, out=tmp_path / "edge", now=SystemClock().now())

    assert [path.name for path in (tmp_path / "edge" / "push").iterdir()] == ["account.key"]
    account = key_files.load_account(tmp_path / "edge" / "push")
    assert account.private_bytes_raw() == made.account.private_bytes_raw()
    with pytest.raises(NoPushKeysError):
        key_files.load(tmp_path / "edge" / "push")


def test_what_machines_know_each_other_by_lasts_as_long_as_their_authority(
    settings: ServerSettings, tmp_path: Path
) -> None:
    machine(settings, tmp_path, "lasting", Role.GATEWAY)
    home = hosts_directory(settings.data)
    files = (home / "authority.crt", home / "door.crt", home / "lasting.gateway.pem")
    assert len({load_pem_x509_certificate(file.read_bytes()).not_valid_after_utc.date() for file in files}) == 1
