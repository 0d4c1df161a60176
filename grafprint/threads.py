"""Threads: prefetch the next item, or map a function over parts with one thread each.

PyTorch is imported only where its number of threads matters, so that commands that read no audio
start without it.
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
_Item = TypeVar("_Item")


def side_by_side(work: Callable[[_Part], _Result], parts: Iterable[_Part]) -> Iterator[_Result]:
    """Map ``work`` over parts, one thread each; yields results in order, holding few parts at once.

    Within such a thread, the other threads are busy, so parts are processed one after the other.
    """
    if available_threads() == 1:
        yield from map(work, parts)
        return
    waiting: deque[Future[_Result]] = deque()
    try:
        for part in parts:
            waiting.append(workers().submit(work, part))
            if len(waiting) > available_threads():
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:  # also if the caller stops early
        for future in waiting:
            future.cancel()


@cache
def workers() -> ThreadPoolExecutor:
    """Threads in which PyTorch uses one core each."""
    os.register_at_fork(after_in_child=workers.cache_clear)  # threads do not survive a fork
    return ThreadPoolExecutor(os.cpu_count(), "encoder", _start_worker)


class _Thread(threading.local):
    """Whether this thread is one of :func:`workers`, which must not wait for one another."""

    is_worker = False


_thread = _Thread()


def _start_worker() -> None:
    _thread.is_worker = True
    import torch

    torch.set_num_threads(1)


def available_threads() -> int:
    """Number of threads among which this one may share its work."""
    import torch

    return 1 if _thread.is_worker else torch.get_num_threads()


def prefetch(items: Iterable[_Item]) -> Generator[_Item, None, None]:
    """Yield the same items in the same order, computing the next one in a thread meanwhile.

    An exception is raised where its item would have been. Closing the iterator waits for the item
    being computed.
    """
    end = object()
    source = iter(items)
    with ThreadPoolExecutor(1, "prefetch") as pool:
        upcoming = pool.submit(next, source, end)
        while (item := upcoming.result()) is not end:
            upcoming = pool.submit(next, source, end)
            yield item  # type: ignore[misc]
