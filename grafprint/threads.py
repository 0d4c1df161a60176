"""Threads: prefetch the next item, and map over parts with one thread each.

PyTorch is imported only where its number of threads matters, so that what reads no sound starts
without it.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from typing import TypeVar

_Part = TypeVar("_Part")
_Result = TypeVar("_Result")


def side_by_side(work: Callable[[_Part], _Result], parts: Iterable[_Part]) -> Iterator[_Result]:
    """``work`` of each part, in order, on one thread each; few parts are held at once.

    Within such work the threads are taken, and parts are done one after the other.
    """
    if _threads() == 1:
        yield from map(work, parts)
        return
    waiting: deque[Future[_Result]] = deque()
    try:
        for part in parts:
            waiting.append(_workers().submit(work, part))
            if len(waiting) > _threads():
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:  # where the caller goes no further
        for future in waiting:
            future.cancel()


@cache
def _workers() -> ThreadPoolExecutor:
    """Threads in which PyTorch uses one processor each."""
    os.register_at_fork(after_in_child=_workers.cache_clear)  # threads do not survive it
    return ThreadPoolExecutor(os.cpu_count(), "encoder", _begin)


class _Thread(threading.local):
    """Whether this is one of :func:`_workers`, which must not wait for another of them."""

    works = False


_thread = _Thread()


def _begin() -> None:
    _thread.works = True
    import torch

    torch.set_num_threads(1)


def _threads() -> int:
    """How many threads may share the work of this one."""
    import torch

    return 1 if _thread.works else torch.get_num_threads()


_Item = TypeVar("_Item")


def prefetch(items: Iterable[_Item]) -> Generator[_Item, None, None]:
    """The same items in the same order, each computed in a thread while the one before is in use.

    An exception comes in the place of the item that raised it. Closing the iterator waits for the
    item that is being computed.
    """
    end = object()
    source = iter(items)
    with ThreadPoolExecutor(1, "prefetch") as pool:
        following = pool.submit(next, source, end)
        while (item := following.result()) is not end:
            following = pool.submit(next, source, end)
            yield item  # type: ignore[misc]
