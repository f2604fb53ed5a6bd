from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import pytest
from tests.support.memory_host import MemoryHost

from shieldwall.agent.host.ports import Completed
from shieldwall.agent.providers.nftables import NftablesProvider
from shieldwall.agent.providers.nftables.live import LiveTable
from shieldwall.agent.providers.nftables.nft import NftablesError, live_table
from shieldwall.agent.providers.nftables.rules import FIREWALL_RULES
from shieldwall.agent.providers.nftables.zones import AUDIT_MODE, CONFIRM_SECONDS
from shieldwall.contract.ids import SettingId

PROVIDER = NftablesProvider()


def nft_without_rights(arguments: Sequence[str], stdin: bytes) -> Completed:
    del stdin
    if arguments == ["--version"]:
        return Completed(returncode=0, stdout=b"nftables v1.0.6 (Lester Gooch #5)\n", stderr=b"")
    return Completed(returncode=1, stdout=b"", stderr=b"Operation not permitted (you must be root)\n")


@pytest.mark.parametrize(
    ("host", "words"),
    [
        (MemoryHost(), "not installed"),
        (MemoryHost(programs={"nft": nft_without_rights}), "you must be root"),
    ],
    ids=["absent", "without rights"],
)
def test_where_nft_cannot_be_used_the_reason_is_said(host: MemoryHost, words: str) -> None:
    support = PROVIDER.support(host, FIREWALL_RULES)

    assert support is not None
    assert not support.applicable
    assert words in support.reason
    assert PROVIDER.product_version(host) is None
    assert PROVIDER.observe(host, {FIREWALL_RULES: ()})[FIREWALL_RULES].effective is None


def test_settings_of_others_are_none_of_its_business() -> None:
    assert PROVIDER.support(MemoryHost(), SettingId("linux_mdatp_managed_antivirusengine_enforcementlevel")) is None


def test_letting_go_where_nft_never_was_is_nothing_to_do() -> None:
    PROVIDER.activate(MemoryHost())


@pytest.mark.parametrize("output", [b"", b"garbage", b"[]", b'{"nftables": [{"table": 3}]}', b'{"nftables": 7}'])
def test_garbage_from_nft_is_a_probe_that_saw_nothing(output: bytes) -> None:
    host = MemoryHost(programs={"nft": lambda _arguments, _stdin: Completed(returncode=0, stdout=output, stderr=b"")})

    observation = PROVIDER.observe(host, {FIREWALL_RULES: ()})[FIREWALL_RULES]

    assert observation.effective is None
    assert observation.code == NftablesError.code


def test_a_table_that_is_there_is_asked_for_once_and_one_that_is_not_is_looked_for() -> None:
    listing = b'{"nftables": [{"table": {"family": "inet", "name": "shieldwall", "handle": 1}}]}'
    there: dict[tuple[str, ...], bytes] = {("-j", "-n", "-t", "list", "table", "inet", "shieldwall"): listing}
    nowhere: dict[tuple[str, ...], bytes] = {("list", "tables"): b"table ip shieldwall\ntable inet other\n"}
    for answers, expected, asked in (
        (there, LiveTable(hooked=frozenset(), strange=frozenset(), objects=frozenset(), lines=()), 1),
        (nowhere, None, 2),
    ):
        host = MemoryHost(programs={"nft": partial(answering, answers)})
        assert live_table(host) == expected
        assert len(host.operations) == asked
    with pytest.raises(NftablesError, match="No such"):
        live_table(MemoryHost(programs={"nft": partial(answering, {("list", "tables"): b"table inet shieldwall\n"})}))


def answering(answers: Mapping[tuple[str, ...], bytes], arguments: Sequence[str], stdin: bytes) -> Completed:
    del stdin
    said = answers.get(tuple(arguments))
    return Completed(
        returncode=0 if said is not None else 1, stdout=said or b"", stderr=b"" if said else b"No such thing"
    )


def test_all_settings_of_one_look_ask_nft_once() -> None:
    host = MemoryHost(programs={"nft": lambda _arguments, _stdin: Completed(returncode=0, stdout=b"{}", stderr=b"")})
    provider = NftablesProvider()

    supported = [provider.support(host, setting) for setting in (FIREWALL_RULES, AUDIT_MODE, CONFIRM_SECONDS)]

    assert all(each is not None and each.applicable for each in supported)
    assert host.operations == ["run /usr/bin/nft -j list tables"]
    del host.programs["nft"]
    other = provider.support(MemoryHost(), AUDIT_MODE)
    assert other is not None
    assert not other.applicable, "another machine is asked by itself"
