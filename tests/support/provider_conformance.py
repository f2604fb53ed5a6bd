"""The laws that every provider obeys, whatever product stands behind it.

A provider's test module derives a class from ``ProviderConformance`` and says what its files may hold and what may be
asked of it::

    class TestMdatpConformance(ProviderConformance):
        provider = MdatpProvider(CATALOG)
        file_contents = st.fixed_dictionaries({MANAGED: documents()})
        desired = desired_settings(CATALOG, SETTINGS)

``file_contents`` draws contents as they may stand before management, all of which the provider can work with.
"""

from __future__ import annotations

import json
from typing import ClassVar

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shieldwall.agent.providers.base import Desired, Files, Kept, Provider, Rendered
from shieldwall.policy.values import SettingValue

_MANY = settings(
    max_examples=60,
    deadline=None,
    database=None,  # the laws are shared by many classes, whose examples must not be replayed on one another
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.differing_executors],
)


class ProviderConformance:
    """Derive, set the three attributes, and the laws run."""

    provider: ClassVar[Provider]
    file_contents: ClassVar[st.SearchStrategy[Files]]
    desired: ClassVar[st.SearchStrategy[Desired]]

    @given(data=st.data())
    @_MANY
    def test_letting_go_gives_the_files_back_byte_for_byte(self, data: st.DataObject) -> None:
        before, wanted = data.draw(self.file_contents), data.draw(self.desired)

        managed = self._render(before, wanted, {})
        released = self._render(managed.files, {}, managed.kept)

        assert _contents(self.provider, released.files) == _contents(self.provider, before)
        assert not released.kept

    @given(data=st.data())
    @_MANY
    def test_letting_go_after_any_history_of_policies_gives_the_files_back(self, data: st.DataObject) -> None:
        before = data.draw(self.file_contents)
        files: Files = before
        kept: Kept = {}
        for wanted in data.draw(st.lists(self.desired, min_size=2, max_size=4)):
            rendered = self._render(files, wanted, kept)
            files, kept = rendered.files, rendered.kept

        released = self._render(files, {}, kept)

        assert _contents(self.provider, released.files) == _contents(self.provider, before)

    @given(data=st.data())
    @_MANY
    def test_rendering_again_changes_nothing(self, data: st.DataObject) -> None:
        before, wanted = data.draw(self.file_contents), data.draw(self.desired)

        once = self._render(before, wanted, {})
        again = self._render(once.files, wanted, once.kept)

        assert again == once

    @given(data=st.data())
    @_MANY
    def test_the_result_does_not_depend_on_the_policies_before(self, data: st.DataObject) -> None:
        before, first, second = data.draw(self.file_contents), data.draw(self.desired), data.draw(self.desired)

        direct = self._render(before, second, {})
        managed = self._render(before, first, {})

        assert self._render(managed.files, second, managed.kept) == direct

    @given(data=st.data())
    @_MANY
    def test_nothing_asked_and_nothing_kept_touches_nothing(self, data: st.DataObject) -> None:
        before = data.draw(self.file_contents)

        untouched = self._render(before, {}, {})

        assert _contents(self.provider, untouched.files) == _contents(self.provider, before)
        assert not untouched.kept
        assert not untouched.rejected

    @given(data=st.data())
    @_MANY
    def test_what_was_written_is_what_is_read(self, data: st.DataObject) -> None:
        before, wanted = data.draw(self.file_contents), data.draw(self.desired)

        rendered = self._render(before, wanted, {})
        found = self.provider.read(rendered.files)

        for setting, value in wanted.items():
            refused = rendered.rejected.get(setting, ())
            if refused and not isinstance(value, tuple):
                assert setting not in found  # a single value is taken or refused as a whole
            elif refused:
                _is_value_without_refused(found.get(setting, ()), value, len(refused))
            else:
                assert found.get(setting) == value

    @given(data=st.data())
    @_MANY
    def test_only_declared_files_are_written_and_only_asked_settings_refused(self, data: st.DataObject) -> None:
        before, wanted = data.draw(self.file_contents), data.draw(self.desired)

        rendered = self._render(before, wanted, {})

        assert set(rendered.files) <= set(self.provider.files())
        assert set(rendered.rejected) <= set(wanted)

    @given(data=st.data())
    @_MANY
    def test_reading_unmanaged_files_never_fails(self, data: st.DataObject) -> None:
        before = data.draw(self.file_contents)

        self.provider.read(before)
        self.provider.read(dict.fromkeys(self.provider.files()))

    def test_it_has_a_stable_name(self) -> None:
        assert self.provider.name == self.provider.name.lower()
        assert self.provider.name.isalnum()

    def _render(self, files: Files, wanted: Desired, kept: Kept) -> Rendered:
        """Render as the engine does: kept has been through JSON, and what is not returned stays as it is."""
        rendered = self.provider.render(files, wanted, json.loads(json.dumps(dict(kept))))
        return Rendered(
            files={**files, **rendered.files},
            kept=json.loads(json.dumps(dict(rendered.kept))),
            rejected=rendered.rejected,
        )


def _contents(provider: Provider, files: Files) -> dict[str, bytes | None]:
    return {str(path): files.get(path) for path in provider.files()}


def _is_value_without_refused(found: SettingValue, wanted: SettingValue, refused: int) -> None:
    if not isinstance(wanted, tuple):  # of one value nothing is left when it is refused
        assert found == ()
        return
    assert isinstance(found, tuple)
    assert set(found) <= set(wanted)
    assert len(found) == len(wanted) - refused
