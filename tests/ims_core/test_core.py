"""Two carriers on in-memory links: what crosses the whole core."""

from __future__ import annotations

import asyncio

from ims_core.core import ImsCore
from ims_core.cx import DeregistrationReason
from ims_core.store.memory import MemoryStore
from ims_core.store.subscribers import AuthenticationScheme
from ims_core.transport.link import Transport
from ims_core.transport.sip_stack import Hop
from ims_core.wire.reginfo import RegInfo
from ims_core.wire.sip.address_headers import Contact, PAssertedIdentity, Route, To, Via
from ims_core.wire.sip.aka import Usim
from ims_core.wire.sip.core_headers import SubscriptionState
from ims_core.wire.sip.dialog import Dialog
from ims_core.wire.sip.message import Request, Response
from ims_core.wire.sip.parser import parse_datagram
from tests.support.ims_lab import BLUE, OPC, RED, Agent, K, Lab, lab_story, plain_subscriber, subscriber

ALICE, BOB, CAROL = subscriber(RED, 101), subscriber(BLUE, 152), plain_subscriber(RED, "carol")
DAVE, AKA = plain_subscriber(BLUE, "dave"), subscriber(RED, 103, AuthenticationScheme.AKA_V1_MD5)
SHA = subscriber(RED, 104, AuthenticationScheme.DIGEST_SHA_256)
ALL = ((ALICE, CAROL, AKA, SHA), (BOB, DAVE))
INSTANCE = "urn:gsma:imei:00499901-000101-0"
CPM = (
    ("P-Preferred-Service", "urn:urn-7:3gpp-service.ims.icsi.oma.cpm.msg"),
    ("Accept-Contact", '*;+g.3gpp.icsi-ref="urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.msg"'),
)


async def registered(lab: Lab, name: str, host: str, subscription: object, **more: object) -> Agent:
    phone = await lab.ue(name, host, subscription, **more)
    response = await phone.register()
    assert response.status == 200, response.encode().decode()
    return phone


def relay(server: Agent) -> None:
    """Makes *server* do what a messaging server does with MESSAGE: a request of its own along the rest of the Route."""

    def take(request: Request, transaction: object) -> None:
        if request.method not in ("MESSAGE", "OPTIONS") or transaction is None:
            if transaction is not None:
                transaction.respond(server.reply(request))
            return
        onward = request.edit().remove("Via", "Record-Route").pop("Route").set("Call-ID", server.tokens.word(60))
        fresh = onward.set("Max-Forwards", "70").done()
        hop = lab_hop(server, fresh)
        server.stack.send_request(
            fresh,
            hop,
            lambda outcome: transaction.respond(
                server.reply(request, outcome.status if isinstance(outcome, Response) else 503)
            ),
        )

    server.on_request = take


def lab_hop(agent: Agent, request: Request) -> Hop:
    hop = agent.lab.names.hop(request.require(Route))
    assert hop is not None
    return hop


# --- registration ----------------------------------------------------------------------------------------------------


def test_a_plain_sip_client_registers_with_digest() -> None:
    async def tell(lab: Lab) -> None:
        phone = await lab.ue("carol", "192.0.2.30", CAROL)
        response = await phone.register()
        assert response.status == 200
        assert response.text("P-Associated-URI") == f"<sip:carol@{RED}>"
        assert "rspauth" in (response.text("Authentication-Info") or "")
        assert response.require(Via).params.get("keep") == "120"
        assert lab.red.is_registered(f"sip:carol@{RED}")

    lab_story(tell, subscribers=ALL)


def test_sha_256_and_aka_subscribers_register() -> None:
    async def tell(lab: Lab) -> None:
        for name, host, subscription in (("sha", "192.0.2.14", SHA), ("aka", "192.0.2.13", AKA)):
            phone = await lab.ue(name, host, subscription, instance=INSTANCE)
            assert (await phone.register()).status == 200
            assert phone.client is not None
            assert phone.client.challenge.hash_algorithm.name == subscription.scheme.value
            assert phone.client.challenge.ck is None

    lab_story(tell, subscribers=ALL)


def test_a_usim_ahead_of_the_network_resynchronises() -> None:
    async def tell(lab: Lab) -> None:
        phone = await lab.ue("aka", "192.0.2.13", AKA)
        assert phone.usim is not None
        phone.usim = Usim(K, OPC, sqn=0x1000)
        assert (await phone.register()).status == 200

    lab_story(tell, subscribers=ALL)


def test_wrong_passwords_are_refused_with_403_at_the_third_try() -> None:
    async def tell(lab: Lab) -> None:
        phone = await lab.ue("carol", "192.0.2.30", CAROL)
        phone.secret = "guess"
        assert (await phone.register()).status == 403
        assert not lab.red.is_registered(f"sip:carol@{RED}")

    lab_story(tell, subscribers=ALL)


def test_an_unknown_user_is_refused_with_403() -> None:
    async def tell(lab: Lab) -> None:
        phone = await lab.ue("mallory", "192.0.2.66", plain_subscriber(RED, "mallory"))
        assert (await phone.register()).status == 403

    lab_story(tell, subscribers=ALL)


def test_third_party_registers_carry_the_register_and_its_200() -> None:
    async def tell(lab: Lab) -> None:
        messaging, gateway, _, _ = await lab.servers()
        await registered(lab, "alice", "192.0.2.11", ALICE, instance=INSTANCE)
        await asyncio.sleep(1)
        for server in (messaging, gateway):
            (told,) = server.received("REGISTER")
            assert told.text("To") == f"<sip:+12025550101@{RED}>"
            assert told.text("Expires") == "3600"
            parts = [part.partition(b"\r\n\r\n")[2] for part in told.body.split(b"--3p-")[1:3]]
            embedded, answer = (parse_datagram(part.removesuffix(b"\r\n")) for part in parts)
            assert isinstance(embedded, Request)
            assert isinstance(answer, Response)
            assert embedded.require(Contact).instance == INSTANCE
            assert not embedded.has("Authorization")
            assert answer.status == 200

    lab_story(tell, subscribers=ALL)


def test_the_last_device_that_leaves_is_told_with_expires_0() -> None:
    async def tell(lab: Lab) -> None:
        messaging, _, _, _ = await lab.servers()
        phone = await registered(lab, "alice", "192.0.2.11", ALICE, instance=INSTANCE)
        assert (await phone.register(0)).status == 200
        await asyncio.sleep(1)
        assert [each.text("Expires") for each in messaging.received("REGISTER")] == ["3600", "0"]

    lab_story(tell, subscribers=ALL)


def test_a_binding_that_nobody_refreshes_expires() -> None:
    async def tell(lab: Lab) -> None:
        messaging, _, _, _ = await lab.servers()
        await registered(lab, "alice", "192.0.2.11", ALICE, instance=INSTANCE)
        await asyncio.sleep(3599)
        assert lab.red.is_registered("tel:+12025550101")
        await asyncio.sleep(2)
        assert not lab.red.is_registered("tel:+12025550101")
        assert messaging.received("REGISTER")[-1].text("Expires") == "0"

    lab_story(tell, subscribers=ALL)


def test_the_reg_event_tells_of_registration_and_of_its_end_by_the_network() -> None:
    async def tell(lab: Lab) -> None:
        phone = await registered(lab, "alice", "192.0.2.11", ALICE, instance=INSTANCE)
        subscribe = phone.request(
            "SUBSCRIBE",
            phone.impu,
            (("Event", "reg"), ("Contact", f"<{phone.contact}>"), ("Expires", "600000")),
        )
        assert (await phone.send(subscribe)).status == 200
        await asyncio.sleep(1)
        first = RegInfo.parse(phone.received("NOTIFY")[0].body)
        assert (first.version, first.state, first.registrations[0].state) == (0, "full", "active")
        assert ("+sip.instance", f'"<{INSTANCE}>"') in first.registrations[0].contacts[0].unknown_params
        assert lab.red.deregister("tel:+12025550101", DeregistrationReason.PROBATION)
        await asyncio.sleep(1)
        last = phone.received("NOTIFY")[-1]
        contact = RegInfo.parse(last.body).registrations[0].contacts[0]
        assert (contact.state, contact.event, contact.retry_after) == ("terminated", "probation", 30)
        assert last.require(SubscriptionState).state == "terminated"
        assert not lab.red.is_registered(phone.impu)
        assert (await phone.message("tel:+12025550152")).status == 403

    lab_story(tell, subscribers=ALL)


def test_a_second_device_does_not_replace_the_first() -> None:
    async def tell(lab: Lab) -> None:
        one = await registered(lab, "alice-1", "192.0.2.11", ALICE, instance="urn:uuid:1")
        two = await lab.ue("alice-2", "192.0.2.12", ALICE, instance="urn:uuid:2")
        response = await two.register()
        assert len(response.texts("Contact")) == 2
        carol = await registered(lab, "carol", "192.0.2.30", CAROL)
        assert (await carol.message(one.impu)).status == 200
        await asyncio.sleep(1)
        assert len(one.received("MESSAGE")) == len(two.received("MESSAGE")) == 1

    lab_story(tell, subscribers=ALL)


# --- messages --------------------------------------------------------------------------------------------------------


def test_a_message_crosses_both_carriers_and_their_messaging_servers() -> None:
    async def tell(lab: Lab) -> None:
        red_server, _, blue_server, _ = await lab.servers()
        relay(red_server)
        relay(blue_server)
        alice = await registered(lab, "alice", "192.0.2.11", ALICE, instance=INSTANCE)
        bob = await registered(lab, "bob", "192.0.2.22", BOB, instance="urn:uuid:bob")
        request = alice.request("MESSAGE", "tel:+12025550152", CPM, b"hello", content_type="text/plain")
        response = await alice.send(request)
        assert response.status == 200
        (received,) = bob.received("MESSAGE")
        assert received.body == b"hello"
        assert received.request_uri_text == bob.contact
        assert received.text("P-Called-Party-ID") == "<tel:+12025550152>"
        asserted = [str(each.uri) for each in received.get_all(PAssertedIdentity)]
        assert asserted == [alice.impu, "tel:+12025550101"]
        assert received.text("P-Asserted-Service") == CPM[0][1]
        assert not received.has("P-Preferred-Service")
        assert not received.has("P-Charging-Vector")
        assert len(red_server.received("MESSAGE")) == len(blue_server.received("MESSAGE")) == 1

    lab_story(tell, subscribers=ALL)


def test_nothing_of_red_is_named_on_the_wire_to_blue() -> None:
    async def tell(lab: Lab) -> None:
        alice = await registered(lab, "carol", "192.0.2.30", CAROL)
        await registered(lab, "dave", "192.0.2.31", DAVE)
        assert (await alice.message(f"sip:dave@{BLUE}")).status == 200
        crossing = [
            record
            for record in lab.records.records
            if (record.source, record.target) == ("red.ibcf", "blue.ibcf") and record.summary.startswith("MESSAGE")
        ]
        assert len(crossing) == 1
        request = parse_datagram(crossing[0].raw)
        assert len(request.texts("Via")) == 1
        assert request.require(Via).host == "127.0.1.13"
        assert f"orig-ioi={RED}" in (request.text("P-Charging-Vector") or "")
        assert crossing[0].reference_point == "Ici"

    lab_story(tell, subscribers=ALL)


def test_plain_sip_clients_reach_each_other_by_sip_uri_over_udp_and_tcp() -> None:
    async def tell(lab: Lab) -> None:
        carol = await registered(lab, "carol", "192.0.2.30", CAROL, transport=Transport.UDP)
        dave = await registered(lab, "dave", "192.0.2.31", DAVE)
        assert (await carol.message(f"sip:dave@{BLUE}")).status == 200
        assert (await dave.message(f"sip:carol@{RED}", b"x" * 2000)).status == 200
        assert [len(each.body) for each in carol.received("MESSAGE")] == [2000]

    lab_story(tell, subscribers=ALL)


def test_options_to_an_offline_user_is_480_and_to_nobody_404() -> None:
    async def tell(lab: Lab) -> None:
        red_server, _, blue_server, _ = await lab.servers()
        relay(red_server)
        alice = await registered(lab, "alice", "192.0.2.11", ALICE)
        blue_server.answer = lambda request: blue_server.reply(request, 480)
        accept = (CPM[1],)
        assert (await alice.send(alice.request("OPTIONS", "tel:+12025550152", accept))).status == 480
        assert len(blue_server.received("OPTIONS")) == 1
        assert (await alice.send(alice.request("OPTIONS", f"sip:dave@{BLUE}"))).status == 480
        for nobody in ("tel:+12025550107", "tel:+12025550157", "tel:+14155550100", f"sip:nobody@{BLUE}"):
            assert (await alice.send(alice.request("OPTIONS", nobody))).status == 404, nobody

    lab_story(tell, subscribers=ALL)


def test_a_link_that_is_out_of_service_is_503_with_retry_after() -> None:
    async def tell(lab: Lab) -> None:
        carol = await registered(lab, "carol", "192.0.2.30", CAROL)
        lab.red.nni_up = False
        response = await carol.message(f"sip:dave@{BLUE}")
        assert (response.status, response.text("Retry-After")) == (503, "30")
        lab.red.nni_up = True
        assert (await carol.message(f"sip:dave@{BLUE}")).status == 480

    lab_story(tell, subscribers=ALL)


def test_an_application_server_that_is_out_of_reach_ends_a_message_with_a_5xx() -> None:
    async def tell(lab: Lab) -> None:
        alice = await registered(lab, "alice", "192.0.2.11", ALICE)
        request = alice.request("MESSAGE", "tel:+12025550152", CPM, b"hello", content_type="text/plain")
        assert (await alice.send(request)).status in (503, 504)
        # OPTIONS goes on without it: the next criterion, then the other carrier, where its server is missing as well
        assert (await alice.send(alice.request("OPTIONS", "tel:+12025550152", (CPM[1],)))).status == 480

    lab_story(tell, subscribers=ALL)


def test_a_service_that_is_not_subscribed_is_403() -> None:
    async def tell(lab: Lab) -> None:
        carol = await registered(lab, "carol", "192.0.2.30", CAROL)
        assert (await carol.message(f"sip:dave@{BLUE}", P_Preferred_Service=CPM[0][1])).status == 403

    lab_story(tell, subscribers=ALL)


def test_a_forged_identity_is_replaced_by_the_default_one() -> None:
    async def tell(lab: Lab) -> None:
        carol = await registered(lab, "carol", "192.0.2.30", CAROL)
        dave = await registered(lab, "dave", "192.0.2.31", DAVE)
        response = await carol.message(
            dave.impu,
            P_Preferred_Identity=f"<sip:+12025550101@{RED}>",
            P_Asserted_Identity=f"<sip:+12025550101@{RED}>",
        )
        assert response.status == 200
        assert dave.received("MESSAGE")[0].texts("P-Asserted-Identity") == (f"<{carol.impu}>",)
        assert response.text("P-Asserted-Identity") == f"<{dave.impu}>"

    lab_story(tell, subscribers=ALL)


def test_who_is_not_registered_gets_403() -> None:
    async def tell(lab: Lab) -> None:
        carol = await lab.ue("carol", "192.0.2.30", CAROL)
        assert (await carol.message(f"sip:dave@{BLUE}")).status == 403

    lab_story(tell, subscribers=ALL)


def test_a_binding_whose_connection_is_gone_is_dropped_and_the_sender_told_480() -> None:
    async def tell(lab: Lab) -> None:
        carol = await registered(lab, "carol", "192.0.2.30", CAROL)
        dave = await registered(lab, "dave", "192.0.2.31", DAVE, instance="urn:uuid:dave")
        await dave.stack.close()
        await asyncio.sleep(1)
        assert (await carol.message(dave.impu)).status == 480
        assert not lab.blue.is_registered(dave.impu)

    lab_story(tell, subscribers=ALL)


def test_a_flow_of_before_a_failure_of_the_p_cscf_names_nothing_after_it_and_the_sender_is_told_480() -> None:
    """RFC 5626 §5.3: its successor numbers its connections anew."""

    async def tell(lab: Lab) -> None:
        carol = await registered(lab, "carol", "192.0.2.30", CAROL)
        dave = await registered(lab, "dave", "192.0.2.31", DAVE, instance="urn:uuid:dave")
        run = lab.blue.pcscf.core.new_icid()
        await lab.blue.stop_node("pcscf")
        await lab.blue.start_node("pcscf")
        assert lab.blue.pcscf.core.new_icid() != run
        assert (await carol.message(dave.impu)).status == 480
        assert not lab.blue.is_registered(dave.impu)

    lab_story(tell, subscribers=ALL)


def test_sms_may_terminate_only_from_the_own_gateway() -> None:
    async def tell(lab: Lab) -> None:
        _, gateway, _, _ = await lab.servers()
        alice = await registered(lab, "alice", "192.0.2.11", ALICE)
        carol = await registered(lab, "carol", "192.0.2.30", CAROL)
        sms = "application/vnd.3gpp.sms"
        refused = carol.request("MESSAGE", "tel:+12025550101", (), b"\x01", content_type=sms)
        assert (await carol.send(refused)).status == 403
        scscf = lab.red.address("scscf")
        headers = (("P-Asserted-Identity", f"<sip:ipsmgw.{RED}>"),)
        gateway.impu, gateway.routes_itself = f"sip:ipsmgw.{RED}", False
        allowed = gateway.request("MESSAGE", "tel:+12025550101", headers, b"\x01", content_type=sms)
        assert (await gateway.send(allowed, Hop(address=scscf))).status == 200
        assert len(alice.received("MESSAGE")) == 1
        mobile_originated = alice.request("MESSAGE", "tel:+12025550199", (), b"\x00", content_type=sms)
        assert (await alice.send(mobile_originated)).status == 200
        assert gateway.received("MESSAGE")[0].text("P-Served-User") == f"<{alice.impu}>;sescase=orig;regstate=reg"

    lab_story(tell, subscribers=ALL)


def test_a_server_delivers_without_criteria_through_term() -> None:
    async def tell(lab: Lab) -> None:
        messaging, _, _, _ = await lab.servers()
        alice = await registered(lab, "alice", "192.0.2.11", ALICE, instance=INSTANCE)
        carol = await registered(lab, "carol", "192.0.2.30", CAROL)
        scscf = lab.red.address("scscf")
        route = (("Route", f"<sip:term@scscf.{RED};lr>"), ("P-Asserted-Identity", "<sip:+12025550152@x>"), CPM[1])
        messaging.impu, messaging.routes_itself = "sip:+12025550152@x", False
        gruu = f"{alice.impu};gr={INSTANCE}"
        request = messaging.request("MESSAGE", gruu, route, b"late", content_type="text/plain")
        assert (await messaging.send(request, Hop(address=scscf))).status == 200
        assert messaging.received("MESSAGE") == []
        assert alice.received("MESSAGE")[0].body == b"late"
        assert (await carol.send(request, Hop(address=scscf))).status == 403

    lab_story(tell, subscribers=ALL)


# --- INVITE ----------------------------------------------------------------------------------------------------------


def test_an_invite_makes_a_dialog_whose_ack_and_bye_follow_the_route() -> None:
    async def tell(lab: Lab) -> None:
        carol = await registered(lab, "carol", "192.0.2.30", CAROL)
        dave = await registered(lab, "dave", "192.0.2.31", DAVE)
        dave.answer = lambda request: dave.reply(request, 200, (("Contact", f"<{dave.contact}>"),))
        invite = carol.request("INVITE", dave.impu, (("Contact", f"<{carol.contact}>"),))
        answer = await carol.send(invite)
        assert answer.status == 200
        dialog = Dialog.as_uac(invite, answer)
        first = lab.names.hop(dialog.route_set[0])
        assert first is not None
        assert dialog.route_set[0].uri.host == "127.0.1.10"
        carol.stack.send_stateless(dialog.ack(invite), carol.hop)
        await asyncio.sleep(1)
        assert len(dave.received("ACK")) == 1
        assert (await carol.send(dialog.request("BYE"))).status == 200
        assert len(dave.received("BYE")) == 1
        assert (await carol.send(dialog.request("BYE"))).status == 481

    lab_story(tell, subscribers=ALL)


def test_the_callee_can_end_the_dialog_too() -> None:
    async def tell(lab: Lab) -> None:
        carol = await registered(lab, "carol", "192.0.2.30", CAROL)
        dave = await registered(lab, "dave", "192.0.2.31", DAVE)

        def accept(request: Request) -> Response:
            return dave.reply(request, 200, (("Contact", f"<{dave.contact}>"),))

        dave.answer = accept
        invite = carol.request("INVITE", dave.impu, (("Contact", f"<{carol.contact}>"),))
        answer = await carol.send(invite)
        received = dave.received("INVITE")[0]
        assert len(received.texts("Record-Route")) == 4  # three of blue, and the border of red
        dialog = Dialog.as_uas(received, answer.require(To).tag or "")
        assert (await dave.send(dialog.request("BYE"))).status == 200
        assert len(carol.received("BYE")) == 1

    lab_story(tell, subscribers=ALL)


def test_a_cancelled_invite_ends_with_487() -> None:
    async def tell(lab: Lab) -> None:
        carol = await registered(lab, "carol", "192.0.2.30", CAROL)
        dave = await registered(lab, "dave", "192.0.2.31", DAVE)
        pending: list[object] = []

        def ring(request: Request, transaction: object) -> None:
            if request.method == "INVITE":
                transaction.respond(dave.reply(request, 180))
                pending.append(transaction)
            elif request.method == "CANCEL":
                transaction.respond(dave.reply(request))
                invite = pending[0].request
                pending[0].respond(dave.reply(invite, 487))

        dave.on_request = ring
        outcomes: list[Response] = []
        invite = carol.request("INVITE", dave.impu, (("Contact", f"<{carol.contact}>"),))
        handle = carol.stack.send_request(invite, carol.hop, outcomes.append)
        await asyncio.sleep(1)
        assert [each.status for each in outcomes] == [100, 180]
        handle.cancel()
        await asyncio.sleep(2)
        assert outcomes[-1].status == 487

    lab_story(tell, subscribers=ALL)


def test_a_dialog_is_released_when_the_registration_ends() -> None:
    async def tell(lab: Lab) -> None:
        carol = await registered(lab, "carol", "192.0.2.30", CAROL)
        dave = await registered(lab, "dave", "192.0.2.31", DAVE)
        dave.answer = lambda request: dave.reply(request, 200, (("Contact", f"<{dave.contact}>"),))
        invite = carol.request("INVITE", dave.impu, (("Contact", f"<{carol.contact}>"),))
        assert (await carol.send(invite)).status == 200
        assert (await carol.register(0)).status == 200
        await asyncio.sleep(1)
        (bye,) = dave.received("BYE")
        assert (bye.text("Reason") or "").startswith("SIP;cause=503")
        assert len(carol.received("BYE")) == 1

    lab_story(tell, subscribers=ALL)


# --- restart ---------------------------------------------------------------------------------------------------------


def test_registrations_and_sequence_numbers_survive_a_restart() -> None:
    async def tell(lab: Lab) -> None:
        carol = await registered(lab, "carol", "192.0.2.30", CAROL, transport=Transport.UDP)
        dave = await registered(lab, "dave", "192.0.2.31", DAVE, transport=Transport.UDP)
        usim = await registered(lab, "aka", "192.0.2.13", AKA)
        await lab.red.close()
        await lab.blue.close()
        red, blue = lab.red, lab.blue
        lab.red, lab.blue = (
            ImsCore(
                core.config,
                network=lab.network,
                clock=lab.clock,
                tokens=lab.tokens.child(f"{core.config.name}-again"),
                trace=lab.trace,
                names=lab.names,
                store=store,
            )
            for core, store in ((red, stores[0]), (blue, stores[1]))
        )
        await lab.red.start()
        await lab.blue.start()
        assert lab.red.is_registered(carol.impu)
        assert (await carol.message(dave.impu)).status == 200
        assert len(dave.received("MESSAGE")) == 1
        usim.client = None
        assert (await usim.register()).status == 200
        assert usim.usim is not None
        assert usim.usim.sqn == 64

    stores = (MemoryStore(), MemoryStore())
    lab_story(tell, subscribers=ALL, stores=stores)


# --- bad input -------------------------------------------------------------------------------------------------------


def test_malformed_and_hostile_requests_are_answered_and_cost_nothing_else() -> None:
    async def tell(lab: Lab) -> None:
        carol = await registered(lab, "carol", "192.0.2.30", CAROL)
        dave = await registered(lab, "dave", "192.0.2.31", DAVE)
        for headers, status in (
            ((("Proxy-Require", "time-travel"),), 420),
            ((("P-Preferred-Identity", "<<>>"),), 400),
            ((("Accept-Contact", "no star;require"),), 400),
        ):
            assert (await carol.send(carol.request("MESSAGE", dave.impu, headers))).status == status, headers
        looping = carol.request("MESSAGE", dave.impu).edit().set("Max-Forwards", "0").done()
        assert (await carol.send(looping)).status == 483
        assert (await carol.send(carol.request("MESSAGE", "mailto:x@y"))).status == 416
        assert (await carol.send(carol.request("FOO", dave.impu))).status == 200
        register = carol.register_request(None, 600).edit().set("Authorization", "Digest username=").done()
        assert (await carol.send(register)).status == 400
        assert (await carol.message(dave.impu)).status == 200

    lab_story(tell, subscribers=ALL)
