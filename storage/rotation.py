"""Things that wait by whose they are: at every level of their paths, whoever had one is last.

``(tenant, room)`` for a path means that tenants have one thing each in rotation, however many rooms
they have, and the rooms of a tenant likewise. It knows nothing of what waits; ``turns`` does.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Sequence
from typing import Final, Generic, TypeVar

T = TypeVar("T")
_NOBODY: Final = object()


class Rotation(Generic[T]):
    """See the module. All paths of one rotation have the same length."""

    def __init__(self) -> None:
        self._items: deque[T] = deque()
        self._children: OrderedDict[Hashable, Rotation[T]] = OrderedDict()
        """By the next word of the path; whose turn is next comes first."""
        self._by_count: dict[int, dict[Hashable, None]] = {}
        """Those words by how many items wait by them: of four thousand items, ninety numbers at most."""
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
            child = self._children.setdefault(path[0], Rotation())
            child.add(path[1:], item)
            self._recount(path[0], len(child) - 1, len(child))
        else:
            self._items.append(item)

    def pop(self, *, but: Callable[[Hashable], bool] = lambda _first: False) -> T | None:
        """Take the item whose turn it is; None when there is none.

        Args:
            but: of which first words none is taken.
        """
        if self._items:
            self._count -= 1
            return self._items.popleft()
        name = next((each for each in self._children if not but(each)), _NOBODY)
        if name is _NOBODY:
            return None
        self._count -= 1
        child = self._children.pop(name)
        item = child.pop()
        self._recount(name, len(child) + 1, len(child))
        if child:
            self._children[name] = child  # behind all others
        return item

    def pop_longest(self, more_than: int) -> T | None:
        """Take the item that is next of a first word by which most items wait.

        None when by none of them more than `more_than` wait. The others keep their places.
        """
        most = max(self._by_count, default=0)
        if most <= more_than:
            return None
        name = next(iter(self._by_count[most]))
        child = self._children[name]
        item = child.pop()
        self._count -= 1
        self._recount(name, most, most - 1)
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
            if found and child is not None:
                self._recount(path[0], len(child) + 1, len(child))
                if not child:
                    del self._children[path[0]]
        self._count -= found
        return found

    def _recount(self, name: Hashable, before: int, now: int) -> None:
        if before:
            del self._by_count[before][name]
            if not self._by_count[before]:
                del self._by_count[before]
        if now:
            self._by_count.setdefault(now, {})[name] = None
