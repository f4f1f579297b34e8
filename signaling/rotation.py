"""Things that wait by whose they are: at every level of their paths, whoever had one is last.

``(tenant, room)`` for a path means that tenants have one thing each in rotation, however many rooms
they have, and the rooms of a tenant likewise. It knows nothing of what waits; ``turns`` does.
"""

from collections import OrderedDict, deque
from collections.abc import Hashable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


class Rotation(Generic[T]):
    """See the module. All paths of one rotation have the same length."""

    def __init__(self) -> None:
        self._items: deque[T] = deque()
        self._children: OrderedDict[Hashable, Rotation[T]] = OrderedDict()
        """By the next word of the path; whose turn is next comes first."""
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def count(self, path: Sequence[Hashable]) -> int:
        """How many items wait by a path, or by all that begin with it."""
        if not path:
            return self._count
        child = self._children.get(path[0])
        return 0 if child is None else child.count(path[1:])

    def add(self, path: Sequence[Hashable], item: T) -> None:
        """Put an item behind the others of its path."""
        self._count += 1
        if path:
            self._children.setdefault(path[0], Rotation()).add(path[1:], item)
        else:
            self._items.append(item)

    def pop(self) -> T | None:
        """Take the item whose turn it is; None when there is none."""
        if not self._count:
            return None
        self._count -= 1
        if self._items:
            return self._items.popleft()
        name, child = self._children.popitem(last=False)
        item = child.pop()
        if child:
            self._children[name] = child  # behind all others
        return item

    def pop_longest(self, more_than: int) -> T | None:
        """Take the item that is next of the first words by which most items wait.

        None when by none of them more than `more_than` wait. The others keep their places.
        """
        name, child = max(
            self._children.items(), key=lambda each: len(each[1]), default=(None, Rotation[T]())
        )
        if len(child) <= more_than:
            return None
        self._count -= 1
        item = child.pop()
        if not child:
            del self._children[name]
        return item

    def remove(self, path: Sequence[Hashable], item: T) -> bool:
        """Take an item out of the row; the others keep their places. False when it is not there."""
        if not path:
            found = item in self._items
            if found:
                self._items.remove(item)
        else:
            child = self._children.get(path[0])
            found = child is not None and child.remove(path[1:], item)
            if child is not None and not child:
                del self._children[path[0]]
        self._count -= found
        return found
