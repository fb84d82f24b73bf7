"""The bounded memory of parsed values."""

from __future__ import annotations

import pytest

from ims_core.wire.sip.memo import Memo


def test_a_value_is_parsed_once() -> None:
    seen: list[str] = []

    def parse(text: str) -> int:
        seen.append(text)
        return len(text)

    memo: Memo[int] = Memo(parse)
    assert [memo["abc"], memo["abc"], memo["d"]] == [3, 3, 1]
    assert seen == ["abc", "d"]


def test_secrets_and_long_texts_are_not_kept() -> None:
    secrets: Memo[str] = Memo(str.upper, is_kept=False)
    memo: Memo[str] = Memo(str.upper)
    assert secrets["a"] == "A"
    assert memo["x" * 10_000] == "X" * 10_000
    assert len(secrets) == len(memo) == 0


def test_it_stays_bounded() -> None:
    memo: Memo[int] = Memo(int)
    for number in range(10_000):
        assert memo[str(number)] == number
    assert len(memo) <= 512
    small: Memo[int] = Memo(int, most=3)
    assert [small[text] for text in "1234"] == [1, 2, 3, 4]
    assert list(small) == ["4"]


def test_a_refused_text_is_refused_again() -> None:
    memo: Memo[int] = Memo(int)
    for _ in range(2):
        with pytest.raises(ValueError, match="invalid literal"):
            memo["x"]
    assert not memo
