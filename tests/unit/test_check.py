"""What the check tells an author: each mistake with its place, what is wrong, and what to write instead."""
from __future__ import annotations

from typing import NamedTuple

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.errors import AlreadyUsed, InvalidAutomation, InvalidSchedule, InvalidSlug
from runtime.instructions import INSTRUCTIONS
from runtime.language.check import check_automation, check_workspace
from runtime.language.loader import load
from runtime.language.problems import Problem, Report
from runtime.language.schema import INSTRUCTION_SCHEMAS, document_schema
from runtime.language.source import Source

GREET = "name: Shop\nautomations:\n  greet:\n"
"""What stands above the automation of a mistake, whose first line is then line 4, indented by four."""

WORKSPACE = """\
name: Shop
imports:
  mailer: {appSlug: mail}
  old: {appSlug: gone, disabled: true}
automations:
  greet:
    do:
      - %s
  helper:
    do: []
  sleeping:
    disabled: true
    do: []
"""
"""One instruction, on line 8 from column 9, among things it may call."""


class Mistake(NamedTuple):
    text: str
    place: str
    code: str
    says: str
    hint: str = ""


REFUSED = [
    Mistake("- a\n- b\n", "1:1", "bad-shape", "the document must be a map, not a list", "key: value"),
    Mistake("automations: {}\n", "1:1", "missing", 'the document has no "name"', "Add name"),
    Mistake("name:\nautomations: {}\n", "1:1", "missing", 'the document has no "name"', "Add name"),
    Mistake("name: X\n", "1:7", "bad-name", '"X" cannot be the name of a workspace', "2 to 60"),
    Mistake("name: What? No!\n", "1:7", "bad-name", '"What? No!" cannot be', "letters"),
    Mistake("name: 2024\n", "1:7", "bad-shape", '"name" must be a text, not 2024', "Put quotes around it"),
    Mistake("name: Shop\nslug: My Shop\n", "2:7", "bad-slug", '"My Shop" cannot be the slug of a workspace', "small letters"),
    Mistake("name: Shop\nautomations:\n  - greet\n", "3:3", "bad-shape", '"automations" must be a map, not a list', "key: value"),
    Mistake("name: Shop\nautomations:\n  greet:\n", "3:9", "bad-shape", 'the automation "greet" must be a map, not nothing'),
    Mistake("name: Shop\nautomations:\n  Grüße:\n    do: []\n", "3:3", "bad-slug", '"Grüße" cannot be the slug',
            "without accents"),
    Mistake("name: Shop\nautomations:\n  a: {slug: same, do: []}\n  b: {slug: same, do: []}\n", "4:13", "duplicate-slug",
            '"same" is the slug of another automation as well (shop.yml:3:3)', "another slug"),
    Mistake("name: Shop\nimports:\n  mail: {appslug: mailer}\n", "3:3", "missing", 'the import "mail" has no "appSlug"',
            "Add appSlug"),
    Mistake("name: Shop\nimports:\n  ma.il: {appSlug: mailer}\n", "3:3", "bad-slug", '"ma.il" cannot be the name of an import'),
    Mistake("name: Shop\nregisterWorkspace: yes\n", "2:20", "bad-shape", 'must be true or false, not "yes"',
            "Write true, without quotes"),
    Mistake("name: Shop\ncustomDomains: shop.example\n", "2:16", "bad-shape", "must be a list", '"- "'),
    Mistake(GREET + "    output: hi\n", "3:3", "missing", 'the automation "greet" has no "do"', "[] if there is nothing to do"),
    Mistake(GREET + "    do:\n", "4:5", "missing", 'the automation "greet" has no "do"', "Add do"),
    Mistake(GREET + "    do:\n      set: {name: a, value: 1}\n", "5:7", "bad-shape", '"do" must be a list, not a map', '"- "'),
    Mistake(GREET + "    do:\n      - break\n", "5:9", "bad-shape", 'an instruction must be a map, not "break"',
            "Write break: {}"),
    Mistake(GREET + "    do:\n      - helper\n", "5:9", "bad-shape", 'not "helper"', "Write helper: and its parameters"),
    Mistake(GREET + "    when: go\n    do: []\n", "4:11", "bad-shape", '"when" must be a map, not "go"', "key: value"),
    Mistake(GREET + "    when: {events: go}\n    do: []\n", "4:20", "bad-shape", '"events" must be a list, not "go"',
            "Write [go]"),
    Mistake(GREET + "    when: {events: [go, 5]}\n    do: []\n", "4:25", "bad-shape", 'item 2 of "events" must be a text, not 5',
            "quotes"),
    Mistake(GREET + "    when: {endpoint: 7}\n    do: []\n", "4:22", "bad-shape",
            '"endpoint" must be true or false or a text, not 7'),
    Mistake(GREET + "    when:\n      schedules:\n        - every day\n    do: []\n", "6:11", "bad-cron",
            '"every day" is no schedule', "day of week"),
    Mistake(GREET + "    when: {schedules: ['61 * * * *']}\n    do: []\n", "4:24", "bad-cron", '"61 * * * *" is no schedule',
            "minute, hour"),
    Mistake(GREET + "    arguments:\n      city: string\n    do: []\n", "5:13", "bad-shape",
            'the field "city" must be a map, not "string"', "Write city: {type: string}"),
    Mistake(GREET + "    arguments: [city]\n    do: []\n", "4:16", "bad-shape", '"arguments" must be a map, not a list'),
    Mistake(GREET + "    private: on\n    do: []\n", "4:14", "bad-shape", '"private" must be true or false, not "on"',
            "Write true"),
    Mistake(GREET + "    disabled: 'false'\n    do: []\n", "4:15", "bad-shape", 'not "false"', "Write false, without quotes"),
    Mistake(GREET + "    name: {fr: 5}\n    do: []\n", "4:16", "bad-shape", '"fr" of a name must be a text, not 5'),
]

WARNED = [
    Mistake("name: Shop\nautomation: {}\n", "2:1", "unknown-key", '"automation" means nothing in the document',
            'Did you mean "automations"?'),
    Mistake("name: Shop\nworkflows: {}\n", "2:1", "unknown-key", '"workflows" means nothing', 'Did you mean "automations"?'),
    Mistake(GREET + "    validateArgument: true\n    do: []\n", "4:5", "unknown-key",
            '"validateArgument" means nothing in the automation "greet"', 'Did you mean "validateArguments"?'),
    Mistake(GREET + "    steps: []\n    do: []\n", "4:5", "unknown-key", '"steps" means nothing', 'Did you mean "do"?'),
    Mistake(GREET + "    when:\n      on: [go]\n    do: []\n", "5:7", "unknown-key", '"on" means nothing in "when"',
            'Did you mean "events"?'),
    Mistake(GREET + "    when:\n      schedule: ['0 5 * * *']\n    do: []\n", "5:7", "unknown-key", '"schedule" means nothing',
            'Did you mean "schedules"?'),
    Mistake(GREET + "    when: {endpoint: yes}\n    do: []\n", "4:22", "bad-endpoint", '"yes" is a text here',
            "Write true or false"),
    Mistake(GREET + "    when: {events: [runtime.automations.executed]}\n    do: []\n", "4:21", "deaf-event",
            '"runtime.automations.executed" cannot be listened to', "Wait for it instead"),
    Mistake(GREET + "    when: {events: [runtime.contexts.updated]}\n    do: []\n", "4:21", "deaf-event",
            "it would listen to itself"),
    Mistake(GREET + "    when: {events: [workspaces.configure]}\n    do: []\n", "4:21", "deaf-event", "cannot be listened to",
            'Did you mean "workspaces.configured"?'),
    Mistake(GREET + "    when: {events: ['order.*']}\n    do: []\n", "4:21", "bad-event-name",
            'no event can have the name "order.*"', "match exactly"),
    Mistake("name: Shop\nautomations:\n  a: {when: {endpoint: go}, do: []}\n  b: {when: {endpoint: go}, do: []}\n",
            "4:24", "duplicate-endpoint", 'the endpoint "go" is also that of another automation (shop.yml:3:24)', "another endpoint"),
    Mistake("name: Shop\nautomations:\n  wait: {do: []}\n", "3:3", "shadowed", 'calling "wait" runs the instruction',
            "another slug"),
    Mistake(GREET + "    arguments:\n      n: {type: int}\n    do: []\n", "5:17", "unknown-type", '"int" is not a type',
            'Did you mean "integer"?'),
    Mistake(GREET + "    arguments:\n      n: {type: string, required: true}\n    do: []\n", "5:35", "bad-field",
            '"required" must be a list of names, not true', "required: [a, b]"),
    Mistake(GREET + "    arguments:\n      n: {type: object, properties: {x: number}}\n    do: []\n", "5:41", "bad-field",
            'the field "x" must be a map, not "number"', "Write x: {type: number}"),
    Mistake(GREET + "    do: []\n    output: 'hello {{ }}'\n", "5:13", "empty-template", "a template without a name",
            "between the braces"),
    Mistake(GREET + "    do: []\n    output: '{{list[-1]}}'\n", "5:13", "negative-index", "{{list[-1]}}\" is undefined",
            "slice({{list}}, -1)"),
    Mistake(GREET + "    do: []\n    output: {'{{key}}': 1}\n", "5:14", "template-in-key", "templates in a key are not replaced",
            "map[{{key}}]"),
    Mistake(GREET + "    do: []\n    output: '{% 1 + %}'\n", "5:13", "bad-expression", 'in "1 +"', "missing at the end"),
    Mistake(GREET + "    do: []\n    output: '{% nope(1) %}'\n", "5:13", "bad-expression", "nope"),
    Mistake(GREET + "    do: []\n    output: {deep: ['{{a..b}}']}\n", "5:21", "bad-variable", "'a..b'", "Write a path"),
    Mistake(GREET + "    do: []\n    output: 'hi {{name'\n", "5:13", "open-template", "{{ is never closed", "Add }}"),
    Mistake(GREET + "    do: []\n    output: '{{name | upper}}'\n", "5:13", "foreign-template", "there are no filters",
            "upper({{name}})"),
    Mistake(GREET + "    do: []\n    output: '{{n + 1}}'\n", "5:13", "foreign-template", "no operators between these braces",
            "{% {{a}} + 1 %}"),
    Mistake(GREET + "    do: []\n    output: '{{#each list}}x{{/each}}'\n", "5:13", "foreign-template", "there are no blocks",
            "repeat"),
]

INSTRUCTED = [
    Mistake("ftech: {url: /}", "8:9", "unknown-instruction", '"ftech" is not an instruction', 'Did you mean "fetch"?'),
    Mistake("if: {}", "8:9", "unknown-instruction", '"if" is not an instruction', 'Did you mean "conditions"?'),
    Mistake("foreach: {}", "8:9", "unknown-instruction", '"foreach" is not an instruction', 'Did you mean "repeat"?'),
    Mistake("create-user-topic: {}", "8:9", "unknown-instruction", "is not an instruction", 'Did you mean "createUserTopic"?'),
    Mistake("helpr: {}", "8:9", "unknown-instruction", "neither an instruction nor an automation", 'Did you mean "helper"?'),
    Mistake("somethingElse: {}", "8:9", "unknown-instruction", "neither an instruction nor an automation"),
    Mistake("sleeping: {}", "8:9", "unknown-instruction", 'the automation "sleeping" is disabled', "Remove its disabled: true"),
    Mistake("mailr.send: {}", "8:9", "unknown-instruction", 'there is no import "mailr"', 'Did you mean "mailer.send"?'),
    Mistake("old.send: {}", "8:9", "unknown-instruction", 'there is no import "old", or it is disabled'),
    Mistake("mailer.inner.send: {}", "8:9", "unknown-instruction", "reaches into the imports of an import",
            "instance.automation"),
    Mistake("runWorkflow: {workflow: helpr}", "8:33", "unknown-instruction", '"helpr"', 'Did you mean "helper"?'),
    Mistake("helper:", "8:9", "no-parameters", '"helper" without arguments fails', "Write helper: {}"),
    Mistake("helper: [1]", "8:17", "bad-parameter", 'the arguments of "helper" must be a map, not a list'),
    Mistake("fetch:", "8:9", "no-parameters", '"fetch" without parameters fails', "url, method"),
    Mistake("set:\n        name: a\n        value: 1", "9:9", "several-keys", '"name" is ignored', "Indent name below set"),
    Mistake("set: {name: a}\n        emit: {event: b}", "9:9", "several-keys", '"emit" is ignored',
            'Begin a new item with "- emit:"'),
    Mistake("set: {nmae: a, name: b}", "8:15", "unknown-parameter", '"nmae" means nothing to "set"', 'Did you mean "name"?'),
    Mistake("set: {value: 1}", "8:9", "missing-parameter", '"set" needs "name"', "Add name"),
    Mistake("set: {name: a, type: append}", "8:30", "bad-parameter", '"type" cannot be "append"', "replace, merge, push, add"),
    Mistake("set: {name: a, type: add, value: lots}", "8:42", "bad-parameter", 'type: add needs a number, not "lots"',
            "Write a number"),
    Mistake("set: {name: a..b, value: 1}", "8:21", "bad-variable", '"a..b" is not the name of a variable', "Write a path"),
    Mistake("set: {name: $workspace.name, value: 1}", "8:21", "read-only", "$workspace cannot be written", "Write to global"),
    Mistake("set: {name: global.apiUrl, value: 1}", "8:21", "read-only", '"global.apiUrl" is computed by the server',
            "another name below global"),
    Mistake("delete: {name: run.depth}", "8:24", "read-only", '"run.depth" is computed by the server'),
    Mistake("set: {name: 'list[-1]', value: 1}", "8:21", "negative-index", "indexes do not count from the end", "list[]"),
    Mistake("repeat: {do: []}", "8:9", "endless-repeat", 'neither "on" nor "until"', "until: 10"),
    Mistake("repeat: {items: [1], on: [1], do: []}", "8:18", "unknown-parameter", '"items" means nothing to "repeat"',
            'Did you mean "on"?'),
    Mistake("repeat: {until: 3, do: {set: {}}}", "8:32", "bad-parameter", '"do" must be a list, not a map', '"- "'),
    Mistake("repeat: {until: 3, do: [hello]}", "8:33", "bad-parameter", 'an instruction must be a map, not "hello"',
            "Write hello:"),
    Mistake("repeat: {until: 3, do: [{ftech: {url: /}}]}", "8:34", "unknown-instruction", '"ftech"', 'Did you mean "fetch"?'),
    Mistake("repeat: {until: 3, do: [{break: {}}, {comment: x}]}", "8:46", "unreachable", "this is never reached",
            "into a condition"),
    Mistake("wait: {timeout: 3}", "8:9", "missing-parameter", '"wait" needs "oneOf"', "Add oneOf"),
    Mistake("wait: {oneOf: []}", "8:16", "endless-wait", "no event is named", "event: some.event"),
    Mistake("wait: {oneOf: [{evnet: a, event: b}]}", "8:25", "unknown-parameter", '"evnet" means nothing to "wait"',
            'Did you mean "event"?'),
    Mistake("wait: {oneOf: [{event: a}], timeout: soon}", "8:46", "bad-parameter", '"timeout" must be a number, not "soon"',
            "Write a number"),
    Mistake("emit: {payload: {}}", "8:9", "missing-parameter", '"emit" needs "event"', "Add event"),
    Mistake("emit: {event: a/b}", "8:23", "bad-event-name", '"a/b" cannot be the name of an event because of /', "Use letters"),
    Mistake("emit: {event: workspaces.configured}", "8:23", "reserved-event", "the server's own events", "Use a name"),
    Mistake("emit: {event: a, payload: hello}", "8:35", "bad-parameter", '"payload" must be a map, not "hello"', "key: value"),
    Mistake("emit: {event: a, options: {persist: no}}", "8:45", "bad-parameter", '"persist" must be true or false, not "no"',
            "Write false"),
    Mistake("fetch: {url: 'https://x', method: gte}", "8:43", "bad-parameter", '"method" cannot be "gte"', "get, post, put"),
    Mistake("fetch: {url: 'https://x', body: {}}", "8:35", "unsent-body", "a get request has no body", "Add method: post"),
    Mistake("fetch: {uri: 'https://x', url: 'https://x'}", "8:17", "unknown-parameter", '"uri" means nothing to "fetch"',
            'Did you mean "url"?'),
    Mistake("fetch: {url: 'https://x', multipart: [{value: a}]}", "8:47", "missing-parameter", 'needs "fieldname"',
            "Add fieldname"),
    Mistake("break: {scope: everything}", "8:24", "bad-parameter", '"scope" cannot be "everything"', "automation, all, repeat"),
    Mistake("conditions: {'{{a}} ==': []}", "8:22", "bad-expression", 'in "{{a}} =="', "missing at the end"),
    Mistake("conditions: {'{{a}} is 1': []}", "8:22", "bad-expression", "unexpected 'is'", "compare with =="),
    Mistake("conditions: {default: {set: {}}}", "8:31", "bad-parameter", "a branch must be a list of instructions, not a map",
            '"- "'),
    Mistake("conditions: []", "8:21", "bad-parameter", '"conditions" must be a map, not a list', "key: value"),
    Mistake("conditions: {'{{}} == 1': []}", "8:22", "empty-template", "a template without a name"),
    Mistake("all: {steps: [], do: []}", "8:15", "unknown-parameter", '"steps" means nothing to "all"', 'Did you mean "do"?'),
    Mistake("all: 5", "8:14", "bad-parameter", '"all" must be a list or a map, not 5'),
    Mistake("try: {catch: []}", "8:9", "missing-parameter", '"try" needs "do"', "Add do"),
    Mistake("run: {module: cripto, function: md5}", "8:23", "bad-parameter", '"module" cannot be "cripto"', "crypto"),
    Mistake("rateLimit: {name: a, limit: ten, window: 60}", "8:37", "bad-parameter", '"limit" must be a number, not "ten"'),
]


def told(problems: tuple[Problem, ...]) -> str:
    return "\n".join(map(str, problems)) or "nothing at all"


def expect(problems: tuple[Problem, ...], mistake: Mistake) -> None:
    """Exactly this one, there, in these words."""
    assert len(problems) == 1, told(problems)
    line = str(problems[0])
    assert line.startswith(f"shop.yml:{mistake.place}: {mistake.code}: "), line
    assert mistake.says in problems[0].message, line
    assert mistake.hint in problems[0].hint, line


def check(text: str) -> Report:
    return check_workspace(load(text, name="shop.yml"))


@pytest.mark.parametrize("mistake", REFUSED, ids=lambda m: f"{m.code}-{m.place}")
def test_a_wrong_shape_is_refused_where_it_stands(mistake: Mistake) -> None:
    expect(check(mistake.text).problems, mistake)


@pytest.mark.parametrize("mistake", WARNED, ids=lambda m: f"{m.code}-{m.place}")
def test_a_likely_mistake_is_warned_of_where_it_stands(mistake: Mistake) -> None:
    report = check(mistake.text)
    assert report.is_accepted, told(report.problems)
    expect(report.warnings, mistake)


@pytest.mark.parametrize("mistake", INSTRUCTED, ids=lambda m: m.text[:30])
def test_a_mistaken_instruction_is_accepted_with_a_warning(mistake: Mistake) -> None:
    report = check(WORKSPACE % mistake.text)
    assert report.is_accepted, told(report.problems)
    expect(report.warnings, mistake)


@pytest.mark.parametrize("instruction", [
    "break:", "break: {scope: all, payload: {a: 1}}", "comment:", "comment: {any: [thing]}", "helper: {}", "helper: '{{arguments}}'",
    "mailer.send: {to: bob, output: sent}", "set: {name: 'list[]', value: '{{a[0].b}}'}", "set: '{{instruction}}'",
    "set: {name: 'session.{{key}}', value: null}", "set: {name: n, type: '{{kind}}', value: 1}", "set: {name: user.id, value: x}",
    "all: [{helper: {}}, {}, null]", "all: {do: []}", "repeat: {on: '{{list}}', do: []}", "repeat: {until: '{{n}}', do: []}",
    "wait: {oneOf: [{event: runtime.automations.executed}], timeout: '{{t}}'}", "fetch: {url: '{{u}}', method: POST, body: hi}",
    "conditions: {'{{a}} == 1': [], default: [{break: {}}]}", "try: {do: [], catch: null}", "emit: {event: '{{name}}/x', payload: '{{p}}'}",
    "runWorkflow: {workflow: '{{slug}}'}", "runWorkflow: {workflow: greet}", "rateLimit: {name: a, limit: 1, window: 60}", "null", "{}",
])
def test_what_is_right_is_not_warned_of(instruction: str) -> None:
    report = check(WORKSPACE % instruction)
    assert report == Report(), told(report.problems + report.warnings)


def test_every_problem_is_reported_at_once_in_the_order_of_the_document() -> None:
    report = check(GREET + "    when: {schedules: [never], events: 5}\n    private: no\n    do: [1]\n  Ö: {do: []}\n")
    assert [(p.code, p.mark.line) for p in report.problems] == [
        ("bad-cron", 4), ("bad-shape", 4), ("bad-shape", 5), ("bad-shape", 6), ("bad-slug", 7)]
    with pytest.raises(InvalidAutomation) as refused:
        report.refuse()
    assert [detail["path"] for detail in refused.value.details] == [
        "automations.greet.when.schedules[0]", "automations.greet.when.events", "automations.greet.private",
        "automations.greet.do[0]", "automations.Ö"]


@pytest.mark.parametrize(("text", "error", "wire"), [
    (GREET + "    when: {schedules: [never]}\n    do: []\n", InvalidSchedule, "InvalidScheduleError"),
    ("name: Shop\nslug: No Good\n", InvalidSlug, "InvalidSlugError"),
    ("name: Shop\nautomations:\n  a: {do: [], slug: c}\n  b: {do: [], slug: c}\n", AlreadyUsed, "AlreadyUsedError"),
    ("name: Shop\nautomations: 5\n", InvalidAutomation, "RequestValidationError"),
])
def test_a_refusal_has_the_name_that_callers_know(text: str, error: type[InvalidAutomation], wire: str) -> None:
    with pytest.raises(error) as refused:
        check(text).refuse()
    assert refused.value.wire == wire
    assert refused.value.where.startswith("shop.yml:")


def test_a_problem_reads_as_one_line_and_as_json() -> None:
    (problem,) = check(WORKSPACE % "ftech: {url: /}").warnings
    assert str(problem) == 'shop.yml:8:9: unknown-instruction: "ftech" is not an instruction. Did you mean "fetch"?'
    assert problem.as_dict() == {
        "path": "automations.greet.do[0].ftech", "message": '"ftech" is not an instruction', "line": 8, "column": 9,
        "code": "unknown-instruction", "hint": 'Did you mean "fetch"?'}


def test_data_without_text_is_checked_the_same_but_has_no_places() -> None:
    (problem,) = check_workspace({"name": "Shop", "automations": {"greet": {"do": 5}}}).problems
    assert problem.as_dict() == {"path": "automations.greet.do", "message": '"do" must be a list, not 5', "code": "bad-shape",
                                 "hint": 'Begin each item with "- " on a line of its own.'}


def test_data_that_nests_too_deep_or_has_keys_that_are_no_texts_is_refused() -> None:
    deep: list[object] = []
    for _ in range(5000):
        deep = [deep]
    assert [p.code for p in check_workspace({"name": "Shop", "config": {"value": {"a": deep}}}).problems] == ["too-deep"]
    assert [p.code for p in check_workspace({"name": "Shop", "config": {1: 2}}).problems] == ["bad-key"]


def test_an_automation_by_itself_may_call_what_its_workspace_holds() -> None:
    automation = {"do": [{"elsewhere": {}}, {"ftech": {}}]}
    assert [p.path for p in check_automation(automation).warnings] == [("do", 1, "ftech")]
    assert [p.path for p in check_automation(automation, automations=["elsewhere"]).warnings] == [("do", 1, "ftech")]
    assert len(check_automation(automation, automations=[]).warnings) == 2
    assert check_automation({"do": [{"me": {}}]}, slug="me", automations=[]) == Report()


def test_an_automation_by_itself_is_refused_for_its_slug_and_cron() -> None:
    report = check_automation({"slug": "a.b", "when": {"schedules": ["x"]}, "do": []})
    assert {p.code for p in report.problems} == {"bad-slug", "bad-cron"}


def test_without_warnings_only_what_refuses_is_looked_for() -> None:
    source = load(WORKSPACE % "ftech: {url: /}", name="shop.yml")
    assert check_workspace(source, with_warnings=False) == Report()


def test_the_table_of_schemas_has_every_instruction_that_runs() -> None:
    assert set(INSTRUCTION_SCHEMAS) == set(INSTRUCTIONS)


def test_the_schema_for_editors_is_valid_and_accepts_what_the_check_accepts() -> None:
    schema = document_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    for instruction in ("break:", "helper: {a: 1}", "set: {name: a, value: '{{b}}'}",
                        "repeat: {until: '{{n}}', do: [{fetch: {url: x, method: GET}}]}",
                        "conditions: {'{{a}}': [{all: {do: []}}]}", "emit: {event: a, payload: '{{p}}'}"):
        assert list(validator.iter_errors(load(WORKSPACE % instruction).data)) == []
    for instruction in ("set: {nmae: a}", "repeat: {until: 3}", "fetch: {url: x, method: gte}", "all: 5", "conditions: []"):
        assert list(validator.iter_errors(load(WORKSPACE % instruction).data)) != [], instruction


def test_the_schema_for_editors_describes_every_word() -> None:
    instruction = document_schema()["$defs"]["instruction"]
    assert all(each.get("description") or each["anyOf"][0]["description"] for each in instruction["properties"].values())


WORDS = st.sampled_from([*INSTRUCTION_SCHEMAS, "name", "do", "on", "until", "when", "events", "output", "arguments", "automations",
                         "imports", "config", "schema", "value", "oneOf", "event", "type", "slug", "default", "catch", "{{a}}"])
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12) | WORDS | st.binary(max_size=3),
    lambda below: st.lists(below, max_size=4) | st.dictionaries(WORDS | st.text(max_size=5), below, max_size=4), max_leaves=25)


@settings(max_examples=150, deadline=None)
@given(ANYTHING, st.lists(ANYTHING, max_size=4))
def test_whatever_the_data_the_check_reports_and_never_raises(anything: object, steps: list[object]) -> None:
    for document in (anything, {"name": "Shop", "automations": {"a": anything}},
                     {"name": "Shop", "automations": {"a": {"do": steps, "when": anything, "arguments": anything}}}):
        report = check_workspace(document)
        for problem in (*report.problems, *report.warnings):
            assert str(problem) and problem.as_dict()["message"]
    check_automation(Source.of(anything))
