"""Properties of the processes that work beside this one."""

import os
import signal
import time

import pytest

from evaluation.crew import crew, unheard


def test_ctrl_c_while_processes_start_is_heard_afterwards() -> None:
    """It must neither be lost nor cut a start in two."""
    told: list[str] = []

    def start() -> None:
        with unheard():
            os.kill(os.getpid(), signal.SIGINT)
            told.append("started")
        told.append("went on")

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # processes of a test run may ignore it
    try:
        with pytest.raises(KeyboardInterrupt):
            start()
    finally:
        signal.signal(signal.SIGINT, before)
    assert told == ["started"]
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])


def test_failure_ends_the_processes_at_once() -> None:
    """Whoever leaves by an error does not wait for work whose result nobody wants."""

    def leave() -> None:
        with crew(1) as (pool, _):
            with unheard():
                pool.submit(time.sleep, 600)
            raise ValueError("enough")

    start = time.monotonic()
    with pytest.raises(ValueError, match="enough"):
        leave()
    assert time.monotonic() - start < 300  # 600 if it waited
