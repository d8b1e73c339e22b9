"""No file of the package imports one that imports it, by whatever way round."""

from collections.abc import Iterator

import grimp


def circles(imports: dict[str, set[str]]) -> Iterator[frozenset[str]]:
    """The groups of modules that reach each other (Tarjan's strongly connected components, of more than one)."""
    numbers: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []

    def visit(module: str) -> Iterator[frozenset[str]]:
        numbers[module] = lowest[module] = len(numbers)
        stack.append(module)
        for imported in sorted(imports[module]):
            if imported not in numbers:
                yield from visit(imported)
                lowest[module] = min(lowest[module], lowest[imported])
            elif imported in stack:
                lowest[module] = min(lowest[module], numbers[imported])
        if lowest[module] == numbers[module]:
            at = stack.index(module)
            found = frozenset(stack[at:])
            del stack[at:]
            if len(found) > 1:
                yield found

    for module in sorted(imports):
        if module not in numbers:
            yield from visit(module)


def test_a_circle_is_found_among_modules_that_only_hang_on_it() -> None:
    imports = {"a": {"b"}, "b": {"c"}, "c": {"d", "e"}, "d": {"b"}, "e": set[str]()}
    assert list(circles(imports)) == [frozenset("bcd")]


def test_files_import_each_other_in_no_circle() -> None:
    graph = grimp.build_graph("agent_tasks", cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert len(imports) > 100
    assert list(circles(imports)) == []
