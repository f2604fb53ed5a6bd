"""From settings to the sinks of the audit stream."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from functools import cache
from pathlib import Path

from shieldwall.contract.ids import TenantId
from shieldwall.server.admin.services import AdminServices
from shieldwall.server.configuration.settings import InvalidSettingsError, host_of
from shieldwall.server.configuration.settings_file import FileStream, SyslogStream
from shieldwall.server.events.streams.sinks import DatagramSink, FileSink, Sink, StreamSink
from shieldwall.server.events.streams.streaming import Stream


def open_streams(services: AdminServices) -> tuple[Stream, ...]:
    """Make the sinks that the settings name; nothing is connected yet.

    Raises:
        InvalidSettingsError: A tenant or a certificate that they name is not there.
    """
    return tuple(
        Stream(name=each.name, sink=_sink(services, each), tenant_id=_tenant(services, each.tenant, each.name))
        for each in services.settings.audit_streams
    )


def _tenant(services: AdminServices, named: str | None, stream: str) -> TenantId | None:
    if named is None:
        return None
    tenant = services.tenancy.named(named)
    if tenant is None:
        raise InvalidSettingsError(f"auditStreams: {stream} names the tenant {named[:64]}, which is not there.")
    return tenant.id


def _sink(services: AdminServices, stream: FileStream | SyslogStream) -> Sink:
    data = services.settings.data
    if isinstance(stream, FileStream):
        return FileSink(path=data / stream.path)
    own_name = host_of(services.settings.public_url)
    if stream.transport == "udp":
        return DatagramSink(host=stream.host, port=stream.used_port, own_name=own_name)
    trust = _trusting(data, stream) if stream.transport == "tls" else None
    if trust is not None:
        trust()  # so that a mistake is told at the start
    return StreamSink(host=stream.host, port=stream.used_port, own_name=own_name, trust=trust)


def _trusting(data: Path, stream: SyslogStream) -> Callable[[], ssl.SSLContext]:
    @cache
    def trust() -> ssl.SSLContext:
        try:
            authority = None if stream.certificate_authority is None else data / stream.certificate_authority
            context = ssl.create_default_context(cafile=authority)
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            if stream.client_certificate is not None:
                key = None if stream.client_key is None else data / stream.client_key
                context.load_cert_chain(data / stream.client_certificate, key)
        except (OSError, ssl.SSLError) as error:
            raise InvalidSettingsError(
                f"auditStreams: a certificate of {stream.name} cannot be read: {error}."
            ) from None
        return context

    return trust
