"""Who enforces what: resolved settings meet the providers of this machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct, field
from msgspec.structs import replace

from shieldwall.agent.applier.failures import as_failure
from shieldwall.agent.host.one_look import OneLook
from shieldwall.agent.host.ports import Host
from shieldwall.agent.providers.base import Desired, Provider, Support
from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import SettingId
from shieldwall.policy.resolve import EffectivePolicy


class Share(Struct, frozen=True, kw_only=True):
    """One provider's part: what it shall hold, what it cannot hold and why, or why it cannot even say."""

    provider: Provider
    desired: Desired
    inapplicable: Mapping[SettingId, str]
    failure: ShieldwallError | None = None
    withheld: Mapping[SettingId, str] = field(default_factory=dict)
    """Settings that are not as policies ask, because something else is held instead; with the code that says why."""


def held_back(asked: Share, instead: Share, code: str) -> Share:
    """Let a provider hold something else than was asked; say which settings are withheld by that."""
    return replace(
        instead,
        inapplicable={**instead.inapplicable, **asked.inapplicable},
        failure=asked.failure or instead.failure,
        withheld={
            **asked.withheld,
            **{
                setting: code
                for setting in asked.desired.keys() | instead.desired.keys()
                if asked.desired.get(setting) != instead.desired.get(setting)
            },
        },
    )


def share_out(host: Host, providers: Sequence[Provider], policy: EffectivePolicy) -> tuple[Share, ...]:
    """Ask every provider about every decided setting; several may take the same one."""
    look, decided = OneLook(host), policy.decided()
    shares = tuple(_share(look, provider, decided) for provider in providers)
    look.forget()  # a provider may remember whom it asked, and need not keep all that was read
    return shares


def _share(host: Host, provider: Provider, decided: Desired) -> Share:
    answers: dict[SettingId, Support] = {}
    failure: ShieldwallError | None = None
    for setting in decided:
        try:
            answer = provider.support(host, setting)
        except Exception as error:  # noqa: BLE001 - a provider that breaks must not take the others along
            failure, answer = as_failure(provider, error), Support(applicable=True)
        if answer is not None:
            answers[setting] = answer
    return Share(
        provider=provider,
        desired={setting: decided[setting] for setting, answer in answers.items() if answer.applicable},
        inapplicable={setting: answer.reason for setting, answer in answers.items() if not answer.applicable},
        failure=failure,
    )
