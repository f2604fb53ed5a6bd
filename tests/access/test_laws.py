"""Laws of grants: they only add up, narrowing never shows more, and nobody gives more than they hold."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from shieldwall.contract.ids import GroupId
from shieldwall.server.access.actions import READING, ResourceAction
from shieldwall.server.access.giving import EscalationError, contains, covers, require_no_more
from shieldwall.server.access.grants import DEFAULT_TAG, WHOLE, Access, Grant, Scope
from shieldwall.server.access.roles import BUILT_IN
from shieldwall.server.access.tagging import ScopeTagRefusedError, require_tags, tags_held, tags_of_new
from shieldwall.server.access.verdicts import OF_TENANT, Facts, Verdict, judge

ACTIONS = st.sampled_from(sorted(ResourceAction)[:6])
TAGS = st.frozensets(st.sampled_from("0123"), max_size=3)
GROUPS = st.frozensets(st.sampled_from([GroupId(f"g{number}") for number in range(3)]), max_size=2)
SCOPES: SearchStrategy[Scope] = st.builds(Scope, st.none() | TAGS, st.none() | GROUPS)
GRANTS = st.builds(Grant, st.frozensets(ACTIONS, max_size=4), SCOPES)
ACCESSES = st.builds(Access, st.lists(GRANTS, max_size=4).map(tuple))
FACTS = st.just(OF_TENANT) | st.builds(Facts, TAGS, st.none() | GROUPS)
ORDER = [Verdict.UNSEEN, Verdict.REFUSED, Verdict.GRANTED]


@given(ACCESSES, GRANTS, ACTIONS, FACTS)
def test_another_grant_takes_nothing_away(access: Access, more: Grant, action: ResourceAction, facts: Facts) -> None:
    before = judge(access, action, facts, READING)
    after = judge(Access((*access.grants, more)), action, facts, READING)

    assert ORDER.index(after) >= ORDER.index(before)


@given(st.frozensets(ACTIONS), SCOPES, SCOPES, ACTIONS, FACTS)
def test_a_narrower_scope_never_shows_more(
    actions: frozenset[ResourceAction], wide: Scope, narrow: Scope, action: ResourceAction, facts: Facts
) -> None:
    if contains(wide, narrow):
        shown = judge(Access((Grant(actions, narrow),)), action, facts, READING)
        assert ORDER.index(shown) <= ORDER.index(judge(Access((Grant(actions, wide),)), action, facts, READING))


@given(ACCESSES, ACTIONS, FACTS)
def test_what_may_be_done_everywhere_may_be_done_here(access: Access, action: ResourceAction, facts: Facts) -> None:
    if access.may_everywhere(action):
        assert judge(access, action, facts, ()) is Verdict.GRANTED


@given(ACCESSES, GRANTS, ACTIONS, FACTS)
def test_whoever_covers_a_grant_may_do_all_that_it_grants(
    holder: Access, grant: Grant, action: ResourceAction, facts: Facts
) -> None:
    if covers(holder, grant):
        require_no_more(holder, grant)
        given_away = judge(Access((grant,)), action, facts, ())
        assert given_away is not Verdict.GRANTED or judge(holder, action, facts, ()) is Verdict.GRANTED
    else:
        try:
            require_no_more(holder, grant)
        except EscalationError:
            return
        raise AssertionError("a grant that is not covered was given")


@given(ACCESSES, ACTIONS, TAGS, TAGS)
def test_whoever_changes_tags_still_sees_the_object_and_moved_only_their_own(
    access: Access, action: ResourceAction, before: frozenset[str], wanted: frozenset[str]
) -> None:
    held = tags_held(access, action)
    try:
        require_tags(access, action, before, wanted)
    except ScopeTagRefusedError:
        assert held is not None
        return
    if held is not None and before != wanted:
        assert (before ^ (wanted or {DEFAULT_TAG})) <= held
        assert access.sees(action, wanted)


@given(ACCESSES, ACTIONS)
def test_what_an_author_makes_without_tags_is_seen_by_them(access: Access, action: ResourceAction) -> None:
    if tags_held(access, action) != frozenset():
        assert access.sees(action, tags_of_new(access, action, None))


def test_every_action_is_held_by_a_role_and_no_reader_changes_anything() -> None:
    granted = {action for role in BUILT_IN.values() for action in role.actions}

    assert granted == set(ResourceAction)
    assert BUILT_IN["fa1d7878-e8cb-41a1-8254-0142355c9e84"].actions <= READING
    assert contains(WHOLE, WHOLE)
