"""Times of day of live sound, across interruptions."""

from datetime import datetime, timedelta

from grafprint.audio.sound_clock import SoundClock, now

NOON = datetime.fromisoformat("2026-05-01T12:00:00+02:00")


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def test_an_interruption_moves_what_comes_later():
    clock = SoundClock()
    clock.mark(0.0, NOON)
    clock.mark(100.0, after(160))  # a minute is missing
    assert clock.began(30.0) == clock.ended(30.0) == after(30)
    assert clock.began(130.0) == clock.ended(130.0) == after(190)


def test_what_ends_or_begins_at_an_interruption_is_on_its_side_of_it():
    clock = SoundClock()
    clock.mark(0.0, NOON)
    clock.mark(100.0, after(160))
    assert clock.ended(100.4) == after(100.4) and clock.ended(99.8) == after(99.8)
    assert clock.began(99.8) == after(160) and clock.began(100.4) == after(160.4)


def test_times_before_the_oldest_mark_count_from_it():
    clock = SoundClock()
    clock.mark(10.0, NOON)
    assert clock.began(4.0) == clock.ended(4.0) == after(-6)
    for number in range(2000):
        clock.mark(20.0 + number, after(20.0 + number))
    assert clock.ended(2000.0) == after(2000)


def test_without_a_mark_the_sound_begins_now():
    clock = SoundClock()
    assert abs((clock.began(5.0) - now()).total_seconds() - 5) < 60
