"""Strongly connected components of a directed graph: Tarjan's algorithm, with a stack of its own."""

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Generic, TypeVar

Node = TypeVar("Node", bound=Hashable)


def strong_components(nodes: Iterable[Node], targets: Mapping[Node, Sequence[Node]]) -> Iterator[list[Node]]:
    """Yield the components that can be reached from `nodes`, each in the order in which its nodes were found.

    Takes time and memory proportional to nodes and arcs, and no recursion, however long a chain is.
    """
    search = _Search(targets)
    for node in nodes:
        if node not in search.found:
            yield from search.components_from(node)


class _Search(Generic[Node]):
    def __init__(self, targets: Mapping[Node, Sequence[Node]]) -> None:
        self._targets = targets
        self.found: dict[Node, int] = {}
        self._lowest: dict[Node, int] = {}
        self._open: list[Node] = []
        """Nodes found whose component is not complete yet."""
        self._is_open: set[Node] = set()

    def components_from(self, root: Node) -> Iterator[list[Node]]:
        path = [(root, self._enter(root))]
        while path:
            node, rest = path[-1]
            target = next(rest, None)
            if target is None:
                path.pop()
                if path:
                    parent = path[-1][0]
                    self._lowest[parent] = min(self._lowest[parent], self._lowest[node])
                if self._lowest[node] == self.found[node]:
                    yield self._leave(node)
            elif target not in self.found:
                path.append((target, self._enter(target)))
            elif target in self._is_open:
                self._lowest[node] = min(self._lowest[node], self.found[target])

    def _enter(self, node: Node) -> Iterator[Node]:
        self.found[node] = self._lowest[node] = len(self.found)
        self._open.append(node)
        self._is_open.add(node)
        return iter(self._targets.get(node, ()))

    def _leave(self, root: Node) -> list[Node]:
        position = len(self._open) - 1
        while self._open[position] != root:
            position -= 1
        component = self._open[position:]
        del self._open[position:]
        self._is_open.difference_update(component)
        return component
