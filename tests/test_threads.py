"""Items made in a thread while others are used."""

import threading

import pytest

from grafprint.threads import prefetch


def test_order_and_end():
    assert list(prefetch(iter(range(5)))) == list(range(5))
    assert list(prefetch([])) == []


def test_the_next_is_made_while_one_is_used():
    made = threading.Event()

    def items():
        yield 1
        made.set()
        yield 2

    source = prefetch(items())
    assert next(source) == 1
    assert made.wait(10)
    assert list(source) == [2]


def test_an_error_comes_where_it_would():
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
