from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.errors import AutomationsError, InvalidInstruction
from runtime.modules import MODULES
from runtime.modules.around import Around
from runtime.testing import CountedIds, HandClock
from runtime.values import copy
from store.changes import apply


class Documents:
    """A document that remembers which changes it was told."""

    def __init__(self) -> None:
        self.document: dict[str, Any] = {}
        self.told: list[tuple[str, tuple]] = []

    def read(self) -> dict[str, Any]:
        return self.document

    def change(self, op: str, path: tuple, value: Any = None) -> None:
        self.told.append((op, path))
        apply(self.document, op, path, copy(value))


class Shelf:
    def __init__(self) -> None:
        self.documents = Documents()
        self.around = Around(CountedIds(), HandClock(), None, self.documents)

    def call(self, function: str, **parameters: Any) -> Any:
        return MODULES["collections"].functions[function]({"collection": "people", **parameters}, self.around)

    def names(self, **parameters: Any) -> list[str]:
        return [item["name"] for item in self.call("findMany", **parameters)]


@pytest.fixture
def shelf() -> Shelf:
    shelf = Shelf()
    shelf.call("bulkCreate", data=[
        {"_id": "1", "name": "Ada", "age": 36, "tags": ["math", "code"], "address": {"city": "London"}},
        {"_id": "2", "name": "Bob", "age": 20, "tags": ["code"]},
        {"_id": "3", "name": "Cy", "age": 36, "tags": []}])
    shelf.documents.told.clear()
    return shelf


def test_an_item_gets_an_id_and_is_a_copy() -> None:
    shelf = Shelf()
    data = {"name": "Ada", "tags": []}
    made = shelf.call("create", data=data)
    made["tags"].append("changed")
    assert list(made) == ["_id", "name", "tags"] and shelf.call("findOne") == {"_id": made["_id"], "name": "Ada", "tags": []}
    shelf.call("findOne")["tags"].append("changed")
    assert shelf.call("findOne")["tags"] == []


def test_items_are_found_by_query_in_order_and_in_part(shelf: Shelf) -> None:
    assert shelf.names() == ["Ada", "Bob", "Cy"]
    assert shelf.names(query={"age": {"$gt": 20}, "tags": "code"}) == ["Ada"]
    assert shelf.names(query={"address.city": "London"}) == shelf.names(query={"_id": "1"}) == ["Ada"]
    assert shelf.names(query={"_id": "1", "name": "Bob"}) == shelf.names(query={"_id": "9"}) == []
    assert shelf.names(query={"_id": {"$in": ["1", "3"]}}) == ["Ada", "Cy"]
    assert shelf.names(sort={"age": 1, "name": -1}) == ["Bob", "Cy", "Ada"]
    assert shelf.names(sort={"address.city": 1}) == ["Bob", "Cy", "Ada"]
    assert shelf.names(skip=1, limit=1) == ["Bob"] and shelf.names(limit=0) == []
    assert shelf.call("findOne", query={"name": "No"}) is None
    assert shelf.call("findAndCount", query={"age": 36}, limit=1) == {"items": shelf.call("findMany", limit=1), "count": 2}
    assert shelf.call("count") == 3 and shelf.call("count", collection="none") == 0


def test_a_projection_shows_some_fields_or_hides_some(shelf: Shelf) -> None:
    def shown(projection: Any) -> Any:
        return shelf.call("findOne", query={"_id": "1"}, projection=projection)
    assert shown({"name": 1}) == shown(["name"]) == {"_id": "1", "name": "Ada"}
    assert shown({"address.city": 1, "_id": 0}) == {"address": {"city": "London"}}
    assert shown({"_id": 0, "tags": 0, "address.city": 0, "no.thing": 0}) == {"name": "Ada", "age": 36, "address": {}}


def test_distinct_values(shelf: Shelf) -> None:
    assert shelf.call("distinct", field="age") == [36, 20] and shelf.call("distinct", field="tags") == ["math", "code"]
    assert shelf.call("distinct", field="address.city", query={"age": 20}) == []


@pytest.mark.parametrize(("update", "expected"), [
    ({"age": 37}, {"age": 37}), ({"$set": {"address.zip": "N1", "new.deep": 1}}, {"address": {"city": "London", "zip": "N1"}, "new": {"deep": 1}}),
    ({"$unset": {"address.city": ""}}, {"address": {}}), ({"$inc": {"age": 2, "count": 1}}, {"age": 38, "count": 1}),
    ({"$mul": {"age": 2, "none": 5}}, {"age": 72, "none": 0}), ({"$min": {"age": 30, "low": 1}}, {"age": 30, "low": 1}),
    ({"$max": {"age": 30}}, {"age": 36}), ({"$push": {"tags": "art", "more": [1]}}, {"tags": ["math", "code", "art"], "more": [[1]]}),
    ({"$push": {"tags": {"$each": ["a", "b"], "$slice": -3}}}, {"tags": ["code", "a", "b"]}),
    ({"$addToSet": {"tags": {"$each": ["math", "art", "art"]}}}, {"tags": ["math", "code", "art"]}),
    ({"$pull": {"tags": "math"}}, {"tags": ["code"]}), ({"$pull": {"tags": {"$in": ["math", "code"]}}}, {"tags": []}),
    ({"$pop": {"tags": 1}}, {"tags": ["math"]}), ({"$pop": {"tags": -1}}, {"tags": ["code"]}),
    ({"$rename": {"name": "title.en", "none": "x"}}, {"name": None, "title": {"en": "Ada"}}),
    ({"$set": {"tags.0": "x"}}, {"tags": ["x", "code"]}), ({"$set": {"a": 1}, "$inc": {"a": 1}}, {"a": 2}),
    ({"$setOnInsert": {"age": 1}, "$set": {"_id": "1"}}, {"age": 36}), ({"age": True}, {"age": True}),
])
def test_what_an_update_does(shelf: Shelf, update: dict[str, Any], expected: dict[str, Any]) -> None:
    assert shelf.call("updateOne", query={"_id": "1"}, update=update)["matchedCount"] == 1
    item = shelf.call("findOne", query={"_id": "1"})
    assert {name: item.get(name) for name in expected} == expected
    assert shelf.names(query={"_id": {"$ne": "1"}}) == ["Bob", "Cy"]


def test_changes_are_as_small_as_they_can_be(shelf: Shelf) -> None:
    shelf.call("updateOne", query={"_id": "1"}, update={"$inc": {"age": 1}, "$push": {"tags": "x"}, "$set": {"address.zip": 1}})
    at = ("people", "items", "1")
    assert shelf.documents.told == [("add", (*at, "age")), ("push", (*at, "tags")), ("replace", (*at, "address", "zip"))]


def test_an_update_says_how_many_matched_and_how_many_changed(shelf: Shelf) -> None:
    assert shelf.call("updateMany", query={"age": {"$gte": 20}}, update={"age": 36}) == {"matchedCount": 3, "modifiedCount": 1}
    assert shelf.call("updateOne", query={"age": 36}, update={"$set": {"first": True}}) == {"matchedCount": 1, "modifiedCount": 1}
    assert shelf.names(query={"first": True}) == ["Ada"]
    assert shelf.call("updateOne", query={"name": "No"}, update={"a": 1}) == {"matchedCount": 0, "modifiedCount": 0}


def test_an_upsert_updates_or_creates(shelf: Shelf) -> None:
    update = {"$set": {"seen": 1}, "$setOnInsert": {"born": 1}}
    assert shelf.call("upsert", query={"name": "Ada"}, update=update) == {"matchedCount": 1, "modifiedCount": 1}
    result = shelf.call("upsert", query={"name": "Dee", "age": {"$gt": 3}, "a.b": 1}, update=update)
    assert result["matchedCount"] == 0
    assert shelf.call("findOne", query={"_id": result["upsertedId"]}) == {
        "_id": result["upsertedId"], "name": "Dee", "a": {"b": 1}, "seen": 1, "born": 1}
    assert shelf.call("updateOne", upsert=True, query={"_id": "mine"}, update={"x": 1})["upsertedId"] == "mine"
    assert "born" not in shelf.call("findOne", query={"name": "Ada"})


def test_items_are_deleted(shelf: Shelf) -> None:
    assert shelf.call("deleteOne", query={"age": 36}) == {"deletedCount": 1} and shelf.names() == ["Bob", "Cy"]
    assert shelf.call("deleteMany", query={"age": {"$lt": 99}}) == {"deletedCount": 2} and shelf.names() == []


@pytest.mark.parametrize(("function", "more"), [("updateOne", {"update": {"a": 1}}), ("updateMany", {"update": {"a": 1}}),
                                                ("upsert", {"update": {"a": 1}}), ("deleteOne", {}), ("deleteMany", {})])
@pytest.mark.parametrize("query", [{}, None])
def test_changing_everything_must_be_meant(shelf: Shelf, function: str, more: dict[str, Any], query: Any) -> None:
    with pytest.raises(InvalidInstruction, match="allowMatchAll"):
        shelf.call(function, query=query, **more)
    assert shelf.documents.told == []
    shelf.call(function, query=query, allowMatchAll=True, **more)
    assert shelf.documents.told


def test_unique_fields_stay_unique(shelf: Shelf) -> None:
    shelf.call("updateSchema", properties={"name": {"type": "string"}}, uniques=[{"properties": ["name", "age"]}])
    shelf.call("create", data={"name": "Ada", "age": 1})
    shelf.call("create", data={"name": "Ada"})
    shelf.call("create", data={"name": "Ada"})
    for change in (lambda: shelf.call("create", data={"name": "Ada", "age": 36}),
                   lambda: shelf.call("updateOne", query={"_id": "3"}, update={"name": "Ada"}),
                   lambda: shelf.call("updateMany", query={"_id": {"$in": ["2", "3"]}}, update={"name": "Same", "age": 1}),
                   lambda: shelf.call("bulkCreate", data=[{"name": "N", "age": 1}, {"name": "N", "age": 1}])):
        with pytest.raises(InvalidInstruction, match="name, age"):
            change()
    assert shelf.call("updateOne", query={"_id": "1"}, update={"age": 36, "x": 1})["modifiedCount"] == 1


def test_collections_are_listed_described_measured_and_deleted(shelf: Shelf) -> None:
    shelf.call("create", collection="other", data={"a": 1})
    schema = shelf.call("updateSchema", schema="Person", properties={"name": {}}, indexes=[["age"]])
    assert schema == {"name": "Person", "properties": {"name": {}}, "indexes": [["age"]], "uniques": []}
    assert shelf.call("listCollections") == ["other", "people"] and shelf.call("getCollectionSchemas") == {"people": schema}
    assert shelf.call("getCollectionStats")["count"] == 3 and shelf.call("getCollectionStats")["size"] > 100
    shelf.call("create", data={"age": "old"})
    assert shelf.call("inferCollectionSchema")["properties"] == {
        "_id": {"type": "string"}, "name": {"type": "string"}, "age": {"type": ["number", "string"]}, "tags": {"type": "array"},
        "address": {"type": "object"}}
    assert shelf.call("deleteCollections", collections=["people", "people", "none"]) == {"deletedCount": 1}
    assert shelf.call("listCollections") == ["other"]


def test_items_are_grouped_and_summed_up(shelf: Shelf) -> None:
    assert shelf.call("aggregate", pipeline=[
        {"$match": {"age": {"$gt": 0}}},
        {"$group": {"_id": "$age", "n": {"$sum": 1}, "names": {"$push": "$name"}, "first": {"$first": "$name"}, "last": {"$last": "$city"},
                    "mean": {"$avg": "$age"}, "low": {"$min": "$name"}, "high": {"$max": "$age"}, "count": {"$count": {}}, "set": {"$addToSet": "$age"}}},
        {"$sort": {"_id": 1}}, {"$skip": 1}]) == [
        {"_id": 36, "n": 2, "names": ["Ada", "Cy"], "first": "Ada", "last": None, "mean": 36.0, "low": "Ada", "high": 36, "count": 2, "set": [36]}]


def test_items_are_unwound_shaped_and_counted(shelf: Shelf) -> None:
    assert shelf.call("aggregate", pipeline=[{"$unwind": "$tags"}, {"$project": {"_id": 0, "tag": "$tags", "city": "$address.city"}}]) == [
        {"tag": "math", "city": "London"}, {"tag": "code", "city": "London"}, {"tag": "code"}]
    assert shelf.call("aggregate", pipeline=[{"$unwind": {"path": "$tags", "preserveNullAndEmptyArrays": True}}, {"$count": "n"}]) == [{"n": 4}]
    assert shelf.call("aggregate", pipeline=[{"$limit": 1}, {"$project": {"name": 1}}, {"$addFields": {"k": "v", "copy": "$name", "m": {"n": "$name"}}}]) == [
        {"_id": "1", "name": "Ada", "k": "v", "copy": "Ada", "m": {"n": "Ada"}}]
    assert "copy" not in shelf.call("findOne")


@pytest.mark.parametrize(("function", "parameters"), [
    ("findMany", {"collection": ""}), ("findMany", {"collection": 3}), ("findMany", {"collection": "x" * 101}), ("findMany", {"query": "x"}),
    ("findMany", {"query": {"$where": "1"}}), ("findMany", {"sort": "age"}), ("findMany", {"sort": {"a..b": 1}}), ("findMany", {"limit": -1}),
    ("findMany", {"projection": "x"}), ("create", {}), ("create", {"data": [1]}), ("create", {"data": {"_id": "1"}}), ("create", {"data": {"_id": 7}}),
    ("bulkCreate", {"data": {}}), ("distinct", {}), ("updateOne", {"query": {"_id": "1"}}), ("updateOne", {"query": {"_id": "1"}, "update": {}}),
    ("updateOne", {"query": {"_id": "1"}, "update": {"_id": "2"}}), ("updateOne", {"query": {"_id": "1"}, "update": {"$unset": {"_id": 1}}}),
    ("updateOne", {"query": {"_id": "1"}, "update": {"$rename": {"name": "_id"}}}), ("updateOne", {"query": {"_id": "1"}, "update": {"$inc": {"name": 1}}}),
    ("updateOne", {"query": {"_id": "1"}, "update": {"$set": {"name.first": 1}}}), ("updateOne", {"query": {"_id": "1"}, "update": {"$push": 1}}),
    ("updateOne", {"query": {"_id": "1"}, "update": {"$eval": {"a": 1}}}), ("updateOne", {"query": {"_id": "1"}, "update": {"$addToSet": {"name": 1}}}),
    ("updateOne", {"query": {"_id": "1"}, "update": {"a": 1, "$set": {"b": 1}}}), ("updateSchema", {"uniques": ["name"]}), ("updateSchema", {"properties": [1]}),
    ("aggregate", {}), ("aggregate", {"pipeline": [{"$lookup": {}}]}), ("aggregate", {"pipeline": [{"$group": {}}]}),
    ("aggregate", {"pipeline": [{"$group": {"_id": 1, "x": {"$code": 1}}}]}), ("aggregate", {"pipeline": [{"$project": {"x": {"$add": [1, 2]}}}]}),
    ("aggregate", {"pipeline": [{"$unwind": "tags"}]}), ("aggregate", {"pipeline": [{"$limit": -1}]}), ("deleteCollections", {"collections": "people"}),
])
def test_what_cannot_work_is_refused_and_changes_nothing(shelf: Shelf, function: str, parameters: dict[str, Any]) -> None:
    with pytest.raises(AutomationsError):
        shelf.call(function, **parameters)
    assert shelf.documents.told == []


VALUES = st.recursive(st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from(["", "a", "b"]),
                      lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("xyz"), inner, max_size=3), max_leaves=6)
UPDATES = st.dictionaries(st.sampled_from(["$set", "$unset", "$inc", "$push", "$addToSet", "$pull", "$min", "$max", "$mul", "$pop", "$rename"]),
                          st.dictionaries(st.sampled_from(["x", "y", "x.y", "x.0", "z.x.y"]), VALUES, min_size=1, max_size=2), min_size=1, max_size=3)


@settings(max_examples=150)
@given(st.dictionaries(st.sampled_from("xyz"), VALUES, max_size=3), UPDATES)
def test_an_update_happens_whole_or_not_at_all(item: dict[str, Any], update: dict[str, Any]) -> None:
    shelf = Shelf()
    before = copy(shelf.call("create", data={**item, "_id": "i"}))
    shelf.documents.told.clear()
    try:
        result = shelf.call("updateOne", query={"_id": "i"}, update=update)
    except AutomationsError:
        assert shelf.call("findOne") == before and shelf.documents.told == []
    else:
        assert bool(shelf.documents.told) == bool(result["modifiedCount"])
