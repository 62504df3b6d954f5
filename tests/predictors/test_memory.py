"""Answers are found again by all that went into them, and by nothing less."""

import numpy as np
import polars as pl
import pytest

from predictors.memory import Memory, content

TABLE = pl.DataFrame({"unit": ["a", "b", None], "price": [1.0, 2.0, None]})
NUMBERS = np.array([0.0, 1.0, 2.0])


def test_the_same_content_is_answered_once() -> None:
    memory, asked = Memory[int](2), []
    for _ in range(3):
        key = content("cvr", TABLE.clone(), NUMBERS.copy())
        assert memory.ask(key, lambda: asked.append(1) or 7) == 7
    assert len(asked) == 1


@pytest.mark.parametrize(
    "other",
    [
        ("ctr", TABLE, NUMBERS),
        ("cvr", TABLE[[1, 0, 2]], NUMBERS),
        ("cvr", TABLE.with_columns(price=pl.Series([1.0, 2.0, 0.0])), NUMBERS),
        ("cvr", TABLE.rename({"price": "cost"}), NUMBERS),
        ("cvr", TABLE, np.nextafter(NUMBERS, 3)),
        ("cvr", TABLE, NUMBERS[:2]),
        ("cvr", TABLE, NUMBERS[:1], NUMBERS[1:]),
    ],
)
def test_any_difference_is_another_question(other: tuple) -> None:
    assert content(*other) != content("cvr", TABLE, NUMBERS)


def test_what_was_asked_longest_ago_is_forgotten_first() -> None:
    memory, asked = Memory[str](2), []

    def ask(name: str) -> str:
        return memory.ask(content(name), lambda: asked.append(name) or name)

    for name in ("a", "b", "a", "c", "a", "b"):
        assert ask(name) == name
    assert asked == ["a", "b", "c", "b"]


def test_a_question_that_fails_is_not_remembered() -> None:
    memory = Memory[int](2)
    with pytest.raises(ZeroDivisionError):
        memory.ask(b"key", lambda: 1 // 0)
    assert memory.ask(b"key", lambda: 3) == 3
