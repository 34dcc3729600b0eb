"""Arguments are checked as draft 7 says and refused in the words of Ajv 6."""
from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator

from runtime.arguments import compile_arguments
from runtime.errors import InvalidArguments
from runtime.values import UNDEFINED


def problem(field: dict[str, Any] | bool, value: Any) -> dict[str, Any] | None:
    """What is said of `value` as the argument `a`; None when nothing is."""
    try:
        compile_arguments({"a": field}).check({"a": value})
    except InvalidArguments as error:
        assert error.body()["message"] == "Invalid arguments"
        (only,) = error.details
        return only
    return None


def told(keyword: str, params: dict[str, Any], message: str, *, at: str = ".a", schema: str = "") -> dict[str, Any]:
    return {"keyword": keyword, "dataPath": at, "schemaPath": f"#/properties/a/{schema or keyword}", "params": params, "message": message}


@pytest.mark.parametrize("field, value, expected", [
    ({"type": "string"}, 42, told("type", {"type": "string"}, "should be string")),
    ({"type": "number"}, "24", told("type", {"type": "number"}, "should be number")),
    ({"type": "number"}, True, told("type", {"type": "number"}, "should be number")),
    ({"type": "integer"}, 1.5, told("type", {"type": "integer"}, "should be integer")),
    ({"type": "boolean"}, "true", told("type", {"type": "boolean"}, "should be boolean")),
    ({"type": "object"}, [], told("type", {"type": "object"}, "should be object")),
    ({"type": "array"}, {}, told("type", {"type": "array"}, "should be array")),
    ({"type": "null"}, 0, told("type", {"type": "null"}, "should be null")),
    ({"type": ["string", "null"]}, 1, told("type", {"type": "string,null"}, "should be string,null")),
    ({"required": ["p", "q"]}, {"p": 1}, told("required", {"missingProperty": "q"}, "should have required property 'q'")),
    ({"pattern": "^[a-z]+$"}, "x1", told("pattern", {"pattern": "^[a-z]+$"}, 'should match pattern "^[a-z]+$"')),
    ({"pattern": "^[a-z]+$"}, "x\n", told("pattern", {"pattern": "^[a-z]+$"}, 'should match pattern "^[a-z]+$"')),
    ({"format": "uri"}, "not a uri", told("format", {"format": "uri"}, 'should match format "uri"')),
    ({"format": "int32"}, 2**31, told("format", {"format": "int32"}, 'should match format "int32"')),
    ({"enum": ["red", 1]}, True, told("enum", {"allowedValues": ["red", 1]}, "should be equal to one of the allowed values")),
    ({"const": {"x": 1}}, {"x": 2}, told("const", {"allowedValue": {"x": 1}}, "should be equal to constant")),
    ({"minimum": 0}, -1, told("minimum", {"comparison": ">=", "limit": 0, "exclusive": False}, "should be >= 0")),
    ({"maximum": 5.5}, 6, told("maximum", {"comparison": "<=", "limit": 5.5, "exclusive": False}, "should be <= 5.5")),
    ({"exclusiveMinimum": 1}, 1, told("exclusiveMinimum", {"comparison": ">", "limit": 1, "exclusive": True}, "should be > 1")),
    ({"exclusiveMaximum": 1.0}, 1, told("exclusiveMaximum", {"comparison": "<", "limit": 1.0, "exclusive": True}, "should be < 1")),
    ({"multipleOf": 3}, 10, told("multipleOf", {"multipleOf": 3}, "should be multiple of 3")),
    ({"multipleOf": 0.5}, float("inf"), told("multipleOf", {"multipleOf": 0.5}, "should be multiple of 0.5")),
    ({"minLength": 2}, "🙂", told("minLength", {"limit": 2}, "should NOT be shorter than 2 characters")),
    ({"maxLength": 1}, "ab", told("maxLength", {"limit": 1}, "should NOT be longer than 1 characters")),
    ({"minItems": 1}, [], told("minItems", {"limit": 1}, "should NOT have fewer than 1 items")),
    ({"maxItems": 1}, [1, 2], told("maxItems", {"limit": 1}, "should NOT have more than 1 items")),
    ({"minProperties": 1}, {}, told("minProperties", {"limit": 1}, "should NOT have fewer than 1 properties")),
    ({"maxProperties": 0}, {"x": 1}, told("maxProperties", {"limit": 0}, "should NOT have more than 0 properties")),
    ({"uniqueItems": True}, [1, True, {"x": 1}, {"x": 1.0}],
     told("uniqueItems", {"i": 3, "j": 2}, "should NOT have duplicate items (items ## 2 and 3 are identical)")),
    ({"properties": {"x": {}}, "patternProperties": {"^y": {}}, "additionalProperties": False}, {"x": 1, "y1": 2, "z": 3},
     told("additionalProperties", {"additionalProperty": "z"}, "should NOT have additional properties")),
    ({"items": [{}], "additionalItems": False}, [1, 2], told("additionalItems", {"limit": 1}, "should NOT have more than 1 items")),
    ({"contains": {"const": 1}}, [2], told("contains", {}, "should contain a valid item")),
    ({"dependencies": {"x": ["y", "z"]}}, {"x": 1, "y": 1},
     told("dependencies", {"property": "x", "missingProperty": "z", "depsCount": 2, "deps": "y, z"},
          "should have properties y, z when property x is present")),
    ({"not": {"type": "string"}}, "x", told("not", {}, "should NOT be valid")),
    ({"anyOf": [{"type": "string"}, {"type": "null"}]}, 1, told("anyOf", {}, "should match some schema in anyOf")),
    ({"oneOf": [{"type": "string"}, {"minLength": 1}]}, "x", told("oneOf", {}, "should match exactly one schema in oneOf")),
    (False, 1, told("false schema", {}, "boolean schema is false")),
])
def test_every_keyword_has_its_words(field: Any, value: Any, expected: dict[str, Any]):
    assert problem(field, value) == expected


@pytest.mark.parametrize("field, value, at, schema", [
    ({"items": {"type": "string"}}, ["x", 2], ".a[1]", "items/type"),
    ({"items": [{}, {"type": "string"}]}, [1, 2], ".a[1]", "items/1/type"),
    ({"additionalProperties": {"type": "string"}}, {"my-key": 2}, ".a['my-key']", "additionalProperties/type"),
    ({"properties": {"it's/a~b c": {"type": "string"}}}, {"it's/a~b c": 2}, ".a['it\\'s/a~b c']", "properties/it's~1a~0b%20c/type"),
    ({"patternProperties": {"^x": {"type": "string"}}}, {"x1": 2}, ".a.x1", "patternProperties/%5Ex/type"),
    ({"propertyNames": {"pattern": "^x"}}, {"y": 2}, ".a", "propertyNames/pattern"),
    ({"allOf": [{}, {"type": "string"}]}, 2, ".a", "allOf/1/type"),
    ({"if": {"type": "number"}, "then": {"minimum": 5}, "else": False}, 2, ".a", "then/minimum"),
    ({"if": {"type": "number"}, "then": {"minimum": 5}, "else": False}, "x", ".a", "else/false schema"),
    ({"dependencies": {"x": {"required": ["y"]}}}, {"x": 1}, ".a", "dependencies/x/required"),
    ({"properties": {"x": False}}, {"x": 1}, ".a.x", "properties/x/false schema"),
    ({"properties": {"x": {"$ref": "#/properties/a/definitions/n%20m"}}, "definitions": {"n m": {"type": "number"}}}, {"x": "1"}, ".a.x",
     "definitions/n%20m/type"),
    ({"properties": {"n": {"type": "number"}, "a": {"$ref": "#/properties/a"}}}, {"a": {"a": {"n": "1"}}}, ".a.a.a.n", "properties/n/type"),
])
def test_paths_lead_to_the_value_and_to_the_keyword(field: Any, value: Any, at: str, schema: str):
    found = problem(field, value)
    assert found is not None
    assert (found["dataPath"], found["schemaPath"]) == (at, f"#/properties/a/{schema}")


def test_the_first_error_is_of_the_type_then_of_what_is_required_then_of_the_properties_as_declared():
    field = {"properties": {"z": {"type": "string"}, "b": {"type": "string", "minLength": 5, "enum": ["x"]}}, "required": ["r"], "type": "object"}
    assert problem(field, [])["keyword"] == "type"
    assert problem(field, {"b": 1, "z": 1})["keyword"] == "required"
    assert problem(field, {"b": 1, "z": 1, "r": 1})["dataPath"] == ".a.z"
    assert problem(field, {"b": 1, "z": "", "r": 1})["keyword"] == "type"
    assert problem(field, {"b": "y", "z": "", "r": 1})["keyword"] == "minLength"


def test_absent_undeclared_and_opaque_arguments_are_not_checked():
    validator = compile_arguments({"n": {"type": "number"}, "$http": {"type": "string"}})
    validator.check({})
    validator.check({"n": UNDEFINED, "other": object(), "$http": object()})
    with pytest.raises(InvalidArguments):
        validator.check({"n": None})


def test_keywords_for_people_and_unknown_formats_say_nothing_about_values():
    field = {"type": "string", "secret": True, "redact": True, "title": {"fr": "x"}, "description": 5, "ui:widget": {"a": 1},
             "format": "no-such", "$schema": "http://json-schema.org/draft-03/schema#", "$id": 5, "default": 1, "examples": "none"}
    assert problem(field, "x") is None
    assert problem(field, 1)["keyword"] == "type"


def test_a_localized_value_is_a_plain_one_or_a_map_of_them():
    assert problem({"type": "localized:string"}, "hello") is problem({"type": "localized:string"}, {"fr": "bonjour"}) is None
    assert problem({"type": "localized:number"}, "5") == told("type", {"type": "number,object"}, "should be number,object")


GOOD_AND_BAD = {
    "date": (["2024-02-29"], ["2023-02-29", "2024-2-9", "20240229", ""]),
    "time": (["10:20:30", "10:20:30.5Z", "23:59:60Z", "10:20:30+02:00"], ["24:00:00", "10:20", "10:60:00", "12:00:60"]),
    "date-time": (["2024-02-29T10:20:30Z", "2024-02-29 10:20:30.123-05:30"], ["2024-02-29T10:20:30", "2024-02-29", "2023-02-29T10:20:30Z"]),
    "duration": (["P1Y2M3DT4H5M6S", "PT1H", "P2W"], ["P", "PT", "1D", "P1W2D"]),
    "uri": (["https://a.b/c?d=e#f", "mailto:a@b.co", "urn:x:y"], ["not a uri", "/relative", "http://é", "http://a/%zz"]),
    "uri-reference": (["/a/b", "a", "https://a.b", ""], ["a b", "\\"]),
    "uri-template": (["/a/{b}/{?c,d*}", "{+x:3}"], ["/a/{b", "{}", "a b"]),
    "url": (["https://a.b/c", "http://localhost:8700/x?y", "ftp://1.2.3.4"], ["mailto:a@b.co", "https://", "https://a b"]),
    "email": (["a@b.co", "first.last+tag@sub.example.org"], ["a", "a@b", "a b@c.de", ".a@b.co", "a@-b.co", "a@b.co\n"]),
    "hostname": (["a.example.org", "localhost"], ["-a", "a_b", "a..b", "a" * 64]),
    "ipv4": (["1.2.3.4"], ["1.2.3", "256.1.1.1", "01.2.3.4"]),
    "ipv6": (["::1", "2001:db8::1"], ["1.2.3.4", "fe80::1%eth0", ":::"]),
    "regex": (["^a+$"], ["(", "[z-a]"]),
    "uuid": (["123E4567-e89b-12d3-a456-426614174000"], ["123e4567", "123e4567e89b12d3a456426614174000"]),
    "json-pointer": (["", "/a/~0~1/0"], ["a", "/~2"]),
    "byte": (["", "YWJj", "YWI="], ["YWJ", "Y=Jj", "é"]),
    "int32": ([1, -2**31, 1.0], [1.5, 2**31]),
    "int64": ([2**40], [0.5]),
    "float": ([0.5, 1], []),
    "double": ([0.5], []),
    "password": (["anything", ""], []),
    "binary": (["\x00"], []),
    "workspaceId": (["aB3_-x9"], ["aB3_-x", "aB3_-x99", "aB3.-x9"]),
    "objectId": (["0123456789abcdefABCDEF01"], ["0123", "g" * 24]),
    "identifier": (["my_name-1"], ["1x", "a b", ""]),
    "name": (["My name"], ["", "  "]),
}


@pytest.mark.parametrize("name", GOOD_AND_BAD)
def test_formats(name: str):
    good, bad = GOOD_AND_BAD[name]
    assert [value for value in good if problem({"format": name}, value)] == []
    assert [value for value in bad if not problem({"format": name}, value)] == []
    assert problem({"format": name}, None) is None


@pytest.mark.parametrize("field", [
    {"type": "strange"}, {"type": 5}, {"minLength": -1}, {"required": True}, {"required": "x"}, {"enum": "x"}, {"pattern": "("}, {"pattern": 5},
    {"patternProperties": {"[": {}}}, {"properties": []}, {"items": 5}, {"multipleOf": 0}, {"$ref": "http://example.com/schema"},
    {"$ref": 5}, {"properties": {"x": {"anyOf": []}}}, "string", None, {"exclusiveMinimum": True},
])
def test_what_is_no_schema_is_refused_when_it_is_compiled(field: Any):
    with pytest.raises(InvalidArguments) as refusal:
        compile_arguments({"a": field})
    assert refusal.value.message == "Invalid arguments schema"
    assert refusal.value.details[0]["message"]


def nested(depth: int, inner: Any) -> Any:
    for _ in range(depth):
        inner = {"properties": {"a": inner}}
    return inner


def test_schemas_and_values_may_only_be_nested_so_deep():
    assert problem(nested(50, {"type": "string"}), {}) is None
    with pytest.raises(InvalidArguments, match="schema"):
        compile_arguments({"a": nested(500, {})})
    value: Any = 1
    for _ in range(5000):
        value = {"a": value}
    assert problem({"properties": {"a": {"$ref": "#/properties/a"}}}, value)["keyword"] == "depth"
    assert problem({"$ref": "#/properties/a"}, 1)["keyword"] == "depth"


def test_a_reference_that_leads_nowhere_is_a_problem_of_the_schema():
    with pytest.raises(InvalidArguments, match="Invalid arguments schema"):
        compile_arguments({"a": {"$ref": "#/definitions/none"}}).check({"a": 1})


def test_hostile_values_are_refused_in_no_time():
    assert problem({"pattern": "^(a+)+$"}, "a" * 60 + "!")["keyword"] == "pattern"
    assert problem({"uniqueItems": True}, [{"n": n} for n in range(20_000)]) is None
    assert problem({"format": "email"}, "a" * 100_000)["keyword"] == "format"
    assert problem({"format": "hostname"}, "a." * 100_000)["keyword"] == "format"
    assert problem({"format": "url"}, "http://" + "a-" * 100_000)["keyword"] == "format"
    assert problem({"items": {"type": "string"}}, [1] * 200_000)["dataPath"] == ".a[0]"


BRANCHES = [
    {"conditions": {"method": "POST", "body.kind": "1"}, "payload": {"type": "object", "properties": {"body": {"required": ["document"]}}}},
    {"conditions": {"body.isOpen": True}},
    {"conditions": {"method": "get"}, "payload": {"required": ["query"]}},
]


@pytest.mark.parametrize("values, keyword", [
    ({"method": "post", "body": {"kind": 1, "document": "d"}}, None),
    ({"method": "post", "body": {"kind": "1"}}, "required"),
    ({"method": "PUT", "body": {"isOpen": "true"}}, None),
    ({"method": "GET", "body": {}}, "required"),
    ({"method": "GET", "query": {}}, None),
    ({"method": "PUT", "body": {"kind": "1"}}, "schemas"),
    ({"method": "POST", "body": {"kind": [1]}}, "schemas"),
    ({"method": None, "body": None}, "schemas"),
])
def test_the_first_branch_whose_conditions_match_is_the_one_that_counts(values: dict[str, Any], keyword: str | None):
    validator = compile_arguments({"body": {"type": "number"}}, schemas=BRANCHES)
    if keyword is None:
        validator.check(values)
        return
    with pytest.raises(InvalidArguments) as refusal:
        validator.check(values)
    assert [error["keyword"] for error in refusal.value.details] == [keyword]


def test_a_condition_on_null_or_on_an_object_never_matches():
    validator = compile_arguments({}, schemas=[{"conditions": {"a": None}}, {"conditions": {"a": {"b": 1}}}])
    for value in (None, {"b": 1}):
        with pytest.raises(InvalidArguments):
            validator.check({"a": value})


@pytest.mark.parametrize("schemas", [["x"], [{"conditions": ["x"]}], [{"payload": {"type": "strange"}}], [{"payload": 5}]])
def test_malformed_branches_are_refused(schemas: list[Any]):
    with pytest.raises(InvalidArguments, match="Invalid arguments schema"):
        compile_arguments({}, schemas=schemas)


VALUES = st.recursive(st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.5, 1.0, "", "x", "xy", "1"]),
                      lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("xyz"), inner, max_size=3), max_leaves=6)


def schemas(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    named = st.dictionaries(st.sampled_from("xyz"), inner, max_size=2)
    return st.fixed_dictionaries({}, optional={
        "type": st.sampled_from(["string", "number", "integer", "object", "array", "boolean", "null", ["array", "string"]]),
        "required": st.lists(st.sampled_from("xyz"), max_size=2, unique=True), "properties": named, "patternProperties": named,
        "additionalProperties": inner, "items": st.lists(inner, min_size=1, max_size=2) | st.just({"minLength": 1}), "additionalItems": inner, "contains": inner,
        "uniqueItems": st.booleans(), "minimum": st.integers(-1, 1), "multipleOf": st.sampled_from([2, 0.5]), "minLength": st.integers(0, 2),
        "pattern": st.sampled_from(["^x", "y$"]), "enum": st.lists(VALUES, min_size=1, max_size=2), "const": VALUES,
        "propertyNames": st.fixed_dictionaries({"pattern": st.just("x|y")}), "dependencies": st.dictionaries(
            st.sampled_from("xyz"), st.lists(st.sampled_from("xyz"), max_size=1) | inner, max_size=1),
        "not": inner, "anyOf": st.lists(inner, min_size=1, max_size=2), "if": inner, "then": inner, "else": inner})


@settings(max_examples=200, deadline=None)
@given(st.recursive(st.booleans(), schemas, max_leaves=6), VALUES)
def test_verdicts_are_those_of_draft_7(schema: Any, value: Any):
    assert (problem(schema, value) is None) == Draft7Validator(schema).is_valid(value)
