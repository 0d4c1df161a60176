"""Make the next item while one is used."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

_Item = TypeVar("_Item")


def ahead(items: Iterable[_Item]) -> Generator[_Item, None, None]:
    """The same items in the same order, each made in a thread while the one before is used.

    What making one raises comes where it would be. To close the iterator waits for the one that is
    being made.
    """
    end = object()
    source = iter(items)
    with ThreadPoolExecutor(1, "ahead") as pool:
        following = pool.submit(next, source, end)
        while (item := following.result()) is not end:
            following = pool.submit(next, source, end)
            yield item  # type: ignore[misc]
