"""The prose of a Python module: its docstrings and its `#:` comments."""

import ast
import re
from collections.abc import Iterator

from agent_tasks.bundled.research.formats import restructured
from agent_tasks.bundled.research.formats.blocks import Block, Document, squeeze

_ATTRIBUTE_COMMENT = re.compile(r"(?:^[ \t]*#:.*\n)+[ \t]*(\w+)", re.MULTILINE)
_SHORTEST = 80


def read(text: str, name: str) -> Document:
    """Read a module's prose into blocks. Raises ValueError if the module does not parse."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, RecursionError) as error:
        raise ValueError(f"not valid Python: {error}") from error
    blocks: list[Block] = []
    for owner, line, docstring in _docstrings(tree, ()):
        if len(docstring) >= _SHORTEST:
            blocks += restructured.read(docstring, name, line, owner).blocks
    for comment in _ATTRIBUTE_COMMENT.finditer(text):
        words = restructured.inline(re.sub(r"^[ \t]*#:?", "", comment.group().rpartition("\n")[0], flags=re.MULTILINE))
        if len(words) >= _SHORTEST:
            blocks.append(Block(squeeze(words), (comment[1],), text.count("\n", 0, comment.start()) + 1))
    return Document(name, blocks)


def _docstrings(node: ast.AST, owner: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], int, str]]:
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        if docstring := ast.get_docstring(node):
            yield (".".join(owner),) if owner else (), node.body[0].lineno, docstring
        for child in node.body:
            named = isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
            if named and not child.name.startswith("_"):
                yield from _docstrings(child, (*owner, child.name))
