"""Kamailio as registrar and proxy for emulated phones: an IMS that is not ours."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ims_core.wire.secret import Secret
from rcs_sim.client.message_state import MessageTransport
from rcs_sim.devices.policy import RequestUriForm, SignallingTransport
from rcs_sim.scenario.loader import load_device
from rcs_sim.wire.rcs_configuration import PcscfAddress, RcsConfiguration
from tests.support.peers import kamailio
from tests.support.real_phones import real_phones, received

pytestmark = pytest.mark.interop

_WITHIN_S = 15.0
_DOMAIN, _PASSWORD = "ims.test", "only for this test"
_ALICE, _BOB = "+12025550101", "+12025550102"
_ANDROID = load_device("android")
# Kamailio finds users by their SIP URI, not by tel URIs.
_BY_SIP_URI = replace(_ANDROID, messaging=replace(_ANDROID.messaging, request_uri=RequestUriForm.SIP))


def _configuration(number: str, port: int) -> RcsConfiguration:
    return RcsConfiguration(
        msisdn=number,
        public_identities=(f"sip:{number}@{_DOMAIN}",),
        private_identity=f"{number}@{_DOMAIN}",
        home_domain=_DOMAIN,
        pcscf_addresses=(PcscfAddress("127.0.0.1", port),),
        realm=_DOMAIN,
        user_name=number,
        password=Secret.of_text(_PASSWORD),
        standalone_auth=1,
    )


@pytest.mark.parametrize("transport", [SignallingTransport.TCP, SignallingTransport.UDP])
async def test_phones_register_with_digest_and_exchange_messages_and_receipts(
    transport: SignallingTransport, tmp_path: Path
) -> None:
    device = replace(_BY_SIP_URI, registration=replace(_BY_SIP_URI.registration, transport=transport))
    with kamailio(tmp_path, "registrar.cfg", DOMAIN=_DOMAIN, PASSWORD=_PASSWORD) as port:
        async with real_phones() as phones:
            alice = await phones.add_configured("alice", _configuration(_ALICE, port), device)
            assert alice.is_registered, phones.ladder()
            answers = [
                record.summary.partition(" ")[0] for record in phones.messages("") if "(REGISTER)" in record.summary
            ]
            assert answers == ["401", "200"]
            bob = await phones.add_configured("bob", _configuration(_BOB, port), device)
            sent = alice.chat(_BOB).send("hello bob")
            await received(bob, "hello bob")
            await sent.delivered(_WITHIN_S)
            bob.chat(_ALICE).read()
            await sent.displayed(_WITHIN_S)
            answer = bob.chat(_ALICE).send("hello alice")
            await received(alice, "hello alice")
            await answer.delivered(_WITHIN_S)
            assert sent.transport is answer.transport is MessageTransport.RCS
