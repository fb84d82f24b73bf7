from __future__ import annotations

import pytest

from ims_core.nodes.original_dialog import OriginalDialog, OriginalDialogs
from ims_core.service_profile import SessionCase


@pytest.mark.parametrize(
    "case", [SessionCase.ORIGINATING, SessionCase.TERMINATING, SessionCase.TERMINATING_UNREGISTERED]
)
def test_an_identifier_carries_user_case_and_place(case: SessionCase) -> None:
    dialogs = OriginalDialogs(b"k" * 16)
    assert dialogs.decode(dialogs.encode(4711, case, 3)) == OriginalDialog(4711, case, 3)


@pytest.mark.parametrize("text", ["", "odi-", "odi-o1-1-00", "orig", "odi-" + "x" * 100, "odi-é-1-2"])
def test_what_this_node_did_not_make_means_nothing(text: str) -> None:
    assert OriginalDialogs(b"k" * 16).decode(text) is None


def test_an_identifier_of_another_run_or_a_changed_one_means_nothing() -> None:
    text = OriginalDialogs(b"k" * 16).encode(1, SessionCase.ORIGINATING, 0)
    assert OriginalDialogs(b"x" * 16).decode(text) is None
    assert OriginalDialogs(b"k" * 16).decode(text.replace("odi-o0-1", "odi-t0-1")) is None
