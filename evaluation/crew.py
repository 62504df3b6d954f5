"""Processes that work beside this one, hear nothing of Ctrl-C, and end when it does."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any

#: Tables here are small: more threads only fight over the cores that other runs use.
ONE_THREAD = {"POLARS_MAX_THREADS": "1", "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}


@contextmanager
def crew(size: int, listen: Callable[[Any], None] | None = None) -> Iterator[tuple[ProcessPoolExecutor, Any]]:
    """Pool of `size` processes of one thread each, and a queue on which they tell; ended at once where the block fails.

    Parameters
    ----------
    size
        Processes at most; hand out the first jobs inside of `unheard`, which starts them.
    listen
        Called in each process with the queue when it starts.
    """
    context = multiprocessing.get_context("spawn")
    news = context.Queue()  # made first: it starts the tracker of resources, which may not happen inside of `unheard`
    others = set(multiprocessing.active_children())
    given: dict[str, Any] = {} if listen is None else {"initializer": listen, "initargs": (news,)}
    with environment(ONE_THREAD), ProcessPoolExecutor(size, mp_context=context, **given) as pool:
        try:
            yield pool, news
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for worker in set(multiprocessing.active_children()) - others:
                worker.terminate()  # nobody waits for a result that nobody wants
            raise


@contextmanager
def unheard() -> Iterator[None]:
    """Ctrl-C waits until the block ends; processes that are started in it never hear of it.

    They inherit the blocked signal. To ignore it here as well would lose a Ctrl-C that comes while processes start, and the
    whole simulation would go on; and where this process has more threads, one of them may be told in place of the main one.
    """
    in_charge = threading.current_thread() is threading.main_thread()  # only it may say what a signal does
    heard: list[int] = []
    handler = signal.signal(signal.SIGINT, lambda number, frame: heard.append(number)) if in_charge else None
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if in_charge:
            signal.signal(signal.SIGINT, handler)
    if heard:
        signal.raise_signal(signal.SIGINT)


@contextmanager
def environment(values: dict[str, str]) -> Iterator[None]:
    """Set environment variables that processes inherit, and put back what was there."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
