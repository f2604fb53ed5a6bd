"""The audit stream reaches real files and real syslog receivers, every event of it."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from prometheus_client import CollectorRegistry
from tests.support.admin import AdminWorld
from tests.support.events import Office, middle
from tests.support.receivers import authority, trusting_receivers
from tests.support.rfc5424 import Message, parse, split_counted
from tests.support.second_tenant import FABRIKAM

from shieldwall.contract.ids import TenantId
from shieldwall.server.configuration.settings import InvalidSettingsError
from shieldwall.server.configuration.settings_file import FileStream, SyslogStream
from shieldwall.server.events import keeping
from shieldwall.server.events.measures import EventMeasures
from shieldwall.server.events.streams.opening import open_streams
from shieldwall.server.events.streams.sinks import DatagramSink, FileSink, Sink, SinkFailedError, StreamSink
from shieldwall.server.events.streams.streaming import BATCH, Stream, Streaming
from shieldwall.server.events.streams.syslog import SD_ID
from shieldwall.server.storage.events import stream_cursors
from shieldwall.server.system import SystemClock

NAME = "sdm.contoso.example"


@pytest.fixture
def office(world: AdminWorld) -> Office:
    return Office(world)


def streaming(office: Office, sink: Sink, tenant_id: TenantId | None = None) -> tuple[Streaming, Stream]:
    stream = Stream(name="siem", sink=sink, tenant_id=tenant_id)
    made = Streaming(
        services=office.world.services,
        streams=(stream,),
        draw=middle,
        measures=EventMeasures(CollectorRegistry()),
    )
    return made, stream


def bring(office: Office, sink: Sink, *, times: int = 1, tenant_id: TenantId | None = None) -> list[int]:
    """Bring batches to a sink, in a loop of their own."""

    async def go() -> list[int]:
        made, stream = streaming(office, sink, tenant_id)
        try:
            return [await made.once(stream) for _ in range(times)]
        finally:
            await sink.close()

    return asyncio.run(go())


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def things(found: list[dict[str, Any]]) -> list[int]:
    return [int(each["data"]["object"]["id"]) for each in found if each["type"] == "thing.happened"]


def test_a_file_gets_every_event_once_in_order_and_its_owner_alone_may_read_it(office: Office, tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    sink = FileSink(path=path)
    office.happen(0)
    assert bring(office, sink) == [0], "a new sink hears of what happens from now on"
    office.happen(1, 2, 3)
    assert bring(office, sink, times=2) == [3, 0]
    assert things(lines(path)) == [1, 2, 3]
    assert lines(path)[0].keys() == {"type", "time", "tenantId", "id", "data"}
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_file_that_was_rotated_away_is_left_and_a_new_one_made(office: Office, tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    sink = FileSink(path=path)
    bring(office, sink)
    office.happen(1)
    bring(office, sink)
    path.rename(tmp_path / "audit.jsonl.1")
    office.happen(2)
    bring(office, sink)
    assert things(lines(tmp_path / "audit.jsonl.1")) == [1]
    assert things(lines(path)) == [2]


def test_after_a_kill_within_a_line_the_event_comes_again_on_a_line_of_its_own(office: Office, tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    bring(office, FileSink(path=path))
    path.write_text('{"type":"thing.hap')
    office.happen(1)
    bring(office, FileSink(path=path))
    torn, whole = path.read_text().splitlines()
    assert torn == '{"type":"thing.hap'
    assert things([json.loads(whole)]) == [1]


def test_a_file_that_cannot_be_written_is_tried_again_and_nothing_is_lost(office: Office, tmp_path: Path) -> None:
    path = tmp_path / "absent" / "audit.jsonl"
    sink = FileSink(path=path)
    bring(office, sink)
    office.happen(1)
    with pytest.raises(SinkFailedError):
        bring(office, sink)
    path.parent.mkdir()
    bring(office, sink)
    assert things(lines(path)) == [1]


def test_killed_between_writing_and_the_cursor_the_events_come_again(
    office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "audit.jsonl"
    bring(office, FileSink(path=path))
    office.happen(1, 2)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(stream_cursors, "move", die)
        with pytest.raises(KeyboardInterrupt):
            bring(office, FileSink(path=path))
    office.happen(3)
    bring(office, FileSink(path=path))
    assert things(lines(path)) == [1, 2, 1, 2, 3]


def test_a_sink_for_one_tenant_hears_of_no_other(office: Office, tmp_path: Path) -> None:
    one, every = tmp_path / "one", tmp_path / "every"
    with office.world.writing() as connection:
        stream_cursors.begin(connection, office.tenant_id, "siem", 0, office.world.clock.now())
    office.happen(1)
    bring(office, FileSink(path=one), tenant_id=office.tenant_id)
    assert {each["tenantId"] for each in lines(one)} == {office.tenant_id}
    with office.world.writing() as connection:
        connection.exec_driver_sql("UPDATE stream_cursors SET cursor = 0 WHERE stream = 'siem'")
    bring(office, FileSink(path=every))
    assert {each["tenantId"] for each in lines(every)} == {office.tenant_id, FABRIKAM}


def test_what_was_forgotten_before_a_sink_had_it_is_told_first(office: Office, tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    bring(office, FileSink(path=path))
    office.happen(1, 2)
    office.world.clock.advance(days=31)
    office.happen(3)
    services = office.world.services
    forgotten = keeping.forget_all(
        services.database, office.tenant_id, office.world.clock.now(), home=office.tenant_id, streams=["siem"]
    )
    assert forgotten >= 2
    bring(office, FileSink(path=path))
    missed, last = lines(path)
    assert (missed["type"], missed["data"]["details"]) == ("events.missed", {"count": 2})
    assert things([last]) == [3]


def test_a_sink_that_waits_keeps_its_events_for_a_month(office: Office, tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    bring(office, FileSink(path=path))
    office.happen(1)
    office.world.clock.advance(days=29)
    office.happen(2)
    services = office.world.services
    keeping.forget_all(
        services.database, office.tenant_id, office.world.clock.now(), home=office.tenant_id, streams=["siem"]
    )
    bring(office, FileSink(path=path))
    assert things(lines(path)) == [1, 2]


@dataclass
class Collector:
    """A syslog receiver over TCP or TLS."""

    port: int = 0
    streams: list[bytes] = field(default_factory=list)
    hang_up_after: int | None = None
    changed: threading.Event = field(default_factory=threading.Event)

    def messages(self) -> list[Message]:
        return [parse(message) for stream in self.streams for message in split_counted(stream)]

    def serve(self, connection: socket.socket) -> None:
        place = len(self.streams)
        self.streams.append(b"")
        with suppress(OSError), connection:
            while part := connection.recv(65_536):
                self.streams[place] += part
                if self.hang_up_after is not None and len(self.streams[place]) >= self.hang_up_after:
                    self.hang_up_after = None
                    return
        self.changed.set()


@contextmanager
def collecting(context: ssl.SSLContext | None = None) -> Iterator[Collector]:
    collector = Collector()
    with socket.create_server(("127.0.0.1", 0)) as server:
        collector.port = server.getsockname()[1]

        def accept() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                try:
                    if context is not None:
                        connection = context.wrap_socket(connection, server_side=True)
                except (OSError, ssl.SSLError):
                    connection.close()
                    continue
                threading.Thread(target=collector.serve, args=(connection,), daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield collector
        server.shutdown(socket.SHUT_RDWR)
    thread.join(5)


def numbers(collector: Collector) -> list[int]:
    return [int(message.data[SD_ID]["objectId"]) for message in collector.messages()]


def test_syslog_over_tcp_is_framed_and_complete(office: Office) -> None:
    with collecting() as collector:
        sink = StreamSink(host="127.0.0.1", port=collector.port, own_name=NAME)
        bring(office, sink)
        office.happen(*range(20))
        assert bring(office, sink) == [20]
        collector.changed.wait(5)
    assert numbers(collector) == list(range(20))
    first = collector.messages()[0]
    assert (first.facility, first.msgid, first.hostname, first.app) == (13, "thing.happened", NAME, "shieldwall")
    assert first.text is not None
    assert json.loads(first.text)["type"] == "thing.happened"


def test_a_receiver_that_hangs_up_gets_the_whole_batch_again(office: Office) -> None:
    with collecting() as collector:
        sink = StreamSink(host="127.0.0.1", port=collector.port, own_name=NAME)
        bring(office, sink)
        office.happen(*range(10))
        collector.hang_up_after = 1
        with pytest.raises(SinkFailedError):
            bring(office, sink)
        assert bring(office, sink) == [10]
        collector.changed.wait(5)
    complete = collector.streams[-1]
    assert [int(parse(each).data[SD_ID]["objectId"]) for each in split_counted(complete)] == list(range(10))


def test_a_receiver_that_is_away_is_connected_to_again(office: Office) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    sink = StreamSink(host="127.0.0.1", port=port, own_name=NAME)
    bring(office, sink)
    office.happen(1)
    with pytest.raises(SinkFailedError, match="does not take"):
        bring(office, sink)
    with collecting() as collector:
        assert bring(office, replace_port(sink, collector.port)) == [1]


def replace_port(sink: StreamSink, port: int) -> StreamSink:
    return StreamSink(host=sink.host, port=port, own_name=sink.own_name, trust=sink.trust)


def serving(directory: Path) -> ssl.SSLContext:
    (directory / "s.pem").write_text(authority().chain)
    (directory / "s.key").write_text(authority().key)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(directory / "s.pem", directory / "s.key")
    return context


def wanting_clients(directory: Path, client_certificate: str) -> ssl.SSLContext:
    """TLS that lets in this one client, whose certificate vouches for itself."""
    context = serving(directory)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=client_certificate)
    return context


def a_client(directory: Path) -> str:
    """Write a client's certificate and key; return the certificate."""
    key, now = ec.generate_private_key(ec.SECP256R1()), SystemClock().now()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "siem client")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (directory / "client.pem").write_bytes(pem)
    (directory / "client.key").write_bytes(secret)
    return pem.decode()


def test_a_receiver_that_wants_to_know_its_clients_gets_a_certificate(office: Office, tmp_path: Path) -> None:
    services, data = office.world.services, office.world.services.settings.data
    (data / "ca.pem").write_text(authority().certificate)
    with collecting(wanting_clients(tmp_path, a_client(data))) as collector:
        known = SyslogStream(
            name="siem",
            transport="tls",
            host="localhost",
            port=collector.port,
            certificate_authority="ca.pem",
            client_certificate="client.pem",
            client_key="client.key",
        )
        unknown = SyslogStream(
            name="siem", transport="tls", host="localhost", port=collector.port, certificate_authority="ca.pem"
        )

        def sink(stream: SyslogStream) -> Sink:
            settings = replace(services.settings, audit_streams=(stream,))
            return open_streams(replace(services, settings=settings))[0].sink

        bring(office, sink(known))
        office.happen(1)
        with pytest.raises(SinkFailedError):
            bring(office, sink(unknown))
        assert bring(office, sink(known)) == [1]
        collector.changed.wait(5)
    assert numbers(collector) == [1]


def test_syslog_over_tls_trusts_whom_it_shall(office: Office, tmp_path: Path) -> None:
    with collecting(serving(tmp_path)) as collector:
        sink = StreamSink(host="localhost", port=collector.port, own_name=NAME, trust=trusting_receivers)
        bring(office, sink)
        office.happen(1)
        assert bring(office, sink) == [1]
        collector.changed.wait(5)
        assert numbers(collector) == [1]
        office.happen(2)
        distrusting: Callable[[], ssl.SSLContext] = ssl.create_default_context
        with pytest.raises(SinkFailedError, match="certificate"):
            bring(office, StreamSink(host="localhost", port=collector.port, own_name=NAME, trust=distrusting))


def test_the_settings_name_the_streams(office: Office, tmp_path: Path) -> None:
    services, data = office.world.services, office.world.services.settings.data
    (data / "ca.pem").write_text(authority().certificate)
    with collecting(serving(tmp_path)) as collector:
        streams = (
            FileStream(name="archive", path="audit.jsonl", tenant=services.tenant.domain),
            SyslogStream(
                name="siem",
                transport="tls",
                host="localhost",
                port=collector.port,
                certificate_authority="ca.pem",
            ),
        )
        named = replace(services, settings=replace(services.settings, audit_streams=streams))

        async def go() -> None:
            opened = open_streams(named)
            made = Streaming(services=named, streams=opened, draw=middle, measures=EventMeasures(CollectorRegistry()))
            for stream in opened:
                await made.once(stream)
            await asyncio.to_thread(office.happen, 1)
            for stream in opened:
                assert await made.once(stream) == 1
                await stream.sink.close()

        asyncio.run(go())
        collector.changed.wait(5)
    assert things(lines(data / "audit.jsonl")) == numbers(collector) == [1]


@pytest.mark.parametrize(
    "stream",
    [
        FileStream(name="a", path="x", tenant="nobody.example"),
        SyslogStream(name="a", transport="tls", host="h", certificate_authority="absent.pem"),
        SyslogStream(name="a", transport="tls", host="h", client_certificate="absent.pem"),
    ],
)
def test_a_mistake_in_the_settings_is_told_at_the_start(office: Office, stream: FileStream | SyslogStream) -> None:
    services = office.world.services
    named = replace(services, settings=replace(services.settings, audit_streams=(stream,)))
    with pytest.raises(InvalidSettingsError, match="auditStreams"):
        open_streams(named)


def test_syslog_over_udp_sends_one_message_a_datagram(office: Office) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(5)
        sink = DatagramSink(host="127.0.0.1", port=receiver.getsockname()[1], own_name=NAME)
        bring(office, sink)
        office.happen(1, 2, 3)
        bring(office, sink)
        found = [parse(receiver.recv(65_536)) for _ in range(3)]
    assert [message.data[SD_ID]["objectId"] for message in found] == ["1", "2", "3"]


def test_the_stream_goes_on_by_itself_through_failures(office: Office, tmp_path: Path) -> None:
    """The worker as the server runs it: it pauses longer each time, and then everything is there."""
    path = tmp_path / "absent" / "audit.jsonl"
    pauses: list[float] = []

    async def go() -> None:
        made, stream = streaming(office, FileSink(path=path))
        await made.once(stream)
        await asyncio.to_thread(office.happen, *range(BATCH // 50))

        async def sleep(seconds: float) -> None:
            pauses.append(seconds)
            if len(pauses) == 3:
                path.parent.mkdir()
            if path.exists() and len(things(lines(path))) == BATCH // 50:
                raise asyncio.CancelledError
            await asyncio.sleep(0)

        worker = replace(made, sleep=sleep)
        with suppress(asyncio.CancelledError):
            await worker.run()

    asyncio.run(go())
    assert pauses[:3] == [2.0, 4.0, 8.0]
    assert things(lines(path)) == list(range(BATCH // 50))
