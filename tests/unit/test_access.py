from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.access import Bound, Reader, may_read, readable
from runtime.values import encode
from store.query import All, Condition, Is, Prefix, predicate

CUSTOM = "topic:runtime:emit"
ALICE = Reader("alice", "s1")


def custom(source: dict[str, Any] | None = None, **members: Any) -> dict[str, Any]:
    return {"type": "note", "source": {"serviceTopic": CUSTOM, **(source or {})}, **members}


def native(type: str, source: dict[str, Any] | None = None, **members: Any) -> dict[str, Any]:
    return {"type": type, "source": {"serviceTopic": type, **(source or {})}, **members}


READ = [
    (ALICE, custom({"sessionId": "s1"}), True),
    (ALICE, custom({"userId": "alice"}), True),
    (ALICE, custom({"sessionId": "s2"}), False),
    (ALICE, custom(), False),
    (ALICE, native("error", {"sessionId": "s1", "userId": "alice"}), False),
    (ALICE, native("runtime.fetch.failed", target={"userId": "alice"}), True),
    (ALICE, custom(target={"userId": "alice"}), True),
    (ALICE, custom(target={"sessionId": "s1"}), True),
    (ALICE, custom({"sessionId": "s1"}, target={"userId": "bob"}), True),
    (ALICE, custom({"sessionId": "s1"}, target={"userId": "bob", "exclusive": True}), False),
    (ALICE, custom({"sessionId": "s1"}, target={"userId": "alice", "exclusive": True}), True),
    (ALICE, custom(target={"userTopic": "room"}), False),
    (ALICE._replace(topics=frozenset(("room",))), custom(target={"userTopic": "room"}), True),
    (Reader(), custom({"sessionId": "s1"}), False),
    (Reader(), custom(target={"userId": "", "sessionId": None}), False),
    (Reader("alice"), custom({"userId": "alice"}), True),
    (Reader("alice"), custom(), False),
    (Reader(role="guest", session_id="s9"), native("error"), False),
    (Reader("o", "s", "owner"), native("apikeys.created"), True),
    (Reader("o", "s", "owner"), custom(target={"userId": "bob", "exclusive": True}), True),
    (Reader("o", "s", "owner"), native("runtime.contexts.updated"), False),
    (Reader("o", "s", "owner", sees_context_updates=True), native("runtime.contexts.updated"), True),
    (Reader("e", "s", "editor", sees_context_updates=True), native("runtime.contexts.updated"), False),
    (Reader("e", "s", "editor"), native("apikeys.created"), False),
    (Reader("e", "s", "editor"), native("workspaces.updated"), True),
    (ALICE, native("runtime.contexts.updated", target={"userId": "alice"}), False),
]


@pytest.mark.parametrize(("reader", "event", "is_read"), READ)
def test_the_rules_of_a_new_workspace(reader, event, is_read):
    assert may_read(event, reader) is is_read
    assert predicate(readable(reader))(event, encode(event)) is is_read


words = st.sampled_from(["alice", "bob", "s1", "s2", "room", "hall", "1", "true", ""])
names = st.none() | words


def bound(allows: bool, condition: Condition) -> Bound:
    return Bound(allows, condition, predicate(condition))


rules = st.lists(st.builds(bound, st.booleans(), st.sampled_from([
    All(()), Is(("type",), ("note",)), Prefix(("type",), "apikeys"), Is(("source", "userId"), ("bob",)), Is(("type",), ("runtime.contexts.updated",))])),
    max_size=3).map(tuple)
readers = st.builds(Reader, names, names, st.sampled_from([None, "owner", "editor", "guest"]), st.frozensets(words, max_size=3), st.booleans(), rules)
values = names | st.integers(0, 1) | st.booleans()
events = st.fixed_dictionaries(
    {"type": st.sampled_from(["note", "error", "apikeys.created", "apikeys", "runtime.contexts.updated", "runtime.automations.executed"]),
     "source": st.fixed_dictionaries({"serviceTopic": st.sampled_from([CUSTOM, "error", "x"])},
                                     optional={"sessionId": values, "userId": values, "socketId": words})},
    optional={"target": st.fixed_dictionaries({}, optional={
        "userId": values, "sessionId": values, "userTopic": values, "exclusive": st.booleans() | words, "currentSocket": st.booleans()})})


@settings(max_examples=400)
@given(readers, events)
def test_the_test_and_the_condition_agree(reader, event):
    assert may_read(event, reader) is predicate(readable(reader))(event, encode(event))


@given(readers, events)
def test_context_changes_are_for_owners_who_were_shown_them(reader, event):
    if event["type"] == "runtime.contexts.updated" and may_read(event, reader):
        assert reader.role == "owner" and reader.sees_context_updates


@given(readers, events)
def test_a_topic_only_ever_adds(reader, event):
    if may_read(event, reader):
        assert may_read(event, reader._replace(topics=reader.topics | {"another"}))
