"""How work says how far it is, to whoever shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Protocol, TypeVar

T = TypeVar("T")


class Update(Protocol):
    """Moves a progress display on; `total` replaces the expected number where it is given.

    `say` prints a line above it, also inside of `quiet()`.
    """

    def __call__(self, done: int, total: int | None = None) -> None: ...

    def say(self, text: str) -> None: ...


Progress = Callable[[int, str], AbstractContextManager[Update]]
"""`progress(total, description)` shows work; what it yields is called with the steps done."""


def unwatched(*_: object) -> AbstractContextManager[Update]:
    """Show nothing: what work takes where nobody looks."""
    return nullcontext(_Silent())


@contextmanager
def watched(items: Sequence[T], progress: Progress, description: str) -> Iterator[Iterator[T]]:
    """Give an iterator over items, and show how many of them are done.

    The display is closed with the block: an error in it is not printed into a bar.
    """
    with progress(len(items), description) as update:
        yield _counted(items, update)


def _counted(items: Sequence[T], update: Update) -> Iterator[T]:
    for number, item in enumerate(items, 1):
        yield item
        update(number)


class _Silent:
    def __call__(self, done: int, total: int | None = None) -> None: ...

    def say(self, text: str) -> None: ...
