"""The source files of package and tests, parsed, for tests that look at how they are written."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "ood_lightning"
PACKAGE_FILES = sorted(PACKAGE.rglob("*.py"))
TEST_FILES = sorted((ROOT / "tests").rglob("*.py"))


@cache
def parsed(path: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"))


@cache
def lines_of(path: Path) -> tuple[str, ...]:
    """A file's lines."""
    return tuple(path.read_text(encoding="utf-8").splitlines())


def relative(path: Path) -> str:
    """A file as `ood_lightning/cli/main.py`."""
    return str(path.relative_to(ROOT))


def imported(path: Path, at_run_time: bool = True) -> Iterator[str]:
    """What a file imports, as `module` or `module.name`, also inside functions.

    Args:
        path: of the file.
        at_run_time: leave out what stands under `if TYPE_CHECKING`.
    """
    tree = parsed(path)
    for_types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for statement in node.body
        for inner in ast.walk(statement)
    }

    for node in ast.walk(tree):
        if at_run_time and id(node) in for_types:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


class Body:
    """A function's body without its docstring: where it stands, and its lines."""

    def __init__(self, path: Path, function: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        first = function.body[0]
        documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
        statements = function.body[1:] if documented else function.body

        self.where = f"{relative(path)}:{function.lineno} {function.name}"
        start = statements[0].lineno if statements else 0
        self.numbers = range(start, (function.end_lineno or 0) + 1) if statements else range(0)
        self.blank = [number for number in self.numbers if not lines_of(path)[number - 1].strip()]


def bodies(path: Path) -> Iterator[Body]:
    """The bodies of all functions of a file; an inner function's lines are also its outer one's."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield Body(path, node)


def named(path: Path) -> Iterator[tuple[int, str]]:
    """Line and name of all that a file names: classes, functions, parameters, arguments, attributes, variables."""
    for node in ast.walk(parsed(path)):
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield node.lineno, name
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name) | ast.arg(arg=name):
                yield node.lineno, name
            case ast.keyword(arg=str(name)) | ast.alias(asname=str(name)) | ast.ExceptHandler(name=str(name)):
                yield node.lineno, name
            case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                yield node.lineno, name
