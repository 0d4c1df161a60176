"""Prefetching: items are computed in a thread while others are in use."""

import threading

import pytest

from grafprint.threads import prefetch


def test_items_keep_their_order():
    assert list(prefetch(iter(range(5)))) == list(range(5))
    assert list(prefetch([])) == []


def test_the_next_item_is_computed_while_one_is_in_use():
    computed = threading.Event()

    def items():
        yield 1
        computed.set()
        yield 2

    source = prefetch(items())
    assert next(source) == 1
    assert computed.wait(10)
    assert list(source) == [2]


def test_an_error_is_raised_where_its_item_would_be():
    def items():
        yield 1
        raise ValueError("here")

    source = prefetch(items())
    assert next(source) == 1
    with pytest.raises(ValueError, match="here"):
        next(source)


def test_closing_ends_the_thread():
    before = threading.active_count()
    source = prefetch(iter(range(100)))
    assert next(source) == 0
    source.close()
    assert threading.active_count() == before
