"""What a device says about itself, taken into the directory."""

from __future__ import annotations

from dataclasses import replace

from shieldwall.contract.messages import DeviceFacts
from shieldwall.contract.other_managers import manager_of
from shieldwall.server.storage.device_records import Device


def with_facts(device: Device, facts: DeviceFacts) -> Device:
    """Return a device of which these facts hold."""
    return replace(
        device,
        display_name=facts.display_name,
        os_type=facts.os_type,
        os_version=facts.os_version,
        architecture=facts.architecture,
        manufacturer=facts.manufacturer,
        model=facts.model,
        agent_version=facts.agent_version,
        catalog_version=facts.catalog_version,
        providers=facts.providers,
        managed_elsewhere=facts.managed_elsewhere,
        manager=manager_of(facts),
        unsuitable=facts.unsuitable,
        is_domain_controller=facts.is_domain_controller,
        is_rooted=facts.is_rooted,
        key_protection=facts.key_protection,
    )
