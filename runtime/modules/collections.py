"""run collections: items kept by name, found by query. They belong to the workspace and the app instance that wrote them."""
from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from runtime.expressions import matches_query
from runtime.expressions.coercion import same
from runtime.modules import pipeline
from runtime.modules.around import Around, refuse, text, whole
from runtime.modules.items import Item, at, ordered, path_of, projected
from runtime.modules.updates import updated
from runtime.values import UNDEFINED, copy, encode

_MAX_NAME = 100
_MAX_COLLECTIONS = 500
_MAX_CREATED = 10_000

Parameters = Mapping[str, Any]


class Collection:
    """One collection inside the document that holds them all: `{<name>: {items: {<id>: item}, schema}}`."""

    def __init__(self, parameters: Parameters, around: Around) -> None:
        self.name = text(parameters, "collection")
        if len(self.name) > _MAX_NAME:
            refuse(f"the name of a collection has at most {_MAX_NAME} characters", parameter="collection")
        self._around = around
        kept = around.documents.read().get(self.name) or {}
        self.items: Mapping[str, Item] = kept.get("items") or {}
        self.schema: dict[str, Any] = kept.get("schema") or {}
        self._owners: list[tuple[tuple[str, ...], dict[bytes, str]]] | None = None

    def find(self, query: Any) -> Iterator[Item]:
        """Items that match, in the order they were created."""
        query = {} if query is None or query is UNDEFINED else query
        if type(query) is not dict:
            refuse("query must be a map", parameter="query")
        wanted = query.get("_id")
        among = self.items.values() if type(wanted) is not str else [self.items[wanted]] if wanted in self.items else []
        return (item for item in among if matches_query(item, query))

    def add(self, item: Any) -> Item:
        if type(item) is not dict:
            refuse("an item must be a map", parameter="data")
        id = item.get("_id")
        id = self._around.ids.token(12) if id is None or id is UNDEFINED else id
        if type(id) is not str or not id or id in self.items:
            refuse("an item with this _id exists" if type(id) is str and id else "_id must be a text", _id=id)
        item = {"_id": id, **{name: value for name, value in item.items() if name != "_id" and value is not UNDEFINED}}
        self._check_place()
        self._claim(item)
        self._around.documents.change("replace", (self.name, "items", id), item)
        self.items = (self._around.documents.read().get(self.name) or {}).get("items") or {}
        return copy(item)

    def change(self, item: Item, update: Any) -> bool:
        """Whether the update made a difference."""
        result, operations = updated(item, update)
        if same(result, item):
            return False
        self._claim(result, before=item)
        for op, path, value in operations:
            self._around.documents.change(op, (self.name, "items", item["_id"], *path), value)
        return True

    def remove(self, item: Item) -> None:
        self._around.documents.change("delete", (self.name, "items", item["_id"]))

    def describe(self, schema: dict[str, Any]) -> None:
        self._check_place()
        self._around.documents.change("replace", (self.name, "schema"), schema)

    def _check_place(self) -> None:
        names = self._around.documents.read()
        if self.name not in names and len(names) >= _MAX_COLLECTIONS:
            refuse(f"there are {_MAX_COLLECTIONS} collections already", parameter="collection")

    def _claim(self, item: Item, *, before: Item | None = None) -> None:
        """Refuse an item whose unique fields are those of another one."""
        if self._owners is None:
            self._owners = [(fields, {key: other["_id"] for other in self.items.values() if (key := _unique(other, fields))})
                            for fields in map(tuple, self.schema.get("uniques") or ())]
        for fields, owners in self._owners:
            if owners.get(_unique(item, fields), item["_id"]) != item["_id"]:
                refuse(f"an item with the same {', '.join(fields)} exists", fields=list(fields))
        for fields, owners in self._owners:
            if before is not None:
                owners.pop(_unique(before, fields), None)
            if key := _unique(item, fields):
                owners[key] = item["_id"]


def create(parameters: Parameters, around: Around) -> Item:
    return Collection(parameters, around).add(parameters.get("data"))


def bulk_create(parameters: Parameters, around: Around) -> list[Item]:
    items = parameters.get("data")
    if type(items) is not list or len(items) > _MAX_CREATED:
        refuse(f"data must be a list of at most {_MAX_CREATED} items", parameter="data")
    collection = Collection(parameters, around)
    return [collection.add(item) for item in items]


def find_one(parameters: Parameters, around: Around) -> Item | None:
    found = _found({**parameters, "limit": 1}, around)
    return found[0] if found else None


def find_many(parameters: Parameters, around: Around) -> list[Item]:
    return _found(parameters, around)


def find_and_count(parameters: Parameters, around: Around) -> dict[str, Any]:
    return {"items": _found(parameters, around), "count": count(parameters, around)}


def count(parameters: Parameters, around: Around) -> int:
    return sum(1 for _ in Collection(parameters, around).find(parameters.get("query")))


def distinct(parameters: Parameters, around: Around) -> list[Any]:
    """The values of a field, each once; those of lists one by one."""
    path = path_of(parameters.get("field"))
    values: dict[bytes, Any] = {}
    for item in Collection(parameters, around).find(parameters.get("query")):
        value = at(item, path)
        for one in value if type(value) is list else [] if value is UNDEFINED else [value]:
            values.setdefault(encode(one), one)
    return copy(list(values.values()))


def aggregate(parameters: Parameters, around: Around) -> list[Item]:
    return pipeline.aggregate(list(Collection(parameters, around).items.values()), parameters.get("pipeline"))


def update_one(parameters: Parameters, around: Around) -> dict[str, Any]:
    return _update(parameters, around, most=1)


def update_many(parameters: Parameters, around: Around) -> dict[str, Any]:
    return _update(parameters, around)


def upsert(parameters: Parameters, around: Around) -> dict[str, Any]:
    """Update the first item that matches, or create it: from what the query says is equal, and the update."""
    collection, query = Collection(parameters, around), _query(parameters)
    item = next(collection.find(query), None)
    if item is not None:
        return {"matchedCount": 1, "modifiedCount": int(collection.change(item, _update_of(parameters)))}
    equal = {name: value for name, value in query.items()
             if not name.startswith("$") and not (type(value) is dict and any(key.startswith("$") for key in value))}
    id = equal.pop("_id", None)
    start, _ = updated({}, {"$set": equal})
    made, _ = updated(start, _update_of(parameters), is_new=True)
    return {"matchedCount": 0, "modifiedCount": 0, "upsertedId": collection.add({**made, "_id": id})["_id"]}


def delete_one(parameters: Parameters, around: Around) -> dict[str, int]:
    return _delete(parameters, around, most=1)


def delete_many(parameters: Parameters, around: Around) -> dict[str, int]:
    return _delete(parameters, around)


def update_schema(parameters: Parameters, around: Around) -> dict[str, Any]:
    """Describe a collection. Of all it says, the unique fields are what creating and updating hold to."""
    properties = parameters.get("properties") or {}
    if type(properties) is not dict:
        refuse("properties must be a map", parameter="properties")
    schema = {"name": parameters.get("schema") or text(parameters, "collection"), "properties": properties,
              "indexes": _field_lists(parameters, "indexes"), "uniques": _field_lists(parameters, "uniques")}
    Collection(parameters, around).describe(schema)
    return copy(schema)


def list_collections(parameters: Parameters, around: Around) -> list[str]:
    return sorted(around.documents.read())


def schemas(parameters: Parameters, around: Around) -> dict[str, Any]:
    return {name: copy(kept["schema"]) for name, kept in around.documents.read().items() if kept.get("schema")}


def stats(parameters: Parameters, around: Around) -> dict[str, int]:
    items = Collection(parameters, around).items
    return {"count": len(items), "size": len(encode(items))}


def infer_schema(parameters: Parameters, around: Around) -> dict[str, Any]:
    """The types found in the first items."""
    sample = list(Collection(parameters, around).items.values())[:whole(parameters, "sampleSize", 100, least=1)]
    types: dict[str, set[str]] = {}
    for item in sample:
        for name, value in item.items():
            types.setdefault(name, set()).add(_type_of(value))
    return {"properties": {name: {"type": found.pop() if len(found) == 1 else sorted(found)} for name, found in types.items()}}


def delete_collections(parameters: Parameters, around: Around) -> dict[str, int]:
    names = parameters.get("collections")
    if type(names) is not list or not all(type(name) is str for name in names):
        refuse("collections must be a list of names", parameter="collections")
    present = [name for name in dict.fromkeys(names) if name in around.documents.read()]
    for name in present:
        around.documents.change("delete", (name,))
    return {"deletedCount": len(present)}


FUNCTIONS = {
    "create": create, "bulkCreate": bulk_create, "findOne": find_one, "findMany": find_many, "findAndCount": find_and_count,
    "count": count, "distinct": distinct, "aggregate": aggregate, "updateOne": update_one, "updateMany": update_many, "upsert": upsert,
    "deleteOne": delete_one, "deleteMany": delete_many, "updateSchema": update_schema, "listCollections": list_collections,
    "getCollectionSchemas": schemas, "getCollectionStats": stats, "inferCollectionSchema": infer_schema,
    "deleteCollections": delete_collections,
}


def _found(parameters: Parameters, around: Around) -> list[Item]:
    found = ordered(Collection(parameters, around).find(parameters.get("query")), parameters.get("sort"))
    skip, limit = whole(parameters, "skip", 0), whole(parameters, "limit", len(found))
    return [projected(item, parameters.get("projection")) for item in found[skip:skip + limit]]


def _update(parameters: Parameters, around: Around, *, most: int | None = None) -> dict[str, Any]:
    if most == 1 and parameters.get("upsert") is True:
        return upsert(parameters, around)
    collection, update = Collection(parameters, around), _update_of(parameters)
    matching = list(collection.find(_query(parameters)))[:most]
    return {"matchedCount": len(matching), "modifiedCount": sum(collection.change(item, update) for item in matching)}


def _delete(parameters: Parameters, around: Around, *, most: int | None = None) -> dict[str, int]:
    collection = Collection(parameters, around)
    matching = list(collection.find(_query(parameters)))[:most]
    for item in matching:
        collection.remove(item)
    return {"deletedCount": len(matching)}


def _query(parameters: Parameters) -> dict[str, Any]:
    """The query of a change; an empty one must be meant."""
    query = parameters.get("query")
    if not query and parameters.get("allowMatchAll") is not True:
        refuse("an empty query changes every item; say allowMatchAll: true if that is meant", parameter="query")
    return query or {}


def _update_of(parameters: Parameters) -> Any:
    return parameters["update"] if "update" in parameters else parameters.get("data")


def _field_lists(parameters: Parameters, name: str) -> list[list[str]]:
    """`[{properties: [email]}]` or `[[email]]`."""
    lists = [one.get("properties") if type(one) is dict else one for one in parameters.get(name) or ()]
    if not all(type(one) is list and one and all(type(field) is str for field in one) for one in lists):
        refuse(f"{name} must be a list of lists of fields", parameter=name)
    return lists


def _unique(item: Item, fields: tuple[str, ...]) -> bytes:
    """The values that nobody else may have, empty when the item lacks one of them."""
    values = [at(item, path_of(name)) for name in fields]
    return b"" if any(value is UNDEFINED or value is None for value in values) else encode(values)


def _type_of(value: Any) -> str:
    return {str: "string", bool: "boolean", int: "number", float: "number", list: "array", dict: "object"}.get(type(value), "null")
