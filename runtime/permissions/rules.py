"""The rules of a workspace's `security` section, compiled once per revision."""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from runtime.permissions import conditions
from runtime.permissions.conditions import Known, Node, Unusable

OWNER, EDITOR = "owner", "editor"
MANAGE, EVERYTHING = "manage", "all"
_WRITES = frozenset(("create", "update"))
_BUILT_IN = frozenset((OWNER, EDITOR))
Problem = dict[str, str]


@dataclass(frozen=True, slots=True)
class Rule:
    """Allows, or with `is_inverted` forbids. Without roles it is for everybody, without conditions for every subject of its kinds."""

    roles: frozenset[str]
    actions: frozenset[str]
    subjects: frozenset[str]
    conditions: Node | None
    needs: frozenset[str]
    """What must be known of a caller for the rule to be about them."""
    is_inverted: bool
    reason: str | None

    def concerns(self, action: str, subject: str) -> bool:
        return (action in self.actions or MANAGE in self.actions) and (subject in self.subjects or EVERYTHING in self.subjects)

    def is_about(self, roles: frozenset[str], known: Known) -> bool:
        return (not self.roles or not self.roles.isdisjoint(roles)) and all(known(name) is not None for name in self.needs)


@dataclass(frozen=True, slots=True)
class AutomaticRole:
    """A role of everybody who logged in through a provider, and meets conditions."""

    role: str
    provider: str
    conditions: Node | None


class Rules:
    """First those for roles, then those for everybody; the last one that applies decides."""

    __slots__ = ("_found", "_rules", "automatic", "roles")

    def __init__(self, security: Any) -> None:
        """From a section as it is kept. What cannot be understood there allows nothing, and forbids without conditions."""
        authorizations = _object(_object(security).get("authorizations"))
        raw_rules = authorizations.get("rules")
        rules = list(read_rules(raw_rules if type(raw_rules) is list else [], []))
        self.roles: dict[str, dict[str, Any]] = {name: _object(role) for name, role in _object(authorizations.get("roles")).items()}
        self.automatic = tuple(_automatic(self.roles, []))
        self._rules = (*(rule for rule in rules if rule.roles), *(rule for rule in rules if not rule.roles))
        self._found: dict[tuple[str, str], tuple[Rule, ...]] = {}

    def concerning(self, action: str, subject: str) -> tuple[Rule, ...]:
        found = self._found.get((action, subject))
        if found is None:
            found = self._found[action, subject] = tuple(rule for rule in self._rules if rule.concerns(action, subject))
        return found

    def knows(self, role: str) -> bool:
        return role in _BUILT_IN or role in self.roles

    def of_key(self, role: str) -> tuple[Rule, ...]:
        """The rules for a role that only API keys have; none when there is no such role."""
        if "apiKey" not in _object(_object(self.roles.get(role)).get("auth")):
            return ()
        return tuple(rule for rule in self._rules if role in rule.roles)


def problems(security: Any) -> list[Problem]:
    """Everything that is wrong with a `security` section."""
    if type(security) is not dict or type(_object(security).get("authorizations", {})) is not dict:
        return [{"path": "authorizations", "message": "should be object"}]
    authorizations, found = security.get("authorizations") or {}, list[Problem]()
    roles, rules = authorizations.get("roles") or {}, authorizations.get("rules") or []
    if type(roles) is not dict:
        found.append({"path": "authorizations.roles", "message": "should be object"})
    else:
        found += [{"path": f"authorizations.roles.{name}", "message": "should be object"}
                  for name, role in roles.items() if role is not None and type(role) is not dict]
        list(_automatic({name: _object(role) for name, role in roles.items()}, found))
    if type(rules) is not list:
        return [*found, {"path": "authorizations.rules", "message": "should be array"}]
    list(read_rules(rules, found, at="authorizations.rules"))
    return found


def read_rules(raw_rules: list[Any], found: list[Problem], *, at: str = "rules") -> Iterator[Rule]:
    """The rules that can be used; what is wrong with others is added to `found`."""
    for index, raw in enumerate(raw_rules):
        if type(raw) is not dict:
            found.append({"path": f"{at}[{index}]", "message": "should be object"})
            continue
        actions, subjects, roles = (_texts(raw.get(key)) for key in ("action", "subject", "role"))
        wrong = [key for key, texts in (("action", actions), ("subject", subjects)) if not texts] + ["role"] * (roles is None)
        found += [{"path": f"{at}[{index}].{key}", "message": "should be a text or a list of texts"} for key in wrong]
        if wrong:
            continue
        is_inverted, node = raw.get("inverted") is True, None
        try:
            node = conditions.parse(raw["conditions"]) if raw.get("conditions") else None
        except Unusable as problem:
            found.append({"path": f"{at}[{index}].conditions", "message": str(problem)})
            if not is_inverted:
                continue
        reason = raw.get("reason")
        yield Rule(roles or frozenset(), _with_writes(actions), subjects, node, frozenset(conditions.names(node)) if node else frozenset(),
                   is_inverted, reason if type(reason) is str and reason else None)


def _automatic(roles: dict[str, dict[str, Any]], found: list[Problem]) -> Iterator[AutomaticRole]:
    for name, role in roles.items():
        for provider, how in _object(role.get("auth")).items():
            if provider == "apiKey" or name in _BUILT_IN:
                continue
            raw = _object(how).get("conditions")
            try:
                yield AutomaticRole(name, provider, conditions.parse(raw) if raw else None)
            except Unusable as problem:
                found.append({"path": f"authorizations.roles.{name}.auth.{provider}.conditions", "message": str(problem)})


def _with_writes(actions: frozenset[str]) -> frozenset[str]:
    return actions | _WRITES if "write" in actions else actions


def _texts(raw: Any) -> frozenset[str] | None:
    """None for what is neither a text, nor a list of texts, nor nothing."""
    if raw is None:
        return frozenset()
    texts = raw if type(raw) is list else [raw]
    return frozenset(texts) if all(type(text) is str and text for text in texts) else None


def _object(value: Any) -> dict[str, Any]:
    return value if type(value) is dict else {}
