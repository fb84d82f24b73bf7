"""Statements N02, N03, N04 and N06, and rows of the tables of digest §15.1-§15.4 that no other test shows."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from ims_core.nodes.border_policy import NniPeer, identity_fault
from ims_core.nodes.default_criteria import messaging_profile
from ims_core.nodes.filter_criteria import CriteriaIndex
from ims_core.nodes.number_table import NumberTable
from ims_core.service_profile import DefaultHandling, FilterCriteria, ServiceProfile, SessionCase
from ims_core.transport.sip_stack import Hop, Outcome, ServerTransaction
from ims_core.wire.sip.dialog import Dialog
from ims_core.wire.sip.message import Request, Response
from ims_core.wire.sip.parser import parse_datagram
from rcs_sim.client.message_state import MessageState
from rcs_sim.scenario.world import MemoryWorld
from tests.conformance.stage import ALICE, BOB, Stage, play
from tests.support.ims_lab import BLUE, NUMBERS, RED, Agent, Lab, lab_story, plain_subscriber, subscriber

PHONE, OTHER = subscriber(RED, 101), subscriber(RED, 102)
CAROL, CHUCK, DAVE = plain_subscriber(RED, "carol"), plain_subscriber(RED, "chuck"), plain_subscriber(BLUE, "dave")
ALL = ((PHONE, OTHER, CAROL, CHUCK), (DAVE,))
MSG = "urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.msg"
ACCEPT = f'*;+g.3gpp.icsi-ref="{MSG}";require;explicit'


def request(method: str, *headers: tuple[str, str], uri: str = "tel:+12025550152") -> Request:
    fields = [("From", "<sip:a@x>;tag=1"), ("To", f"<{uri}>"), ("Call-ID", "1"), ("CSeq", f"1 {method}"), *headers]
    return Request.new(method, uri, fields)


async def _up(lab: Lab, name: str, host: str, subscription: object, **more: object) -> Agent:
    agent = await lab.ue(name, host, subscription, **more)  # type: ignore[arg-type]  # forwarded
    assert (await agent.register()).status == 200
    return agent


def _crossing(lab: Lab, source: str, target: str, method: str) -> list[Request]:
    found = [
        parse_datagram(each.raw)
        for each in lab.records.records
        if (each.source, each.target) == (source, target) and each.summary.startswith(f"{method} ")
    ]
    return [each for each in found if isinstance(each, Request)]


# --- criteria --------------------------------------------------------------------------------------------------------


def test_n02_criteria_hold_in_the_order_of_their_priority_whatever_their_order_in_the_profile() -> None:
    criteria = [
        FilterCriteria(
            name=f"c{priority}",
            priority=priority,
            session_cases=frozenset((SessionCase.ORIGINATING,)),
            methods=frozenset(("MESSAGE",)),
            triggers=(),
            as_uri=f"sip:as{priority}.x",
        )
        for priority in (30, 10, 20)
    ]
    index = CriteriaIndex(ServiceProfile("p", tuple(criteria)))
    place, found = 0, []
    while (match := index.first_match(request("MESSAGE"), SessionCase.ORIGINATING, place)) is not None:
        found.append(match[0].name)
        place = match[1]
    assert found == ["c10", "c20", "c30"]


@pytest.mark.parametrize(
    ("case", "message", "wanted"),
    [
        (SessionCase.ORIGINATING, request("MESSAGE", ("Content-Type", "application/vnd.3gpp.sms")), "sms-mo"),
        (SessionCase.ORIGINATING, request("MESSAGE", ("Accept-Contact", f'*;+g.3gpp.icsi-ref="{MSG}"')), "rcs-orig"),
        (SessionCase.TERMINATING, request("MESSAGE", ("Accept-Contact", f'*;+g.3gpp.icsi-ref="{MSG}"')), "rcs-term"),
        (
            SessionCase.TERMINATING_UNREGISTERED,
            request("INVITE", ("P-Asserted-Service", "urn:urn-7:3gpp-service.ims.icsi.oma.cpm.session")),
            "rcs-term",
        ),
        (SessionCase.ORIGINATING, request("OPTIONS", ("Accept-Contact", "*;+g.oma.sip-im")), "rcs-orig-options"),
        (SessionCase.ORIGINATING, request("INVITE", uri="sip:conference-factory@focus.x"), "group-factory"),
        (SessionCase.ORIGINATING, request("REFER", uri="sip:grp-1@focus.x"), "group-focus"),
        (SessionCase.ORIGINATING, request("MESSAGE"), None),
        (SessionCase.TERMINATING, request("MESSAGE", ("Content-Type", "application/vnd.3gpp.sms")), None),
    ],
)
def test_n02_the_default_criteria_are_those_of_the_digest(
    case: SessionCase, message: Request, wanted: str | None
) -> None:
    profile = messaging_profile(
        "rcs", "x", messaging_server="sip:rcsas.x;lr", sms_gateway="sip:ipsmgw.x;lr", focus="sip:focus.x;lr"
    )
    found = CriteriaIndex(profile).first_match(message, case)
    assert (None if found is None else found[0].name) == wanted
    handling = {criterion.name: criterion.default_handling for criterion in profile.criteria}
    assert handling["rcs-orig"] is handling["rcs-term"] is handling["sms-mo"] is DefaultHandling.SESSION_TERMINATED
    assert handling["rcs-orig-options"] is handling["reg-rcs"] is DefaultHandling.SESSION_CONTINUED


# --- forking ---------------------------------------------------------------------------------------------------------


def test_n03_only_contacts_that_say_so_get_what_is_required_explicitly() -> None:
    async def tell(lab: Lab) -> None:
        able, bare = await lab.ue("able", "192.0.2.11", CAROL), await lab.ue("bare", "192.0.2.12", CAROL)
        bare.tags = ";+g.3gpp.smsip"
        for phone in (able, bare):
            await phone.register()
        chuck = await _up(lab, "chuck", "192.0.2.13", CHUCK)
        assert (await chuck.message(able.impu, Accept_Contact=ACCEPT)).status == 200
        assert (len(able.received("MESSAGE")), len(bare.received("MESSAGE"))) == (1, 0)
        assert (await chuck.message(able.impu)).status == 200
        assert (len(able.received("MESSAGE")), len(bare.received("MESSAGE"))) == (2, 1)
        strange = ACCEPT.replace("oma.cpm.msg", "mmtel")
        assert (await chuck.message(able.impu, Accept_Contact=strange)).status == 480

    lab_story(tell, subscribers=ALL)


# --- dialogs ---------------------------------------------------------------------------------------------------------


def test_n04_each_node_that_has_to_stay_is_in_the_route_and_no_other() -> None:
    async def tell(lab: Lab) -> None:
        carol, dave = await _up(lab, "carol", "192.0.2.30", CAROL), await _up(lab, "dave", "192.0.2.31", DAVE)
        dave.answer = lambda received: dave.reply(received, 200, (("Contact", f"<{dave.contact}>"),))
        invite = carol.request("INVITE", dave.impu, (("Contact", f"<{carol.contact}>"),))
        dialog = Dialog.as_uac(invite, await carol.send(invite))
        carol.stack.send_stateless(dialog.ack(invite), carol.hop)
        assert (await carol.send(dialog.request("BYE"))).status == 200
        path = [(each.source, each.target) for each in lab.records.records if each.summary.startswith("BYE ")]
        elements = ["carol", "red.pcscf", "red.scscf", "red.ibcf", "blue.ibcf", "blue.scscf", "blue.pcscf", "dave"]
        assert path == list(itertools.pairwise(elements))

    lab_story(tell, subscribers=ALL)


# --- lost flows ------------------------------------------------------------------------------------------------------


def test_n06_what_a_vanished_phone_did_not_get_is_stored_and_given_to_it_later() -> None:
    async def story(stage: Stage) -> None:
        alice, bob = await stage.alice(), await stage.bob()
        await alice.chat(BOB).send("before").delivered(5)
        await bob.lose_power()
        network = stage.sim.world
        assert isinstance(network, MemoryWorld)
        network.memory_network.reset(bob.config.host)
        message = alice.chat(BOB).send("while away")
        await message.sent(60)
        assert message.state is MessageState.SENT
        assert not stage.sim.carrier("blue").core.is_registered(f"tel:{BOB}")
        await bob.power_on()
        await message.delivered(20)
        assert [each.text for each in bob.chat(ALICE).messages] == ["before", "while away"]

    play(story)


# --- P-CSCF and proxies ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("is_loop", "status"), [(True, 482), (False, 200)])
def test_a_looping_request_is_482_and_a_spiral_is_not(is_loop: bool, status: int) -> None:
    """A server sends the request on as a proxy does, with its Via entries: where it came from, or along its Route."""

    async def tell(lab: Lab) -> None:
        server, _, _, _ = await lab.servers()
        phone, other = await _up(lab, "phone", "192.0.2.11", PHONE), await _up(lab, "other", "192.0.2.12", OTHER)

        def pass_on(request: Request, transaction: ServerTransaction | None) -> None:
            if transaction is None or request.method != "MESSAGE":
                if transaction is not None:
                    transaction.respond(server.reply(request))
                return
            onward = request.edit().pop("Route")
            if is_loop:
                onward.set("Route", phone.service_route[0])
            hop = Hop(address=lab.red.address("scscf"))

            def back(outcome: Outcome) -> None:
                assert isinstance(outcome, Response)
                transaction.respond(server.reply(request, outcome.status))

            server.stack.send_request(onward.done(), hop, back)

        server.on_request = pass_on
        message = phone.request("MESSAGE", other.impu, (("Accept-Contact", ACCEPT),), b"x", content_type="text/plain")
        assert (await phone.send(message)).status == status
        assert len(other.received("MESSAGE")) == (0 if is_loop else 1)

    lab_story(tell, subscribers=ALL)


def test_register_for_another_network_is_504_and_a_malformed_one_400() -> None:
    async def tell(lab: Lab) -> None:
        phone = await lab.ue("carol", "192.0.2.30", CAROL)
        foreign = phone.register_request(None, 600).edit().request_uri("sip:elsewhere.example").done()
        assert (await phone.send(foreign)).status == 504

    lab_story(tell, subscribers=ALL)


def test_a_registration_that_is_too_short_is_423_with_the_shortest() -> None:
    async def tell(lab: Lab) -> None:
        phone = await lab.ue("carol", "192.0.2.30", CAROL)
        refused = await phone.register(30)
        assert (refused.status, refused.text("Min-Expires")) == (423, "60")

    lab_story(tell, subscribers=ALL)


def test_a_nonce_that_is_only_old_is_stale_and_no_failure() -> None:
    async def tell(lab: Lab) -> None:
        phone = await _up(lab, "carol", "192.0.2.30", CAROL)
        await asyncio.sleep(4000)
        assert phone.client is not None
        uri = f"sip:{RED}"
        response = await phone.send(phone.register_request(phone.client.authorize("REGISTER", uri, "c2"), 600))
        assert response.status == 401
        assert "stale=true" in (response.text("WWW-Authenticate") or "").lower()
        assert (await phone.register()).status == 200

    lab_story(tell, subscribers=ALL)


def test_reg_state_of_somebody_else_is_403() -> None:
    async def tell(lab: Lab) -> None:
        carol = await _up(lab, "carol", "192.0.2.30", CAROL)
        headers = (("Event", "reg"), ("Contact", f"<{carol.contact}>"))
        assert (await carol.send(carol.request("SUBSCRIBE", f"sip:chuck@{RED}", headers))).status == 403

    lab_story(tell, subscribers=ALL)


def test_a_number_of_nobody_is_404() -> None:
    async def tell(lab: Lab) -> None:
        carol = await _up(lab, "carol", "192.0.2.30", CAROL)
        assert (await carol.message("tel:+4930123456")).status == 404
        assert (await carol.message("tel:+12025550107")).status == 404

    lab_story(tell, subscribers=ALL)


# --- the border ------------------------------------------------------------------------------------------------------


def test_the_border_lets_in_only_its_peers_and_their_own_identities() -> None:
    async def tell(lab: Lab) -> None:
        dave = await _up(lab, "dave", "192.0.2.31", DAVE)
        stranger = await lab.agent("stranger", "203.0.113.9")
        stranger.impu, stranger.routes_itself = f"sip:carol@{RED}", False
        border = Hop(address=lab.blue.address("ibcf"))
        headers = (("P-Asserted-Identity", f"<sip:carol@{RED}>"),)
        assert (await stranger.send(stranger.request("MESSAGE", dave.impu, headers), border)).status == 403
        assert dave.received("MESSAGE") == []

    lab_story(tell, subscribers=ALL)


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("SUBSCRIBE", (("Event", "presence"), ("Contact", "<sip:x@192.0.2.30>"))),
        ("SUBSCRIBE", (("Event", "reg"), ("Contact", "<sip:x@192.0.2.30>"))),
        ("PUBLISH", (("Event", "presence"),)),
    ],
)
def test_presence_and_registration_state_do_not_cross_the_border(
    method: str, headers: tuple[tuple[str, str], ...]
) -> None:
    async def tell(lab: Lab) -> None:
        carol = await _up(lab, "carol", "192.0.2.30", CAROL)
        assert (await carol.send(carol.request(method, f"sip:dave@{BLUE}", headers))).status == 403

    lab_story(tell, subscribers=ALL)


def test_what_the_core_says_to_itself_stays_inside() -> None:
    async def tell(lab: Lab) -> None:
        carol, dave = await _up(lab, "carol", "192.0.2.30", CAROL), await _up(lab, "dave", "192.0.2.31", DAVE)
        private = {"P_Access_Network_Info": "3GPP-E-UTRAN-FDD", "User_Agent": "x/1", "X_Unknown": "kept"}
        assert (await carol.message(dave.impu, **private)).status == 200
        (crossing,) = _crossing(lab, "red.ibcf", "blue.ibcf", "MESSAGE")
        for name in ("P-Access-Network-Info", "P-Served-User", "P-Called-Party-ID", "Route", "Path"):
            assert not crossing.has(name), name
        assert crossing.text("User-Agent") == "x/1"
        assert crossing.text("X-Unknown") == "kept"
        assert crossing.texts("P-Asserted-Identity") == (f"<{carol.impu}>",)

    lab_story(tell, subscribers=ALL)


@pytest.mark.parametrize(
    ("identity", "is_fault"),
    [
        (f"sip:+12025550101@{RED}", False),
        (f"sip:carol@{RED}", False),
        ("tel:+12025550101", False),
        (f"sip:ipsmgw.{RED}", False),
        (f"sip:+12025550152@{BLUE}", True),
        ("tel:+12025550152", True),
        (f"sip:+12025550152@{RED}", True),
        ("tel:+4930123456", True),
        (f"sip:carol@evil.{BLUE}", True),
        (f"sip:carol@not{RED}", True),
    ],
)
def test_an_identity_that_crosses_is_of_the_peers_domain_and_of_its_numbers(identity: str, is_fault: bool) -> None:
    peer = NniPeer(domain=RED, hosts=frozenset(("127.0.1.13",)))
    asserted = request("MESSAGE", ("P-Asserted-Identity", f"<{identity}>"))
    assert identity_fault(asserted, peer, NumberTable(NUMBERS)) is is_fault


def test_the_answer_says_whose_network_it_is_from_and_the_phone_never_sees_charging() -> None:
    async def tell(lab: Lab) -> None:
        carol, dave = await _up(lab, "carol", "192.0.2.30", CAROL), await _up(lab, "dave", "192.0.2.31", DAVE)
        answer = await carol.message(dave.impu)
        assert not answer.has("P-Charging-Vector")
        assert not dave.received("MESSAGE")[0].has("P-Charging-Vector")
        (sent,) = _crossing(lab, "red.ibcf", "blue.ibcf", "MESSAGE")
        (back,) = [
            parse_datagram(each.raw)
            for each in lab.records.records
            if (each.source, each.target) == ("blue.ibcf", "red.ibcf") and "(MESSAGE)" in each.summary
        ]
        icid = (sent.text("P-Charging-Vector") or "").partition(";")[0]
        assert icid.startswith("icid-value=")
        assert back.text("P-Charging-Vector") == f"{icid};term-ioi={BLUE}"

    lab_story(tell, subscribers=ALL)


@pytest.mark.parametrize("method", ["BYE", "UPDATE"])
def test_a_dialog_that_nobody_knows_is_481(method: str) -> None:
    async def tell(lab: Lab) -> None:
        carol = await _up(lab, "carol", "192.0.2.30", CAROL)
        stray = carol.request(method, f"sip:dave@{BLUE}").edit().set("To", f"<sip:dave@{BLUE}>;tag=none").done()
        assert (await carol.send(stray)).status == 481

    lab_story(tell, subscribers=ALL)
