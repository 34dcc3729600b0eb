"""Random programs of automations against a plain model of their contexts: maps in maps, and when each of them ends."""
from __future__ import annotations

import asyncio
from copy import deepcopy
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from kit import ALICE, BOB, NOBODY, emit, endpoint, listener, origin, put, steps

from runtime.testing import HandClock, Sandbox
from store.records import Session

CONTEXTS = ["global", "user", "session", "socket", "run", "config"]
LIFE = {"session": 3_600_000, "socket": 21_600_000}
LOOK = {context: "{{%s.data}}" % context for context in CONTEXTS} | {"id": "{{session.id}}", "who": "{{user.id}}"}
EXECUTE = {"ops": "{{item.ops}}", "output": "inner"}
AUTOMATIONS = {
    "main": endpoint({"execute": {"ops": "{{body}}", "output": "trace"}}, output="{{trace}}"),
    "hears": listener("said", {"execute": {"ops": "{{payload.ops}}"}}),
    "execute": steps(put("trace", []), {"repeat": {"on": "{{ops}}", "do": [{"conditions": {
        "{{item.do}} == 'set'": [put("{{item.name}}", "{{item.value}}", type="{{item.op}}")],
        "{{item.do}} == 'delete'": [{"delete": {"name": "{{item.name}}"}}],
        "{{item.do}} == 'switch'": [put("session.id", "{{item.id}}")],
        "{{item.do}} == 'call'": [{"execute": EXECUTE}, put("trace[]", "{{inner}}")],
        "{{item.do}} == 'all'": [{"all": [{"execute": {"ops": "{{item.left}}", "output": "left"}}, {"execute": {"ops": "{{item.right}}", "output": "right"}}]},
                                 put("trace[]", ["{{left}}", "{{right}}"])],
        "{{item.do}} == 'emit'": [emit("said", {"ops": "{{item.ops}}"})],
        "{{item.do}} == 'look'": [put("trace[]", LOOK)]}}]}}, output="{{trace}}")}
LOGINS = {"session-of-alice": "alice", "session-of-bob": "bob"}

# programs

SMALL = st.integers(-3, 3) | st.sampled_from(["", "x", None, True, 0.5])
MAPS = st.dictionaries(st.sampled_from("ab"), SMALL | st.lists(SMALL, max_size=2), max_size=2)
DATA = st.fixed_dictionaries({}, optional={"n": st.integers(-3, 3), "list": st.lists(SMALL, max_size=2), "map": MAPS})


def sets(path: str, op: str, values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.builds(lambda context, value: {"do": "set", "name": context + path, "op": op, "value": value}, st.sampled_from(CONTEXTS), values)


WRITES = st.one_of(
    sets(".data.n", "add", st.integers(-3, 3)), sets(".data.n", "replace", st.integers(-3, 3)), sets(".data.list", "push", SMALL | MAPS),
    sets(".data.list", "replace", st.lists(SMALL, max_size=2)), sets(".data.map", "merge", MAPS), sets(".data.map", "replace", MAPS), sets(".data.map.a", "replace", SMALL),
    sets(".data", "replace", DATA), sets("", "replace", st.builds(lambda data: {"data": data}, DATA)),
    st.builds(lambda context, path: {"do": "delete", "name": context + path}, st.sampled_from(CONTEXTS), st.sampled_from([".data.n", ".data.list", ".data.map.a", ".data"])))
LOOKS = st.just({"do": "look"})
SWITCHES = st.builds(lambda id: {"do": "switch", "id": id}, st.sampled_from(["s1", "s2", *LOGINS]))
PLAIN = st.lists(WRITES | LOOKS, max_size=3)
BRANCHES = st.builds(lambda left, right: {"do": "all", "left": left, "right": right}, PLAIN, PLAIN)
CALLS = st.builds(lambda ops: {"do": "call", "ops": ops}, st.lists(WRITES | LOOKS | SWITCHES | BRANCHES, max_size=4))
EMITS = st.builds(lambda ops: {"do": "emit", "ops": ops}, PLAIN)
PROGRAMS = st.builds(lambda body, emits: [*body, *emits, {"do": "look"}], st.lists(WRITES | LOOKS | SWITCHES | BRANCHES | CALLS, max_size=6), st.lists(EMITS, max_size=2))
CALLERS = {"alice": ALICE, "bob": BOB, "visitor": NOBODY}


class Branch:
    """Whose contexts an automation sees, in the model."""

    def __init__(self, run: str, session: str | None, socket: str | None) -> None:
        self.run, self.session = run, session
        self.socket = socket or session or run

    def key(self, context: str) -> tuple[str, str]:
        user = LOGINS.get(self.session, self.session)
        return context, {"user": user, "session": self.session, "socket": self.socket, "run": self.run}.get(context, "")


class Model:
    """What the contexts are, and when they end."""

    def __init__(self, clock: HandClock) -> None:
        self.clock = clock
        self.documents: dict[tuple[str, str], dict[str, Any]] = {}
        self.ends: dict[tuple[str, str], int] = {}

    def read(self, key: tuple[str, str]) -> dict[str, Any]:
        if self.ends.get(key, self.clock.now() + 1) <= self.clock.now():
            self.documents.pop(key, None)
            self.ends.pop(key)
        return self.documents.setdefault(key, {})

    def execute(self, ops: list[dict[str, Any]], branch: Branch, said: list[tuple[list[Any], str]]) -> list[Any]:
        trace: list[Any] = []
        for op in ops:
            match op["do"]:
                case "set" | "delete":
                    self.write(op, branch)
                case "switch":
                    branch.session = op["id"]
                case "call":
                    trace.append(self.execute(op["ops"], branch, said))
                case "all":
                    trace.append([self.execute(op[side], branch, said) for side in ("left", "right")])
                case "emit":
                    said.append((op["ops"], branch.session))
                case "look":
                    trace.append(self.look(branch))
        return trace

    def look(self, branch: Branch) -> dict[str, Any]:
        data = {context: self.read(branch.key(context)) for context in CONTEXTS}
        seen = {context: deepcopy(document["data"]) for context, document in data.items() if "data" in document}
        return seen | {"id": branch.session, "who": LOGINS.get(branch.session, branch.session)}

    def write(self, op: dict[str, Any], branch: Branch) -> None:
        context, *path = op["name"].split(".")
        key = branch.key(context)
        document = self.read(key)
        if context in LIFE and not (context == "session" and branch.session in LOGINS):
            self.ends[key] = self.clock.now() + LIFE[context]
        if not path:
            self.documents[key] = deepcopy(op["value"])
            return
        for step in path[:-1]:
            if op["do"] == "delete" and step not in document:
                return
            document = document.setdefault(step, {})
        self.apply(document, path[-1], op)

    def apply(self, document: dict[str, Any], name: str, op: dict[str, Any]) -> None:
        value = deepcopy(op.get("value"))
        match op.get("op"):
            case None:
                document.pop(name, None)
            case "replace":
                document[name] = value
            case "add":
                document[name] = document.get(name, 0) + value
            case "push":
                document[name] = [*document.get(name, []), value]
            case "merge":
                document[name] = {**document.get(name, {}), **value}

    def run_ends(self, run: str) -> None:
        if self.read(("run", run)):
            self.ends["run", run] = self.clock.now() + 60_000


class Contexts(RuleBasedStateMachine):
    """Engines one after the other on one store, and the model beside them."""

    place: Any

    @initialize()
    def begin(self) -> None:
        self.clock = HandClock()
        self.model = Model(self.clock)
        name = self.place.name()
        self.definition = {"name": name, "id": name, "automations": AUTOMATIONS}
        self.place.run(self.open())

    async def open(self) -> None:
        self.box = Sandbox(self.definition, store=self.place.store, clock=self.clock)
        await self.box.__aenter__()
        await self.place.store.commit([Session(id, user, ALICE.session_expires_at, b'{"userId":"%s"}' % user.encode()) for id, user in LOGINS.items()])

    def program(self, who: str, ops: list[Any]) -> list[Any]:
        return [{"do": "switch", "id": "s1"}, *ops] if who == "visitor" else ops

    @rule(ops=PROGRAMS, who=st.sampled_from(list(CALLERS)), run=st.sampled_from(["r1", "r2"]), socket=st.sampled_from([None, "tab"]))
    def call(self, ops: list[Any], who: str, run: str, socket: str | None) -> None:
        ops, said = self.program(who, ops), []
        answer = self.place.run(self.perform(ops, who, run, socket))
        assert answer == self.model.execute(ops, Branch(run, CALLERS[who].session_id, socket), said)
        for heard, session in said:
            self.model.execute(heard, Branch(run, session, socket), [])
        self.model.run_ends(run)

    async def perform(self, ops: list[Any], who: str, run: str, socket: str | None = None) -> Any:
        answer = await self.box.call("main", ops, origin=origin(run, CALLERS[who], socket_id=socket))
        await self.box.settle()
        return answer

    @rule(callers=st.lists(st.tuples(st.sampled_from(["alice", "bob"]), st.sampled_from(["r1", "r2", "r3"])), min_size=2, max_size=5))
    def together(self, callers: list[tuple[str, str]]) -> None:
        """Operations that lead to one result in any order, but for the order of a list."""
        programs = [[{"do": "set", "name": "global.data.list", "op": "push", "value": f"{n}-{k}"} for k in range(2)]
                    + [{"do": "set", "name": "user.data.n", "op": "add", "value": 1}, {"do": "set", "name": f"global.data.map.k{n}", "op": "replace", "value": n}]
                    for n in range(len(callers))]
        self.place.run(self.gather(programs, callers))
        for ops, (who, run) in zip(programs, callers):
            self.model.execute(ops, Branch(run, CALLERS[who].session_id, None), [])
            self.model.run_ends(run)
        [seen] = self.place.run(self.perform([{"do": "look"}], "alice", "r1"))
        self.model.run_ends("r1")
        listed, expected = seen["global"]["list"], self.model.read(("global", ""))["data"]["list"]
        new = 2 * len(callers)
        assert listed[:-new] == expected[:-new] and sorted(listed[-new:]) == sorted(expected[-new:])
        assert all(listed[-new:].index(f"{n}-0") < listed[-new:].index(f"{n}-1") for n in range(len(callers)))
        self.model.read(("global", ""))["data"]["list"] = listed
        self.looks_alike()

    async def gather(self, programs: list[Any], callers: list[tuple[str, str]]) -> None:
        await asyncio.gather(*(self.perform(ops, who, run) for ops, (who, run) in zip(programs, callers)))

    @rule(seconds=st.sampled_from([0.1, 1, 59.9, 60, 61, 3540, 3599.9, 3600, 18_000, 21_600]), cleans=st.booleans())
    def time_passes(self, seconds: float, cleans: bool) -> None:
        self.place.run(self.wait(seconds, cleans))

    async def wait(self, seconds: float, cleans: bool) -> None:
        self.clock.advance(seconds)
        if cleans:
            await self.place.store.expire(self.clock.now())

    @rule()
    def restart(self) -> None:
        self.place.run(self.box.__aexit__())
        self.clock.advance(0.001)                          # identifiers count from 1 again
        self.place.run(self.open())
        self.looks_alike()

    def looks_alike(self) -> None:
        for who in CALLERS:
            for run in ("r1", "r2"):
                self.call(ops=[{"do": "look"}], who=who, run=run, socket=None)

    def teardown(self) -> None:
        if hasattr(self, "box"):
            self.place.run(self.box.__aexit__())


def test_contexts_are_what_a_plain_model_says_whatever_automations_do(place: Any) -> None:
    machine = type("ContextsHere", (Contexts,), {"place": place})
    run_state_machine_as_test(machine, settings=place.settings)
