"""Signals are counted and put back."""

import os
import signal
import threading

import pytest

from preceptor.stopping import stop_requests


@pytest.fixture
def elsewhere():
    """How often the handlers that stood before were called."""
    calls = []
    before = {
        number: signal.signal(number, lambda *at: calls.append(at[0])) for number in (signal.SIGTERM, signal.SIGINT)
    }
    yield calls
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(("second_ends", "counted", "passed_on"), [(False, 3, []), (True, 2, [signal.SIGTERM])])
def test_requests_are_counted_and_handlers_put_back(elsewhere, second_ends, counted, passed_on):
    with stop_requests(second_ends=second_ends) as asked:
        for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGINT):
            os.kill(os.getpid(), number)
        assert asked.count == counted
    assert elsewhere == passed_on
    os.kill(os.getpid(), signal.SIGINT)
    assert elsewhere == [*passed_on, signal.SIGINT]


def test_another_thread_counts_nothing(elsewhere):
    counts = []

    def work():
        with stop_requests() as asked:
            os.kill(os.getpid(), signal.SIGTERM)
            counts.append(asked.count)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert counts == [0]
