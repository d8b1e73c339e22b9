"""An extension of griffe, which reads the code for the reference without running it."""

from typing import Any

import griffe

MODULES = {"agent_tasks": {}, "agent_tasks.aio": {"TaskHandle": "AsyncTaskHandle"}}
"""Where functions are made of methods, and what they return in place of what the method does."""
WRAPPERS = {"_on_default", "_awaited", "_handle", "_handles"}
LABELS = {"async", "classmethod"}
"""Those that say how a name is used; the others say how it was made."""


class Signatures(griffe.Extension):
    """Shows `submit = _on_default(AgentTasks.submit)` as the function it is, with the method's signature and docstring.

    Leaves out parameters that begin with an underscore: they are for the package's own calls.
    """

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        obj.labels &= LABELS

    def on_function(self, *, func: griffe.Function, **kwargs: Any) -> None:
        func.parameters = griffe.Parameters(*(p for p in func.parameters if not p.name.startswith("_")))

    def on_package(self, *, pkg: griffe.Module, loader: griffe.GriffeLoader, **kwargs: Any) -> None:
        if pkg.path != "agent_tasks":
            return
        loader.resolve_aliases()
        for path, returned in MODULES.items():
            module = loader.modules_collection[path]
            for scope in (*module.classes.values(), module):  # its functions are made of the methods of its classes
                if not scope.is_alias:
                    unwrap(scope, returned, {"async"} if returned else set())


def unwrap(scope: griffe.Module | griffe.Class, returned: dict[str, str], labels: set[str]) -> None:
    """Put a function into the place of each attribute that is a wrapped method."""
    for name, attribute in list(scope.members.items()):
        match attribute:
            case griffe.Attribute(
                value=griffe.ExprCall(function=griffe.ExprName(name=wrapper), arguments=[griffe.Expr() as wrapped])
            ) if wrapper in WRAPPERS:
                method = scope.modules_collection[wrapped.canonical_path]
            case _:
                continue
        function = griffe.Function(
            name,
            lineno=attribute.lineno,
            endlineno=attribute.endlineno,
            parameters=griffe.Parameters(*(p for p in method.parameters if p.name != "self" or scope.is_class)),
            returns=renamed(method.returns, scope, returned),
            docstring=method.docstring,
        )
        function.labels |= labels
        scope.set_member(name, function)


def renamed(annotation: str | griffe.Expr | None, scope: griffe.Module | griffe.Class, names: dict[str, str]) -> Any:
    """The annotation with other names, which are looked up in `scope`."""
    match annotation:
        case griffe.ExprName(name=name) if name in names:
            return griffe.ExprName(names[name], parent=scope)
        case griffe.ExprSubscript(left=left, slice=inner):
            return griffe.ExprSubscript(left, renamed(inner, scope, names))
        case _:
            return annotation
