from __future__ import annotations

import pytest

from rcs_sim.server.pager_content import read_pager
from rcs_sim.server.server_notices import ServerNotices
from rcs_sim.wire.imdn import ImdnKind, ImdnStatus
from tests.rcs_sim.server.messaging_lab import ALICE, Lab, message


def lab_with_a_receipt() -> Lab:
    lab, original = Lab(), message()
    notices = ServerNotices(lab.core.context)
    notices.report(original, read_pager(original), ImdnKind.DELIVERY, ImdnStatus.FAILED, lab.now)
    lab.run(lab.core.context.outbox.take(lab.now))
    return lab


@pytest.mark.parametrize("status", [408, 480, 500, 503])
def test_one_that_does_not_get_through_is_tried_for_some_hours(status: int) -> None:
    lab = lab_with_a_receipt()
    began = lab.now
    for attempt in range(16):
        sent = lab.take_one()
        assert sent.request.request_uri_text == f"tel:{ALICE}"
        lab.answer(sent, status)
        lab.advance(min(30 * 2**attempt, 1800) + 1)
    assert lab.now - began > 4 * 3600
    assert lab.take() == []
    assert lab.notes[-1].summary == "notice lost"


@pytest.mark.parametrize("status", [200, 202, 403, 404])
def test_one_that_was_taken_or_refused_for_good_is_over(status: int) -> None:
    lab = lab_with_a_receipt()
    lab.answer(lab.take_one(), status)
    lab.advance(600)
    assert lab.take() == []


def test_a_message_without_sender_gets_none() -> None:
    lab, original = Lab(), message()
    nobody = original.edit().set("P-Asserted-Identity", "<<").done()
    ServerNotices(lab.core.context).report(nobody, read_pager(original), ImdnKind.DELIVERY, ImdnStatus.FAILED, 0.0)
    lab.run(lab.core.context.outbox.take(lab.now))
    assert lab.sent == []
