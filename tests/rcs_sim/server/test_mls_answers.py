"""The CPIM of what the focus says (§14.1, §14.4, §16 steps 10 and 12)."""

from __future__ import annotations

from dataclasses import replace

from ims_core.store.mls_conversations import StoredAnswer, StoredFanOut
from rcs_sim.e2ee.content_types import MlsContentType
from rcs_sim.e2ee.epoch_identifier import EpochIdentifier
from rcs_sim.e2ee.mls_headers import FocusHeaders, MlsHeaders
from rcs_sim.e2ee.server_message import AcceptedMessage, decode_server_message
from rcs_sim.server.mls_answers import compose_acceptance, compose_fan_out, compose_pulled, compose_refusal
from rcs_sim.server.mls_pull import PulledState
from rcs_sim.wire.cpim import ANONYMOUS_URI, CpimMessage
from rcs_sim.wire.imdn import Imdn

ID = "MxPyUE4E-JQdOaDAMF6CwzAQ"
GROUP = b"7f3a0c5e-2b91-4d6f-8e10-5c9d2a4b6e01"
STATE = EpochIdentifier(1, 1, b"\x22" * 32)
WHEN = "2026-11-22T10:00:00.000Z"


def answer(reason: str = "", detail: str = "", group_id: bytes = GROUP) -> StoredAnswer:
    return StoredAnswer("12025550101", ID, bytes(32), reason, detail, 1, 1, b"\x22" * 32, group_id)


def test_an_acceptance_has_the_size_of_the_worked_example() -> None:
    for converged, size in ((False, 70), (True, 72)):
        cpim = CpimMessage.parse(compose_acceptance(answer(), converged=converged, message_id="m", date_time=WHEN))
        assert cpim.content_type.essence == "message/mls-rcs-server"
        assert len(cpim.body) == size
        assert decode_server_message(cpim.body) == AcceptedMessage(ID, STATE, converged)
        assert (cpim.message_id, cpim.disposition_notification) == ("m", ())
        assert FocusHeaders.of(cpim).in_reply_to == ID
        assert MlsHeaders.of(cpim).epoch_authenticator == STATE.epoch_authenticator


def test_a_refusal_is_a_negative_notification_with_the_state_of_the_focus() -> None:
    octets = compose_refusal(answer("incorrect-era", "held"), message_id="m", date_time=WHEN)
    cpim = CpimMessage.parse(octets)
    assert cpim.content_type.essence == "message/imdn+xml"
    imdn = Imdn.parse(cpim.body)
    assert (imdn.message_id, imdn.status, imdn.server_failure_reason) == (ID, "failed", "incorrect-era")
    headers = FocusHeaders.of(cpim)
    assert (headers.server_era, headers.server_epoch, headers.server_epoch_authenticator) == (1, 1, b"\x22" * 32)
    assert (headers.group_id, headers.detail, headers.in_reply_to) == (GROUP.decode(), "held", ID)
    assert MlsHeaders.of(cpim) == MlsHeaders(fault=MlsHeaders.of(cpim).fault)  # none of a message


def test_without_a_group_there_is_no_state_to_tell() -> None:
    octets = compose_refusal(answer("mls-group-not-found", group_id=b""), message_id="m", date_time=WHEN)
    headers = FocusHeaders.of(CpimMessage.parse(octets))
    assert (headers.server_era, headers.group_id, headers.detail) == (None, "", "")


FAN_OUT = StoredFanOut("12025550101", ("12025550101",), ID, "c", b"octets", 3, b"\x22" * 32, 0)


def test_a_fan_out_goes_under_the_id_of_the_request() -> None:
    cpim = CpimMessage.parse(compose_fan_out(FAN_OUT, "12025550152", "12025550101", WHEN))
    assert cpim.sender is not None
    assert cpim.sender.uri == cpim.recipients[0].uri == ANONYMOUS_URI
    assert (cpim.message_id, cpim.body, cpim.disposition_notification) == (ID, b"octets", ("negative-delivery",))
    headers = MlsHeaders.of(cpim)
    assert (headers.era_id, headers.fault) == (3, None)


def test_further_devices_of_the_requester_learn_who_asked() -> None:
    cpim = CpimMessage.parse(compose_fan_out(FAN_OUT, "12025550101", "12025550152", WHEN))
    assert cpim.sender is not None
    assert (cpim.sender.uri, cpim.recipients[0].uri) == ("tel:+12025550101", "tel:+12025550152")


def test_sizes_are_those_of_the_worked_example() -> None:
    welcome = replace(FAN_OUT, octets=bytes(3954), era=1)
    assert len(compose_fan_out(welcome, "12025550152", "12025550101", WHEN)) == 4385
    for converged, size in ((False, 519), (True, 521)):
        assert len(compose_acceptance(answer(), converged=converged, message_id=ID, date_time=WHEN)) == size


def test_a_pulled_state_names_the_pull() -> None:
    pulled = PulledState(MlsContentType.GROUP_INFO_REQUEST, b"x")
    cpim = CpimMessage.parse(compose_pulled(pulled, ID, STATE, message_id="m", date_time=WHEN))
    assert (cpim.content_type.essence, FocusHeaders.of(cpim).in_reply_to) == ("message/mls-rcs", ID)
