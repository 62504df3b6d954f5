"""The name that a change is kept under."""

import getpass

import pytest

from cli.author import author


def test_a_given_name_is_kept_and_none_is_the_login_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(getpass, "getuser", lambda: "login")
    assert [author(name) for name in ("Ada Lovelace", None, "", " ")] == ["Ada Lovelace", "login", "login", "login"]


@pytest.mark.parametrize("error", [ImportError, KeyError, OSError])
def test_a_machine_without_names_does_not_keep_anyone_from_stopping(
    error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody() -> str:
        raise error

    monkeypatch.setattr(getpass, "getuser", nobody)
    assert author(None) == "unknown"
