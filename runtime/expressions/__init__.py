"""Templates and expressions: text in documents becomes closures. Pure: imports only errors and values."""
from runtime.expressions.coercion import loose_equal, strict_equal, to_number, to_text, truthy
from runtime.expressions.limits import MAX_TEXT
from runtime.expressions.operators import constant, constant_of
from runtime.expressions.paths import CONTEXTS, Evaluate, Path, follow, parse_path, read_path
from runtime.expressions.patterns import Pattern, compile_pattern
from runtime.expressions.problems import Problem, find_condition_problems, find_problems
from runtime.expressions.query import check_operators, is_operators, matches_filter, matches_operators, matches_query
from runtime.expressions.scope import Scope
from runtime.expressions.template import compile_condition, compile_value

__all__ = [
    "CONTEXTS", "MAX_TEXT", "Evaluate", "Path", "Pattern", "Problem", "Scope", "check_operators", "compile_condition",
    "compile_pattern", "compile_value", "constant", "constant_of", "find_condition_problems", "find_problems", "follow", "is_operators",
    "loose_equal", "matches_filter", "matches_operators", "matches_query", "parse_path", "read_path", "strict_equal",
    "to_number", "to_text", "truthy"]
