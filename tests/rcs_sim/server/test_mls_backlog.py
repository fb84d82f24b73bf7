"""What waits for a device and is of no use any more (§14.4)."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from rcs_sim.e2ee.epoch_identifier import EpochIdentifier
from rcs_sim.e2ee.mls_headers import MlsHeaders
from rcs_sim.e2ee.server_message import AcceptedMessage, CommitBundle, RawMlsMessage, encode_server_message
from rcs_sim.server.mailbox import HeldMessage
from rcs_sim.server.mls_backlog import outdated_by
from rcs_sim.server.pager_content import PagerContent, read_content
from rcs_sim.wire.cpim import ANONYMOUS_URI, compose_cpim
from tests.rcs_sim.server.messaging_lab import message

SENDER = "tel:+12025550101"
WELCOME = encode_server_message(CommitBundle(welcome=b"w", ratchet_tree=b"t"))
COMMIT = encode_server_message(CommitBundle(commit=b"c"))
PROPOSAL = encode_server_message(RawMlsMessage(b"p"))
ACCEPTED = encode_server_message(AcceptedMessage("id", EpochIdentifier(1, 1, bytes(32))))


def cpim(body: bytes, era: int, content_type: str = "message/mls-rcs-server") -> bytes:
    return compose_cpim(
        sender=ANONYMOUS_URI,
        recipient=ANONYMOUS_URI,
        message_id="id",
        date_time="2027-01-15T08:00:00.000Z",
        body=body,
        content_type=content_type,
        extra=MlsHeaders(era_id=era, epoch_authenticator=bytes(32)).to_headers(),
    )


def content(body: bytes, era: int) -> PagerContent:
    return read_content("message/cpim", cpim(body, era))


def held(octets: bytes, order: int = 1, sender: str = SENDER) -> HeldMessage:
    request = message(octets).encode()
    return HeldMessage("tel:+1", order, request, sender=sender, message_id="id", stored_at=0.0, expires_at=1.0)


def outdated(new: PagerContent, waiting: Sequence[HeldMessage]) -> list[int]:
    return [each.order for each in outdated_by(new, SENDER, waiting)]


def test_a_newer_welcome_outdates_welcomes_commits_and_proposals_of_older_eras_only() -> None:
    waiting = [
        held(cpim(WELCOME, 1), 1),
        held(cpim(COMMIT, 1), 2),
        held(cpim(PROPOSAL, 1), 3),
        held(cpim(COMMIT, 2), 4),
        held(cpim(ACCEPTED, 1), 5),
        held(cpim(b"sealed", 1, "message/mls"), 6),
        held(cpim(WELCOME, 1), 7, "tel:+9"),
    ]
    assert outdated(content(WELCOME, 2), waiting) == [1, 2, 3]
    assert outdated(content(COMMIT, 2), waiting) == []
    assert outdated(content(WELCOME, 1), waiting) == []


@given(st.binary(max_size=80))
def test_any_body_outdates_nothing_or_by_its_era(body: bytes) -> None:
    assert outdated(content(body, 9), [held(cpim(WELCOME, 1))]) in ([], [1])
    assert outdated(content(WELCOME, 9), [held(cpim(body, 1))]) in ([], [1])
