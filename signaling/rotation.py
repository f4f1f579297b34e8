"""Things that wait by whose they are: at every level of their paths, whoever had one is last.

``(tenant, room)`` for a path means that tenants have one thing each in rotation, however many rooms
they have, and the rooms of a tenant likewise. It knows nothing of what waits; ``turns`` does.
"""

import contextlib
from collections import OrderedDict, deque
from collections.abc import Hashable, Iterator, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


class Rotation(Generic[T]):
    """See the module. All paths of one rotation have the same length."""

    def __init__(self) -> None:
        self._items: deque[T] = deque()
        self._children: OrderedDict[Hashable, Rotation[T]] = OrderedDict()
        """By the next word of the path; whose turn is next comes first."""

    def __bool__(self) -> bool:
        return bool(self._items or self._children)

    def __iter__(self) -> Iterator[T]:
        yield from self._items
        for child in self._children.values():
            yield from child

    def add(self, path: Sequence[Hashable], item: T) -> None:
        """Put an item behind the others of its path."""
        if path:
            self._children.setdefault(path[0], Rotation()).add(path[1:], item)
        else:
            self._items.append(item)

    def pop(self) -> T | None:
        """Take the item whose turn it is; None when there is none."""
        if self._items:
            return self._items.popleft()
        if not self._children:
            return None
        name, child = self._children.popitem(last=False)
        item = child.pop()
        if child:
            self._children[name] = child  # behind all others
        return item

    def remove(self, path: Sequence[Hashable], item: T) -> None:
        """Take an item out of the row; the others keep their places. Harmless when it is not there."""
        if not path:
            with contextlib.suppress(ValueError):
                self._items.remove(item)
        elif (child := self._children.get(path[0])) is not None:
            child.remove(path[1:], item)
            if not child:
                del self._children[path[0]]
