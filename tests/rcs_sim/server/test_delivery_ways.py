from __future__ import annotations

from rcs_sim.server.delivery_ways import DeliveryWays
from tests.rcs_sim.server.messaging_lab import Lab, message


def test_without_sessions_everything_goes_by_message() -> None:
    assert DeliveryWays().by_session is None
    lab = Lab()
    lab.register()
    lab.receive(message())
    assert lab.take_one().request.method == "MESSAGE"
