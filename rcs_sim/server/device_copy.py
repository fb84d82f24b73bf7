"""The copy of a message that one device is sent (digest §19.2 step 9, §19.4 step 4)."""

from __future__ import annotations

from ims_core.wire.sip.message import Request
from rcs_sim.server.device_offer import DeviceOffer
from rcs_sim.server.messaging_actions import SendRequest
from rcs_sim.server.part_context import PartContext
from rcs_sim.server.relayed_request import cpim_for_client, to_device
from rcs_sim.server.served_users import asserted_identity

__all__ = ["send_copy", "send_message"]


def send_copy(
    context: PartContext, offer: DeviceOffer, template: Request, identity: str, route: str, now: float
) -> None:
    """Sends *template* to the device of *offer*, in a session if it cannot take it otherwise, and arms the deadline of
    its answer."""
    context.deadlines.arm(now + context.config.device_answer_s, offer)
    by_session = context.ways.by_session
    if by_session is not None and by_session.takes(offer, template):
        by_session.hand_out(offer, template, identity, now)
    else:
        send_message(context, offer, template, identity, route)


def send_message(context: PartContext, offer: DeviceOffer, template: Request, identity: str, route: str) -> None:
    """Sends it as a MESSAGE, by the device's pub-gruu or (without one) by the *identity* of its user."""
    device = offer.device
    mode = context.config.cpim_from(device.instance, device.user_agent)
    request = to_device(
        template,
        identity=identity,
        device=device,
        route=route,
        call_id=f"{context.tokens.word()}@{context.config.domain}",
        body=cpim_for_client(template.body, mode, asserted_identity(template)),
    )
    context.outbox.add(SendRequest(request, offer))
