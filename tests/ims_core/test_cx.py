from __future__ import annotations

import pytest

from ims_core.cx import CxResult, MultimediaAuthAnswer
from ims_core.wire.secret import Secret


@pytest.mark.parametrize("result", CxResult)
def test_errors_are_no_successes(result: CxResult) -> None:
    is_error = "ERROR" in result.value or result in (CxResult.AUTHORIZATION_REJECTED, CxResult.UNABLE_TO_COMPLY)
    assert result.is_success is not is_error


def test_an_answer_shows_no_secret() -> None:
    assert "abc" not in repr(MultimediaAuthAnswer(CxResult.SUCCESS, ha1=Secret.of_text("abc")))
