"""A LineageOS-like phone with its own defaults on `rcs-sim up`: the facts about it that concern pager mode, one by one.

The phone is played twice: by the device profile `lineage-like`, and by a script that writes exactly the octets of such
a client and forgives nothing. Its peer is an emulated phone.
"""

from __future__ import annotations

import http.client
import ipaddress
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4
from xml.etree import ElementTree

import pytest

from ims_core.wire.sip.headers import Path as PathHeader
from ims_core.wire.sip.headers import RecordRoute, ServiceRoute, Via, WwwAuthenticate
from ims_core.wire.sip.message import Request
from ims_core.wire.sip.uri import SipUri
from rcs_sim.client.message_state import MessageState, MessageTransport
from rcs_sim.client.phone import Phone
from rcs_sim.devices.policy import CpimIdentity, DevicePolicy
from rcs_sim.scenario.loader import load_device
from tests.support.lineage_script import (
    CPM_MESSAGE,
    LineageLab,
    LineageScript,
    cpim_text,
    imdn_text,
    lineage_script,
    read_cpim,
)
from tests.support.peers import network_file, rcs_sim_up
from tests.support.raw_phone import RawSubscriber, raw_phone
from tests.support.real_phones import RealPhones, real_phones, received

pytestmark = pytest.mark.interop

_WITHIN_S = 15.0
_TAGGED = f'Accept-Contact: *;+g.3gpp.icsi-ref="{CPM_MESSAGE}"'
_USERS = 40
_ANDROID = load_device("android")
_HASTY = replace(_ANDROID, capability=replace(_ANDROID.capability, answer_wait_s=0))  # sends before OPTIONS is answered
_ANONYMOUS = replace(_HASTY, messaging=replace(_HASTY.messaging, cpim_identity=CpimIdentity.ANONYMOUS))


@pytest.fixture(scope="module")
def _running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[dict[str, Any], Iterator[str]]]:
    folder = tmp_path_factory.mktemp("lineage")
    network = network_file(folder, bulk=_USERS, bulk_service="rcs")
    with rcs_sim_up(folder, network=network, uses_own_ports=True) as (_, document):
        red = document["carriers"]["red"]
        numbers = [one["msisdn"] for one in red["subscribers"] if (one["msisdn"] or "").startswith("+1212")]
        yield red, iter(numbers)


@pytest.fixture
def lab(_running: tuple[dict[str, Any], Iterator[str]]) -> LineageLab:
    red, numbers = _running
    return LineageLab(red, next(numbers), next(numbers))


@asynccontextmanager
async def _with_peer(
    lab: LineageLab, device: DevicePolicy = _HASTY
) -> AsyncIterator[tuple[LineageScript, Phone, RealPhones]]:
    async with real_phones() as phones, lineage_script(lab) as script:
        peer = await phones.add("peer", lab.red, lab.theirs, device)
        assert peer.is_registered, phones.ladder()
        yield script, peer, phones


# --------------------------------------------------------------------------------------------------- the device profile


async def test_the_device_profile_provisions_registers_and_exchanges_messages_with_receipts(lab: LineageLab) -> None:
    async with real_phones() as phones:
        lineage = await phones.add("lineage", lab.red, lab.ours, "lineage-like")
        peer = await phones.add("peer", lab.red, lab.theirs)
        assert lineage.is_registered, phones.ladder()
        sent = lineage.chat(lab.theirs).send("from lineage")
        shown = await received(peer, "from lineage")
        await sent.delivered(_WITHIN_S)
        peer.chat(lab.ours).read()
        await sent.displayed(_WITHIN_S)
        answer = peer.chat(lab.ours).send("to lineage")
        await received(lineage, "to lineage")
        await answer.delivered(_WITHIN_S)
        lineage.chat(lab.theirs).read()
        await answer.displayed(_WITHIN_S)
        assert shown.transport is MessageTransport.RCS
        assert answer.transport is MessageTransport.RCS


# ---------------------------------------------------------------------------------------- row 1: configuration document


def _configuration(acs: str, msisdn: str, imsi: str) -> ElementTree.Element:
    """Two requests over mobile data, as a simple client makes them."""
    address = urlsplit(acs)
    connection = http.client.HTTPConnection(address.hostname or "", address.port or 80, timeout=_WITHIN_S)
    connection.request("GET", "/", headers={"X-MSISDN": msisdn})
    first = connection.getresponse()
    first.read()
    cookie = (first.getheader("Set-Cookie") or "").partition(";")[0]
    query = f"/?vers=0&IMSI={imsi}&rcs_version=11.0&rcs_profile=UP_2.4&client_vendor=Linl&rcs_state=0"
    connection.request("GET", query, headers={"X-MSISDN": msisdn, "Cookie": cookie})
    second = connection.getresponse()
    body = second.read()
    connection.close()
    assert (first.status, second.status) == (200, 200)
    return ElementTree.fromstring(body)


def test_row_1_credentials_stand_in_appauth_of_the_ims_part_and_a_sip_identity_is_there(lab: LineageLab) -> None:
    entry = next(one for one in lab.red["subscribers"] if one["msisdn"] == lab.ours)
    document = _configuration(lab.red["acs"], lab.ours, entry["imsi"])
    (ims,) = (each for each in document.iter("characteristic") if "ap2001" in _parms(each).get("AppID", ()))
    (appauth,) = (each for each in ims.iter("characteristic") if each.get("type") == "APPAUTH")
    credentials = {name: value for name, (value,) in _parms(appauth).items()}
    assert credentials == {
        "AuthType": "Digest",
        "Realm": lab.domain,
        "UserName": entry["impi"],
        "UserPwd": entry["password"],
    }
    identities = [parm.get("value") for parm in ims.iter("parm") if parm.get("name") == "Public_User_Identity"]
    assert [identity for identity in identities if str(identity).startswith("sip:")] == [entry["impu"]]


def _parms(characteristic: ElementTree.Element) -> dict[str, list[str]]:
    """Those of its own, by name."""
    found: dict[str, list[str]] = {}
    for parm in characteristic.findall("parm"):
        found.setdefault(str(parm.get("name")), []).append(str(parm.get("value")))
    return found


# ------------------------------------------------------------------------------------------------ row 2: standard ports


async def test_row_2_the_pcscf_listens_on_5060_of_an_address_of_its_own(lab: LineageLab) -> None:
    assert {lab.red["pcscf"]["tcp"].rpartition(":")[2], lab.red["pcscf"]["udp"].rpartition(":")[2]} == {"5060"}
    async with lineage_script(lab):
        pass  # it dialled that port


# -------------------------------------------------------------------------------------------------- row 3: registration


async def test_row_3_a_challenge_can_be_copied_and_answered_with_another_from_tag(lab: LineageLab) -> None:
    async with raw_phone(lab.red["pcscf"]["tcp"]) as raw:
        script = LineageScript(raw, lab.subscriber())
        challenge, granted = await script.register()
        (offered,) = challenge.get_all(WwwAuthenticate)
        assert (offered.get("qop"), offered.get("algorithm")) == ("auth", "MD5")
        assert offered.get("opaque") is None, "it would have to be echoed"
        assert raw.own in (granted.text("Contact") or "")
        assert "+sip.instance" not in (granted.text("Contact") or "")


# --------------------------------------------------------------------------------- row 4: no Route, two different ports


async def test_row_4_requests_without_service_route_work_and_what_comes_uses_the_registered_connection(
    lab: LineageLab,
) -> None:
    async with _with_peer(lab) as (script, peer, _):
        script.text(f"tel:{lab.theirs}", "no route", f"{uuid4()}")
        await script.raw.response(200, "MESSAGE")
        await received(peer, "no route")
        peer.chat(lab.ours).send("back")
        while read_cpim(arrived := await script.raw.request("MESSAGE"))[1] != "back":
            script.raw.answer(arrived)
        assert arrived.request_uri_text == script.contact.strip("<>")
        assert script.raw.connections == 0


# ----------------------------------------------------------------------------------------------- row 5: de-registration


async def test_row_5_a_deregistration_that_nobody_waits_for_counts_and_messages_are_kept_from_then_on(
    lab: LineageLab,
) -> None:
    async with real_phones() as phones:
        peer = await phones.add("peer", lab.red, lab.theirs)
        async with lineage_script(lab) as script:
            script.deregister()
        message = peer.chat(lab.ours).send("kept for later")
        await message.sent(_WITHIN_S)
        async with lineage_script(lab) as again:
            kept = await again.raw.request("MESSAGE")
            again.raw.answer(kept)
            cpim, content = read_cpim(kept)
            assert content == "kept for later"
            assert message.state is MessageState.SENT
            again.receipt(cpim, "delivery")
            await again.raw.response(200, "MESSAGE")
            await message.delivered(_WITHIN_S)


async def test_row_5_a_refresh_with_the_old_nonce_counts_too(lab: LineageLab) -> None:
    async with lineage_script(lab) as script:
        granted = await script.refresh()
        assert script.raw.own in (granted.text("Contact") or "")


async def test_a_phone_that_vanished_and_came_back_elsewhere_misses_nothing(lab: LineageLab) -> None:
    async with real_phones() as phones:
        peer = await phones.add("peer", lab.red, lab.theirs, _HASTY)
        async with lineage_script(lab) as script:
            script.raw.close()  # no de-REGISTER
        async with lineage_script(lab) as again:
            message = peer.chat(lab.ours).send("found you")
            arrived = await again.raw.request("MESSAGE")
            again.raw.answer(arrived)
            cpim, content = read_cpim(arrived)
            assert content == "found you"
            again.receipt(cpim, "delivery")
            await message.delivered(_WITHIN_S)


# --------------------------------------------------------------------------------------- row 6: pager mode and receipts


@pytest.mark.parametrize("form", ["tel:{number}", "sip:{number}@{domain}"])
async def test_row_6_its_text_is_shown_and_it_gets_receipts_in_cpim(lab: LineageLab, form: str) -> None:
    async with _with_peer(lab) as (script, peer, _):
        message_id = f"{uuid4()}"
        script.text(form.format(number=lab.theirs, domain=lab.domain), "hello", message_id)
        await script.raw.response(200, "MESSAGE")
        await received(peer, "hello")
        peer.chat(lab.ours).read()
        for status in ("delivered", "displayed"):
            receipt = await script.raw.request("MESSAGE")
            script.raw.answer(receipt)
            assert str(receipt.content_type) == "message/cpim"
            cpim, content = read_cpim(receipt)
            assert "imdn.Message-ID" in cpim
            assert f"<{status}/>" in content.replace(" ", "")
            assert message_id in content


@pytest.mark.parametrize("device", [_HASTY, _ANONYMOUS], ids=["named", "anonymous"])
async def test_row_6_what_it_receives_names_the_sender_in_cpim_and_its_receipts_arrive(
    lab: LineageLab, device: DevicePolicy
) -> None:
    async with _with_peer(lab, device) as (script, peer, _):
        message = peer.chat(lab.ours).send("hello lineage")
        arrived = await script.raw.request("MESSAGE")
        script.raw.answer(arrived)
        cpim, content = read_cpim(arrived)
        assert content == "hello lineage"
        assert cpim["From"].strip("<>") in (f"sip:{lab.theirs}@{lab.domain}", f"tel:{lab.theirs}")
        assert cpim["imdn.Message-ID"] == message.id
        assert "positive-delivery" in cpim["imdn.Disposition-Notification"]
        script.receipt(cpim, "delivery")
        await script.raw.response(200, "MESSAGE")
        await message.delivered(_WITHIN_S)
        script.receipt(cpim, "display")
        await message.displayed(_WITHIN_S)


async def test_row_6_a_bare_receipt_comes_in_cpim(lab: LineageLab) -> None:
    async with lineage_script(lab) as script, raw_phone(lab.red["pcscf"]["tcp"]) as raw:
        other = LineageScript(raw, RawSubscriber.of(lab.red, f"sip:{lab.theirs}@"))
        await other.register()
        script.text(f"tel:{lab.theirs}", "hello", "id-of-the-message")
        arrived = await raw.request("MESSAGE")
        raw.answer(arrived)
        await script.raw.response(200, "MESSAGE")
        receipt = raw.head(
            "MESSAGE", script.subscriber.impu, other.subscriber, "Content-Type: message/imdn+xml", _TAGGED
        )
        raw.send(receipt, imdn_text("id-of-the-message", "delivery"))
        wrapped = await script.raw.request("MESSAGE")
        script.raw.answer(wrapped)
        await raw.response(200, "MESSAGE")
        assert str(wrapped.content_type) == "message/cpim"
        cpim, content = read_cpim(wrapped)
        assert cpim["From"].strip("<>") in (other.subscriber.impu, f"tel:{lab.theirs}")
        assert "<message-id>id-of-the-message</message-id>" in content


# ---------------------------------------------------------------------------------- row 9: identifiers and feature tags


async def test_row_9_an_unescaped_urn_with_require_and_explicit_reaches_the_peer_and_missing_ids_are_supplied(
    lab: LineageLab,
) -> None:
    async with _with_peer(lab) as (script, peer, phones):
        target = f"sip:{lab.theirs}@{lab.domain}"
        script.message(target, cpim_text(script.subscriber.impu, target, "no ids", f"{uuid4()}"))
        await script.raw.response(200, "MESSAGE")
        shown = await received(peer, "no ids")
        arrived = next(record for record in phones.messages("MESSAGE") if b"no ids" in record.raw)
        assert arrived.conversation_id
        assert shown.conversation_id


# ----------------------------------------------------------------------------------------- row 10: no answer to OPTIONS


async def test_row_10_silence_to_options_means_neither_no_rcs_nor_a_storm_of_questions(lab: LineageLab) -> None:
    async with _with_peer(lab, _ANDROID) as (script, peer, _):
        message = peer.chat(lab.ours).send("are you there")
        asked = 0
        while (arrived := await script.raw.next()).summary().split()[0] != "MESSAGE":
            asked += isinstance(arrived, Request) and arrived.method == "OPTIONS"
        assert isinstance(arrived, Request)
        script.raw.answer(arrived)
        cpim, content = read_cpim(arrived)
        assert content == "are you there"
        script.receipt(cpim, "delivery")
        await message.delivered(_WITHIN_S)
        assert asked <= 1
        assert message.transport is MessageTransport.RCS
        assert peer.chat(lab.ours).label == "RCS"


# ----------------------------------------------------------------------------------------- row 11: addresses, not names


async def test_row_11_routes_carry_addresses(lab: LineageLab) -> None:
    async with real_phones() as phones, raw_phone(lab.red["pcscf"]["tcp"]) as raw:
        _, granted = await LineageScript(raw, lab.subscriber()).register()
        peer = await phones.add("peer", lab.red, lab.theirs, _HASTY)
        peer.chat(lab.ours).send("hello")
        arrived = await raw.request("MESSAGE")
        raw.answer(arrived)
        routes = [*granted.get_all(PathHeader), *granted.get_all(ServiceRoute), *arrived.get_all(RecordRoute)]
        hosts = [route.uri.host for route in routes if isinstance(route.uri, SipUri)]
        hosts += [via.host for via in arrived.get_all(Via)]
        assert len(hosts) >= 3
        for host in hosts:
            ipaddress.ip_address(host)
