"""What an automation may keep: the same comes back from every store, as from memory, whatever its keys and values look like."""
from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kit import endpoint, put, sandbox, steps

from runtime.values import decode, encode
from store.protocol import Store
from store.query import EventQuery, Is
from store.records import ContextKey
from tests.contract.facts import CELL, NOON, change, documents, event

KEYS = ["a.b", ".", "..", "$set", "$", "$a.$b", "", " ", "0", "-1", "01", "\0", "a\0b", "é", "e\u0301", "😀", "__proto__", "_id", "\uffff", "\n", '"', "\\",
        "$lifespans", "length", "%2E", "a" * 500]
VALUES = [None, True, False, 0, -0.0, 1, 1.0, 2 ** 53, 2 ** 53 + 1, -2 ** 53 - 1, 2 ** 63 - 1, -2 ** 63, 2 ** 63, 2 ** 64 - 1, 1e308, 5e-324, 0.1, 1e22, "", "\0",
          "a\0b", "é", "e\u0301", "\ud7ff\ue000\uffff\U0010ffff", "2026-11-22T16:30:00.123Z", "2026-11-22", "$set", "$a.b", "true", "null", "1", "<b>&amp;\u2028",
          [], {}, [[]], [{}], {"": {}}, [None], {"a": None}, {"$numberLong": "5"}, {"$date": "2026-11-22"}, {"$oid": "x"}, {"$ref": "a", "$id": "b"}, "x" * 100_000]


def same(found: Any, wanted: Any) -> bool:
    """Equal to the last bit: 1 is neither 1.0 nor true, and zero has a sign."""
    return encode(found) == encode(wanted) and repr(found) == repr(wanted)


@pytest.mark.parametrize("value", VALUES, ids=lambda value: repr(value)[:30].encode("unicode_escape").decode())
async def test_a_value_comes_back_as_it_went_in_wherever_it_stands(store: Store, value: Any) -> None:
    await store.commit([change("replace", ["v"], value), change("replace", ["deep", "er", "v"], value), change("push", ["list"], value),
                        change("replace", ["map"], {"k": value, "l": [value]}), change("merge", ["merged"], {"m": value}), event(1, value=value)])
    await store.commit([change("push", ["list"], value), change("merge", ["map"], {"n": value}), change("replace", ["deep", "er", "w"], value)])
    [found] = await documents(store, [CELL], NOON)
    wanted = {"v": value, "deep": {"er": {"v": value, "w": value}}, "list": [value, value], "map": {"k": value, "l": [value], "n": value}, "merged": {"m": value}}
    assert found.keys() == wanted.keys() and all(same(found[key], wanted[key]) for key in wanted)
    [stored] = await store.events(EventQuery("w1"))
    assert same(decode(stored.body)["payload"]["value"], value)


async def test_a_member_has_whatever_name_it_was_given(store: Store) -> None:
    await store.commit([change("replace", [key], n) for n, key in enumerate(KEYS)])
    await store.commit([change("add", [key], 100) for key in KEYS] + [change("replace", ["deep", key, "x", key], key) for key in KEYS])
    await store.commit([change("delete", ["deep", key, "x"]) for key in KEYS[::2]] + [change("push", ["deep", key, "list"], key) for key in KEYS])
    [found] = await documents(store, [CELL], NOON)
    deep = found.pop("deep")
    assert found == {key: n + 100 for n, key in enumerate(KEYS)}
    assert deep == {key: {**({"x": {key: key}} if n % 2 else {}), "list": [key]} for n, key in enumerate(KEYS)}


async def test_a_document_has_whatever_name_it_was_given(store: Store) -> None:
    cells = [ContextKey("w1", context, key) for context in ("user", "session") for key in [*KEYS, "a" * 256]]
    await store.commit([change("replace", ["k"], n, cell=cell) for n, cell in enumerate(cells)])
    assert await documents(store, cells, NOON) == [{"k": n} for n in range(len(cells))]


@pytest.mark.parametrize("levels", [50, 99, 120, 198])
async def test_a_document_is_as_deep_as_it_was_made(store: Store, levels: int) -> None:
    value: Any = "bottom"
    for level in range(levels):
        value = {"k": value} if level % 2 else [value]
    await store.commit([change("replace", ["deep"], value), change("replace", ["k"] * levels, 1)])
    [found] = await documents(store, [CELL], NOON)
    assert encode(found["deep"]) == encode(value)
    for _ in range(levels):
        found = found["k"]
    assert found == 1


async def test_sums_are_the_same_everywhere(store: Store) -> None:
    sums = {"a": [1, 2], "b": [0.1, 0.2], "c": [2 ** 53, 1], "d": [2 ** 62, 2 ** 62], "e": [2 ** 63 - 1, 1], "f": [-2 ** 63, -1], "g": [1, -1], "h": [1.5, 0.5], "i": [0, -0.0]}
    for step in (0, 1):
        await store.commit([change("add", [name], terms[step]) for name, terms in sums.items()])
    [found] = await documents(store, [CELL], NOON)
    wanted = {"a": 3, "b": 0.1 + 0.2, "c": 2 ** 53 + 1, "d": 2.0 ** 63, "e": 2.0 ** 63, "f": -2.0 ** 63, "g": 0, "h": 2.0, "i": 0.0}
    assert {name: repr(value) for name, value in found.items()} == {name: repr(value) for name, value in wanted.items()}


TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=6) | st.sampled_from(KEYS)
ANYTHING = st.recursive(st.none() | st.booleans() | st.integers(-2 ** 63, 2 ** 64 - 1) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
                        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3), max_leaves=10)


@pytest.fixture
def numbers() -> Any:
    return iter(range(10 ** 9))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(value=ANYTHING, key=TEXTS)
async def test_anything_at_all_comes_back(store: Store, numbers: Any, value: Any, key: str) -> None:
    cell = ContextKey("w1", "user", f"u{next(numbers)}")
    await store.commit([change("replace", [key], value, cell=cell), change("push", ["list", key], value, cell=cell), event(1, id=cell.key, value=value)])
    [found] = await documents(store, [cell], NOON)
    assert same(found[key] if key != "list" else None, value if key != "list" else None)
    assert same(found["list"][key], [value]) or key == "list"
    [stored] = await store.events(EventQuery("w1", Is(("id",), (cell.key,))))
    assert same(decode(stored.body)["payload"]["value"], value)


async def test_what_an_automation_keeps_is_the_same_before_and_after_a_restart(store: Store) -> None:
    """Bytes of a body become text, what is no number null: at once, and not only in the store."""
    given = {"map": dict.fromkeys(KEYS, 1), "numbers": [2 ** 53 + 1, 2 ** 64 - 1, -2 ** 63], "raw": b"\x00\xff", "nan": float("nan"), "nul": "a\0b", "none": [None, {"a": None}]}
    automations = {"main": endpoint(*(put(f"{context}.kept", "{{body}}") for context in ("global", "config", "run")), put("global.at['a.b']", 1),
                                    put("global.at['$c']", "{{body.nul}}"), {"look": {"output": "seen"}}, output="{{seen}}"),
                   "look": steps(output=["{{global.kept}}", "{{config.kept}}", "{{global.at}}"]),
                   "again": endpoint({"look": {"output": "seen"}}, output="{{seen}}")}
    async with sandbox(automations, on=store) as box:
        before = await box.call("main", given)
        assert before[2] == {"a.b": 1, "$c": "a\0b"}
        assert (before[0]["raw"], before[0]["nan"], before[0]["map"]) == ("AP8=", None, given["map"])
    async with sandbox(automations, on=store) as box:
        assert encode(await box.call("again")) == encode(before)
