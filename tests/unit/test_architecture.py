"""The house as it was drawn: who imports whom, who reads the clock, how long a file may get."""
from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PRODUCT = [path for room in ("gateway", "runtime", "store") for path in sorted((ROOT / room).rglob("*.py"))]
CLOCKS = {"time.time", "time.time_ns", "time.monotonic", "time.perf_counter", "datetime.now", "datetime.utcnow", "datetime.today",
          "date.today", "datetime.datetime.now", "datetime.date.today"}
CHANCE = {"uuid.uuid1", "uuid.uuid4", "os.urandom", "random.random", "random.SystemRandom", "secrets.token_hex", "secrets.token_urlsafe",
          "secrets.token_bytes", "random.choice", "random.randint"}
OWNERS = {"runtime/clock.py": CLOCKS, "runtime/ids.py": CHANCE}


def calls(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func)


def test_imports_go_from_gateway_to_runtime_to_store_and_never_back() -> None:
    # In a process of its own: the linter turns off loggers that other tests listen to.
    command = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    linted = subprocess.run([sys.executable, "-c", command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert linted.returncode == 0, linted.stdout


@pytest.mark.parametrize("path", PRODUCT, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_two_files_read_the_time_or_make_identifiers(path: Path) -> None:
    name = str(path.relative_to(ROOT))
    assert not set(calls(path)) & (CLOCKS | CHANCE) - OWNERS.get(name, set())


@pytest.mark.parametrize("path", PRODUCT, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_says_what_it_is_for_and_stays_readable(path: Path) -> None:
    text = path.read_text("utf-8")
    assert ast.get_docstring(ast.parse(text)), "a module opens with one sentence saying what it is for"
    assert len(text.splitlines()) <= 400
