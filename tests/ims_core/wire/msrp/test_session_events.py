from __future__ import annotations

import pytest

from ims_core.errors import LocalProtocolError
from ims_core.wire.msrp.media import Direction, MsrpMedia
from ims_core.wire.msrp.session_events import FailureReason, SessionConfig
from ims_core.wire.msrp.uri import parse_path
from tests.support.msrp_pair import ALICE


def _media(direction: Direction = Direction.SENDRECV, max_size: int | None = None) -> MsrpMedia:
    path = parse_path(ALICE)
    return MsrpMedia(host="10.0.0.1", port=51001, is_tls=False, path=path, direction=direction, max_size=max_size)


def test_without_sdp_everything_is_allowed_up_to_the_own_bound() -> None:
    config = SessionConfig()
    assert (config.sends, config.receives) == (True, True)
    assert (config.most_received, config.most_sent) == (config.max_octets, None)


def test_the_smaller_of_own_size_and_announced_size_bounds_what_is_received() -> None:
    assert SessionConfig(local=_media(max_size=500)).most_received == 500
    assert SessionConfig(local=_media(max_size=5000), max_octets=100).most_received == 100


def test_the_peer_size_bounds_what_is_sent() -> None:
    assert SessionConfig(remote=_media(max_size=500)).most_sent == 500


@pytest.mark.parametrize(
    ("local", "remote", "sends", "receives"),
    [
        (Direction.SENDONLY, Direction.RECVONLY, True, False),
        (Direction.SENDRECV, Direction.SENDONLY, False, True),
        (Direction.INACTIVE, Direction.SENDRECV, False, False),
    ],
)
def test_both_directions_have_to_allow_it(local: Direction, remote: Direction, sends: bool, receives: bool) -> None:
    config = SessionConfig(local=_media(local), remote=_media(remote))
    assert (config.sends, config.receives) == (sends, receives)


@pytest.mark.parametrize(
    "name",
    ["chunk_octets", "window_octets", "burst_octets", "max_queued", "max_unsettled", "max_unsettled_octets"],
)
def test_a_session_that_could_never_send_is_refused(name: str) -> None:
    with pytest.raises(LocalProtocolError):
        SessionConfig(**{name: 0})  # type: ignore[arg-type]  # one of the numbers


def test_what_was_refused_is_not_sent_again_in_a_session() -> None:
    again = {reason for reason in FailureReason if reason.is_resendable}
    assert again == {FailureReason.LOST, FailureReason.TIMED_OUT, FailureReason.QUEUE_FULL}
