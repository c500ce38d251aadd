"""Queues between the stages: order, bounds, errors, and no way to hang."""

from __future__ import annotations

import threading
import time

import pytest

from lipcore.stream import BackgroundSink, ordered_map

LIMIT_S = 10.0


def within_limit(work):
    """Run in a thread of its own, so that a hang fails the test instead of stopping it."""
    outcome = []

    def run():
        try:
            outcome.append((work(), None))
        except BaseException as error:
            outcome.append((None, error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(LIMIT_S)
    assert not thread.is_alive(), "it hangs"
    result, error = outcome[0]
    if error is not None:
        raise error
    return result


def test_results_come_in_order_whichever_is_done_first():
    def slow_when_even(n):
        time.sleep(0.01 if n % 2 == 0 else 0)
        return n * n

    done = within_limit(lambda: list(ordered_map(slow_when_even, range(30), workers=4)))
    assert done == [n * n for n in range(30)]


def test_few_items_are_in_flight():
    taken, given, most = 0, 0, 0

    def items():
        nonlocal taken, most
        for n in range(40):
            taken += 1
            most = max(most, taken - given)
            yield n

    for _ in ordered_map(lambda n: n, items(), workers=3, depth=2):
        time.sleep(0.002)
        given += 1
    assert most <= 3 + 2
    assert given == 40


def test_work_runs_at_once():
    both = threading.Barrier(2)
    within_limit(lambda: list(ordered_map(lambda _: both.wait(LIMIT_S), range(2), workers=2)))


def test_an_error_of_the_work_arrives_at_its_place():
    def fail_at_seven(n):
        if n == 7:
            raise ValueError("seven")
        return n

    seen = []

    def consume():
        for n in ordered_map(fail_at_seven, range(20), workers=3):
            seen.append(n)  # noqa: PERF402 - what came before the error is looked at

    with pytest.raises(ValueError, match="seven"):
        within_limit(consume)
    assert seen == list(range(7))


def test_an_error_of_the_source_arrives():
    def items():
        yield from range(4)
        raise OSError("torn")

    with pytest.raises(OSError, match="torn"):
        within_limit(lambda: list(ordered_map(lambda n: n, items(), workers=2)))


def test_a_consumer_that_stops_early_stops_the_work():
    begun = []

    def work(n):
        begun.append(n)
        return n

    def consume():
        stream = ordered_map(work, iter(range(10_000)), workers=2)
        for n in stream:
            if n == 5:
                break
        stream.close()

    within_limit(consume)
    assert len(begun) <= 5 + 1 + 2 + 2


def test_a_sink_keeps_the_order_and_finishes_before_it_is_left():
    taken = []

    def feed():
        with BackgroundSink(lambda n: (time.sleep(0.001), taken.append(n))) as sink:
            for n in range(50):
                sink.put(n)

    within_limit(feed)
    assert taken == list(range(50))


def test_a_sink_takes_none_and_false_things_for_items():
    taken = []

    def feed():
        with BackgroundSink(taken.append) as sink:
            for item in (0, "", None, False, 1):
                sink.put(item)

    within_limit(feed)
    assert taken == [0, "", None, False, 1]


def test_a_full_sink_makes_the_feeder_wait():
    gate = threading.Event()
    fed = []

    def feed():
        with BackgroundSink(lambda _: gate.wait(LIMIT_S), depth=2) as sink:
            for n in range(8):
                sink.put(n)
                fed.append(n)

    thread = threading.Thread(target=feed, daemon=True)
    thread.start()
    time.sleep(0.2)
    assert len(fed) <= 3
    gate.set()
    thread.join(LIMIT_S)
    assert len(fed) == 8


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt(), SystemExit(3)])
def test_a_sink_whose_work_fails_while_the_queue_is_full_does_not_hang(error):
    gate = threading.Event()

    def work(_):
        gate.wait(LIMIT_S)
        raise error

    def feed():
        with BackgroundSink(work, depth=2) as sink:
            for n in range(3):
                sink.put(n)
            threading.Timer(0.1, gate.set).start()
            for n in range(1000):
                sink.put(n)

    with pytest.raises(type(error)) as caught:
        within_limit(feed)
    assert caught.value is error


def test_an_error_on_the_last_item_is_not_lost():
    def work(n):
        if n == 2:
            raise OSError("disk full")

    def feed():
        with BackgroundSink(work) as sink:
            for n in range(3):
                sink.put(n)

    with pytest.raises(OSError, match="disk full"):
        within_limit(feed)


def test_after_an_error_nothing_more_is_worked_on():
    taken = []

    def work(n):
        taken.append(n)
        raise OSError("disk full")

    def feed():
        with BackgroundSink(work) as sink:
            for n in range(100):
                sink.put(n)

    with pytest.raises(OSError, match="disk full"):
        within_limit(feed)
    assert taken == [0]


def test_an_error_of_the_feeder_is_the_one_that_is_seen_and_queued_items_are_finished():
    taken = []

    def feed():
        with BackgroundSink(lambda n: (time.sleep(0.01), taken.append(n))) as sink:
            for n in range(3):
                sink.put(n)
            raise KeyError("decode")

    with pytest.raises(KeyError, match="decode"):
        within_limit(feed)
    assert taken == [0, 1, 2]
