"""No tattoo, by the engine and all real providers: every setting, with every option, comes and goes without a trace.

What the kernel does not take back is the one exception, and the catalog says of which options that is true.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

import msgspec
import pytest
from tests.support.every_setting import paths, policy
from tests.support.generated_documentation import whole_machine
from tests.support.policies import document, items, text
from tests.support.pretend_products import HandUptime
from tests.support.samples import HandClock
from tests.support.systemd_host import SystemdHost

from shieldwall.agent.applier.engine import Applier
from shieldwall.agent.applier.store import Store
from shieldwall.agent.host.kernel_files import is_kernel_file
from shieldwall.agent.providers.registry import linux_providers
from shieldwall.catalog.loader import load
from shieldwall.catalog.model import Catalog, PolicyTemplate
from shieldwall.catalog.validate import validate
from shieldwall.contract.settings import PolicyDocument, SettingInstance

INDICATORS = "linux_shieldwall_indicators_blockedfiles"
OURS = PurePosixPath("/var/lib/shieldwall-applier")
CLAMD = PurePosixPath("/etc/clamav/clamd.conf")
CATALOG = load(platform="linux")
TEMPLATES = [each for each in CATALOG.templates.values() if each.platforms == "linux" and each.supported]


def policies_of(template: PolicyTemplate) -> Iterator[PolicyDocument]:
    """Yield a policy for every setting of a template, and one for every option of it."""
    if any(offered.definition == INDICATORS for offered in template.settings):
        hashed = text(f"{INDICATORS}_item_sha256", "0a" * 32)
        yield document(1, items(INDICATORS, (hashed,)), template=template.id)
        return
    for path in paths(CATALOG, template):
        settings = policy(CATALOG, path)
        yield from (
            document(1, *each, template=template.id)
            for each in _variants(CATALOG, settings, path[-1][0])
            if not validate(CATALOG, template.id, template.platforms, template.technologies, each)
        )


def _variants(
    catalog: Catalog, settings: tuple[SettingInstance, ...], setting: str
) -> Iterator[tuple[SettingInstance, ...]]:
    said = msgspec.json.encode(settings).decode()
    options = [option.item_id for option in catalog.definitions[setting].options]  # type: ignore[index]
    present = next((option for option in options if f'"value":"{option}"' in said), None)
    yield settings
    for option in options:
        if present is not None and option != present:
            other = said.replace(f'"value":"{present}"', f'"value":"{option}"')
            yield msgspec.json.decode(other, type=tuple[SettingInstance, ...])


def contents(host: SystemdHost) -> Mapping[PurePosixPath, bytes]:
    return dict(host.files)


def is_lasting(policy: PolicyDocument) -> bool:
    """Say whether the catalog warns that this policy cannot be taken back before a restart."""
    said = msgspec.json.encode(policy.settings).decode()
    lasting = (option for definition in CATALOG.definitions.values() for option in definition.until_restart)
    return any(f'"{option.item_id}"' in said for option in lasting)


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda template: template.display_name)
def test_every_setting_comes_and_goes_without_a_trace(tmp_path: Path, template: PolicyTemplate) -> None:
    written: set[str] = set()
    lasting: set[PurePosixPath] = set()
    for number, wanted in enumerate(policies_of(template)):
        host = whole_machine()
        host.files[CLAMD] = b"# No socket: nobody waits for an engine that is not there.\n"
        before = contents(host)
        applier = Applier(
            host=host,
            store=Store(tmp_path / str(number)),
            providers=linux_providers(CATALOG),
            catalog=CATALOG,
            platform="linux",
            clock=HandClock(),
            uptime=HandUptime(),
        )

        report = applier.enforce([wanted])
        assert not report.refused
        written |= {status.setting for status in report.settings if status.written}
        left = applier.enforce([])

        after = contents(host)
        changed = {path for path in {*before, *after} if before.get(path) != after.get(path)}
        changed = {path for path in changed if not path.is_relative_to(OURS)}
        assert left.settings == (), "nothing is left that could be told of"
        kernel = {path for path in changed if is_kernel_file(path)}
        assert changed == kernel, (wanted.settings, changed)
        assert not kernel or is_lasting(wanted), (wanted.settings, kernel)
        lasting |= kernel
        host.files.clear()
        host.files.update(before)
    if "Reduction" in template.display_name:
        assert lasting, "locks of the kernel are among them"
    assert (
        written
        or "Audit" in template.display_name
        or "detection" in template.display_name
        or "Indicators" in template.display_name
    )
