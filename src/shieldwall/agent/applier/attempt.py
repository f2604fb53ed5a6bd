"""What one provider goes through: prepared without touching anything, then carried out, or undone."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import PurePosixPath

from msgspec import Struct, field
from msgspec.structs import replace

from shieldwall.agent.applier.as_written import AsWritten
from shieldwall.agent.applier.failures import ReadBackError, UndeclaredFileError, as_failure
from shieldwall.agent.applier.plan import Share
from shieldwall.agent.applier.state import AS_PUBLISHED, Intent, Managed, SavedFile, State, Terms
from shieldwall.agent.applier.values import digest_of_desired
from shieldwall.agent.host.kernel_files import is_kernel_file
from shieldwall.agent.host.ports import Host
from shieldwall.agent.providers.base import (
    Desired,
    Files,
    Kept,
    Observation,
    Provider,
    Rendered,
    Surroundings,
    Surveys,
    TakesSingly,
)
from shieldwall.contract.errors import ShieldwallError
from shieldwall.contract.ids import SettingId


class Attempt(Struct, frozen=True, kw_only=True):
    """What a provider's files hold, what they shall hold, and what this makes necessary."""

    share: Share
    before: Files
    rendered: Rendered
    drifted: frozenset[SettingId]
    """Settings that somebody changed since we applied the very same."""
    must_activate: bool
    is_new: bool
    """Whether other settings are to hold than before, or on another machine; else somebody changed what differs."""
    left_alone: bool = False
    """Whether what somebody changed is only looked at, because it was put back too often already."""

    @property
    def provider(self) -> Provider:
        """The provider."""
        return self.share.provider

    @property
    def changes(self) -> Files:
        """The files that get other contents."""
        if self.left_alone:
            return {}
        return {path: content for path, content in self.rendered.files.items() if content != self.before.get(path)}

    @property
    def repairs(self) -> bool:
        """Whether there is nothing to do but to put back what somebody changed."""
        return not self.is_new and not self.must_activate

    @property
    def intent(self) -> Intent:
        """How to go back."""
        return Intent(
            provider=self.provider.name,
            files=tuple(SavedFile(path=str(path), content=self.before.get(path)) for path in sorted(self.changes)),
        )

    @property
    def managed(self) -> Managed | None:
        """What to remember once it succeeded."""
        if not self.share.desired:
            return None
        return Managed(kept=dict(self.rendered.kept), desired=digest_of_desired(self.share.desired))


class Outcome(Struct, frozen=True, kw_only=True):
    """How it went for one provider."""

    share: Share
    attempt: Attempt | None = None
    found: Desired = field(default_factory=dict)
    observed: Mapping[SettingId, Observation] = field(default_factory=dict)
    repaired: frozenset[SettingId] = frozenset()
    failure: ShieldwallError | None = None
    left: Intent | None = None
    """What is still to be undone, or without files only to be activated, after a failure."""
    let_go: bool = False
    """Whether the files are as before management, even though the component did not take them yet."""
    applied_again: bool = False
    """Whether the same settings were applied once more, because something had changed."""
    contested: frozenset[SettingId] = frozenset()
    """Settings that somebody changes again and again."""
    changed_by: str = ""
    """Who changed what was put back, where that is known."""
    restored: tuple[str, ...] = ()
    """What was done to keep the component running."""


def prepare(host: Host, share: Share, state: State, terms: Terms = AS_PUBLISHED) -> Attempt | Outcome:
    """Compute a provider's change; an outcome where there is nothing to attempt or it failed already.

    ``terms`` are those on which the settings are to hold: they say where the server is.
    """
    provider, managed = share.provider, state.providers.get(share.provider.name)
    if share.failure is not None:
        return Outcome(share=share, failure=share.failure)
    begun = any(intent.provider == provider.name for intent in state.intents)
    if not share.desired and managed is None and not begun:
        return Outcome(share=share)
    try:
        before = _read_files(host, provider)
        kept = managed.kept if managed else {}
        surveyed = _surveyed(host, share, kept, terms)
        rendered = provider.render(before, share.desired, surveyed)
        _refuse_undeclared(provider, rendered)
        same = managed is not None and managed.desired == digest_of_desired(share.desired)
        wanted, found = provider.read({**before, **rendered.files}), provider.read(before)
    except Exception as error:  # noqa: BLE001 - as everywhere here, one provider's failure is its own
        return Outcome(share=share, failure=as_failure(provider, error))
    return Attempt(
        share=share,
        before=before,
        rendered=rendered,
        drifted=frozenset(name for name in share.desired if same and found.get(name) != wanted.get(name)),
        must_activate=begun,
        is_new=not same or surveyed != kept,
    )


def carry_out(host: Host, attempt: Attempt, may_repair: Callable[[Collection[SettingId]], bool]) -> Outcome:
    """Write, activate, read back, observe; on failure undo. What is as it should be already is left alone.

    ``may_repair`` says whether a component that lost settings may be given them again now.
    """
    provider = attempt.provider
    again = bool(attempt.repairs and attempt.changes)
    try:
        if attempt.left_alone:
            return _looked_at(host, attempt)
        for path, content in attempt.changes.items():
            host.write_file(path, content)
        if attempt.changes or attempt.must_activate:
            provider.activate(host)
        found, untaken = _read_back(host, attempt)
        observed = _observed(host, attempt, untaken)
        gone = frozenset(
            name
            for name in _not_effective(observed)
            if not observed[name].lasting and (found.get(name) or name not in attempt.rendered.rejected)
        )
        if gone and not attempt.changes and not attempt.must_activate and may_repair(gone):
            again = True
            provider.activate(host)  # the files are right and the component lost them: a flushed table, a restart
            observed = _observed(host, attempt, untaken)
    except Exception as error:  # noqa: BLE001 - as above
        return replace(_failed(host, attempt, as_failure(provider, error)), applied_again=again)
    return Outcome(
        share=attempt.share,
        attempt=attempt,
        found=found,
        observed=observed,
        repaired=(attempt.drifted | gone) - _not_effective(observed),
        applied_again=again and not (untaken and attempt.drifted <= untaken),  # what is refused was changed by nobody
    )


def undo(
    host: Host, provider: Provider | None, intent: Intent, *, whatever_the_disk_says: bool = False
) -> ShieldwallError | None:
    """Put back the files of an intent and let the component take them; say what went wrong, if anything.

    ``whatever_the_disk_says``: where a file cannot be written, the component is shown the contents all the same. It is
    then as it was, until something restarts it; the error is returned, so that the files are put back later.
    """
    refusal: ShieldwallError | None = None
    try:
        for saved in intent.files:
            path = PurePosixPath(saved.path)
            # A file that reads right may not be on disk yet; a value of the kernel never is, and may be refused twice.
            if not is_kernel_file(path) or host.read_file(path) != saved.content:
                host.write_file(path, saved.content)
    except ShieldwallError as error:
        if not whatever_the_disk_says:
            return error
        refusal = error
        host = AsWritten(host, {PurePosixPath(saved.path): saved.content for saved in intent.files})
    try:
        if provider is not None:
            provider.activate(host)
    except Exception as error:  # noqa: BLE001 - as everywhere here, one provider's failure is its own
        assert provider is not None
        return refusal or as_failure(provider, error)
    return refusal


def _looked_at(host: Host, attempt: Attempt) -> Outcome:
    found = attempt.provider.read(attempt.before)
    observed = dict(attempt.provider.observe(host, attempt.share.desired))
    return Outcome(share=attempt.share, attempt=attempt, found=found, observed=observed)


def _surveyed(host: Host, share: Share, kept: Kept, terms: Terms) -> Kept:
    """Lay what the provider has to know of the machine over what it remembers, where it asks for that."""
    if not share.desired or not isinstance(share.provider, Surveys):
        return kept
    return {**kept, **share.provider.survey(host, share.desired, Surroundings(server_urls=terms.server_urls))}


def _refuse_undeclared(provider: Provider, rendered: Rendered) -> None:
    if undeclared := rendered.files.keys() - set(provider.files()):
        raise UndeclaredFileError(f"{provider.name} wants to write {min(undeclared)}, which it never declared.")


def _failed(host: Host, attempt: Attempt, failure: ShieldwallError) -> Outcome:
    if not attempt.share.desired and _holds(host, attempt.rendered.files):
        # A component that is down must not bring settings back that nobody wants: the files stay as before management,
        # and it is asked to take them again next time.
        activation = Intent(provider=attempt.provider.name, files=())
        return Outcome(share=attempt.share, attempt=attempt, failure=failure, left=activation, let_go=True)
    undone = undo(host, attempt.provider, attempt.intent) is None
    found = _found(host, attempt.provider)
    left = None if undone else attempt.intent
    return Outcome(share=attempt.share, attempt=attempt, found=found, failure=failure, left=left)


def _holds(host: Host, files: Files) -> bool:
    try:
        return all(host.read_file(path) == content for path, content in files.items())
    except ShieldwallError:
        return False


def _read_files(host: Host, provider: Provider) -> Files:
    return {path: host.read_file(path) for path in provider.files()}


def _read_back(host: Host, attempt: Attempt) -> tuple[Desired, frozenset[SettingId]]:
    """Read the files again; name the settings that a product did not take which takes each by itself."""
    provider = attempt.provider
    found = provider.read(_read_files(host, provider))
    untaken = frozenset(
        setting
        for setting, value in attempt.share.desired.items()
        if setting not in attempt.rendered.rejected and found.get(setting) != value
    )
    if untaken and not (isinstance(provider, TakesSingly) and provider.takes_singly):
        raise ReadBackError(f"{min(untaken)} was written and reads differently afterwards.")
    return found, untaken


def _observed(host: Host, attempt: Attempt, untaken: frozenset[SettingId]) -> dict[SettingId, Observation]:
    """Observe; what was not taken is not in effect, whatever the component says of it."""
    observed = dict(attempt.provider.observe(host, attempt.share.desired))
    reason = "The product took the setting and did not keep it."
    refused = Observation(effective=False, code="notTaken", reason=reason, lasting=True)
    return {**observed, **{name: refused for name in untaken if _is_fine(observed.get(name))}}


def _is_fine(observation: Observation | None) -> bool:
    return observation is None or observation.effective is not False


def _found(host: Host, provider: Provider) -> Desired:
    try:
        return provider.read(_read_files(host, provider))
    except Exception:  # noqa: BLE001 - this only adds to the report of a failure
        return {}


def _not_effective(observed: Mapping[SettingId, Observation]) -> frozenset[SettingId]:
    return frozenset(setting for setting, observation in observed.items() if observation.effective is False)
