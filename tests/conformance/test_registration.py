"""Statements R02, R06, R07, R12, R13 and R16 of the checklist, as far as no test of one module shows them."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from ims_core.cx import DeregistrationReason
from ims_core.store.subscribers import AuthenticationScheme
from ims_core.wire.digest import DigestCredentials
from ims_core.wire.sip.address_headers import Contact, Path, Route, ServiceRoute
from ims_core.wire.sip.aka import AKAV1_MD5
from ims_core.wire.sip.feature_tags import FeatureSet
from ims_core.wire.sip.message import Request
from ims_core.wire.sip.parser import parse_datagram
from rcs_sim.client.registration import RegistrationState
from tests.conformance.stage import ALICE, BOB, Stage, play
from tests.support.ims_lab import BLUE, RED, Agent, Lab, lab_story, plain_subscriber, subscriber

PHONE, AKA = subscriber(RED, 101), subscriber(RED, 103, AuthenticationScheme.AKA_V1_MD5)
DAVE = plain_subscriber(BLUE, "dave")
ALL = ((PHONE, AKA), (DAVE,))
CLIENT = "ipsec-3gpp;alg=hmac-sha-1-96;ealg=aes-cbc;prot=esp;mod=trans;spi-c=1001;spi-s=1002;port-c=50001;port-s=50002"
SEC_AGREE = [("Require", "sec-agree"), ("Proxy-Require", "sec-agree"), ("Security-Client", CLIENT)]


def test_r02_the_contact_names_the_device_and_each_provisioned_service_once() -> None:
    async def story(stage: Stage) -> None:
        alice = await stage.alice()
        contact = stage.requests("REGISTER", "alice")[0].require(Contact)
        names = [name.lower() for name, _ in contact.params]
        assert len(names) == len(set(names))
        assert contact.instance == f"urn:gsma:imei:{alice.config.imei[:8]}-{alice.config.imei[8:14]}-0"
        features = dict(FeatureSet.of_contact(contact).features)
        provisioned = set(alice.config.policy.features.icsi)
        if alice.configuration is not None and not alice.configuration.chat_auth:
            provisioned.discard("ims.icsi.oma.cpm.session")
        expected = {f"urn:urn-7:3gpp-service.{icsi}" for icsi in provisioned}
        assert features["+g.3gpp.icsi-ref"] == expected
        assert {"+g.gsma.rcs.msgrevoke", "+g.3gpp.smsip"} <= features.keys()

    play(story)


def test_r06_what_the_200_names_is_what_requests_follow_from_then_on() -> None:
    async def tell(lab: Lab) -> None:
        phone = await lab.ue("phone", "192.0.2.11", PHONE, instance="urn:uuid:1")
        accepted = await phone.register()
        (path,) = accepted.get_all(Path)
        assert (path.uri.host, path.uri.params.has("ob")) == ("127.0.1.10", True)
        (service_route,) = accepted.get_all(ServiceRoute)
        assert (service_route.uri.user, service_route.uri.host) == ("orig", "127.0.1.12")
        assert accepted.text("P-Associated-URI") == f"<{phone.impu}>, <tel:+12025550101>"
        dave = await lab.ue("dave", "192.0.2.31", DAVE)
        granted = await dave.register()
        skips = phone.request("MESSAGE", dave.impu).edit().set("Route", f"<sip:ibcf.{RED};lr>").done()
        assert (await phone.send(skips)).status == 200
        (onward,) = _crossing(lab, "red.pcscf", "red.scscf", "MESSAGE")
        assert onward.texts("Route") == accepted.texts("Service-Route")
        (to_dave,) = _crossing(lab, "blue.scscf", "blue.pcscf", "MESSAGE")
        assert to_dave.texts("Route") == granted.texts("Path")
        assert dave.received("MESSAGE")[0].texts("Route") == ()

    lab_story(tell, subscribers=ALL)


def _crossing(lab: Lab, source: str, target: str, method: str) -> list[Request]:
    found = [
        parse_datagram(each.raw)
        for each in lab.records.records
        if (each.source, each.target) == (source, target) and each.summary.startswith(method)
    ]
    return [each for each in found if isinstance(each, Request)]


def test_r07_requests_outside_dialogs_go_by_p_cscf_and_service_route() -> None:
    async def story(stage: Stage) -> None:
        alice = await stage.alice()
        await stage.bob()
        await alice.chat(BOB).send("hello").delivered(5)
        assert alice.registration is not None
        assert alice.registration.binding is not None
        service_route = alice.registration.binding.service_route
        for method in ("SUBSCRIBE", "OPTIONS", "MESSAGE"):
            first, *rest = [str(each) for each in stage.requests(method, "alice")[0].get_all(Route)]
            assert first.startswith("<sip:127.0.1.10"), method
            assert tuple(rest) == service_route, method

    play(story)


def test_r12_third_party_registers_follow_every_change() -> None:
    async def tell(lab: Lab) -> None:
        server, _, _, _ = await lab.servers()
        one = await lab.ue("one", "192.0.2.11", PHONE, instance="urn:uuid:1")
        two = await lab.ue("two", "192.0.2.12", PHONE, instance="urn:uuid:2")
        seen: list[tuple[str | None, str]] = []
        for device, expires in ((one, 3600), (two, 3600), (one, 1800), (two, 0), (one, 0)):
            await device.register(expires)
            await asyncio.sleep(1)
            told = server.received("REGISTER")[-1]
            seen.append((told.text("Expires"), device.instance))
            assert device.instance.encode() in told.body
        assert len(server.received("REGISTER")) == 5
        lifetimes = [int(expires or "") for expires, _ in seen]
        assert lifetimes[:2] == [3600, 3600]
        assert lifetimes[2] > 1800  # the other device is there for longer
        assert 1700 < lifetimes[3] <= 1800
        assert lifetimes[4] == 0

    lab_story(tell, subscribers=ALL)


@pytest.mark.parametrize(
    ("reason", "state"),
    [
        (DeregistrationReason.REJECTED, RegistrationState.REFUSED),
        (DeregistrationReason.DEACTIVATED, RegistrationState.REGISTERED),
        (DeregistrationReason.PROBATION, RegistrationState.REGISTERED),
    ],
)
def test_r13_a_phone_does_what_the_reg_event_of_the_core_says(
    reason: DeregistrationReason, state: RegistrationState
) -> None:
    async def story(stage: Stage) -> None:
        alice = await stage.alice()
        core = stage.sim.carrier("red").core
        await asyncio.sleep(1)
        before = len(stage.requests("REGISTER", "alice"))
        assert core.deregister(f"tel:{ALICE}", reason)
        assert not core.is_registered(f"tel:{ALICE}")
        await asyncio.sleep(300)
        assert alice.registration is not None
        assert alice.registration.state is state
        assert core.is_registered(f"tel:{ALICE}") is (state is RegistrationState.REGISTERED)
        assert (len(stage.requests("REGISTER", "alice")) > before) is (state is RegistrationState.REGISTERED)

    play(story)


async def _agreed(lab: Lab) -> tuple[Agent, DigestCredentials, str]:
    """A phone that has got its 401: its answer, and the Security-Server of the P-CSCF."""
    phone = await lab.ue("aka", "192.0.2.13", AKA)
    phone.extra = list(SEC_AGREE)
    uri = f"sip:{RED}"
    challenge = await phone.send(
        phone.register_request(DigestCredentials(phone.impi, RED, uri, algorithm=AKAV1_MD5), 3600)
    )
    assert challenge.status == 401
    server = challenge.text("Security-Server") or ""
    assert server.startswith("ipsec-3gpp;")
    assert "ck=" not in (challenge.text("WWW-Authenticate") or "")
    return phone, phone.credentials_for(challenge, uri), server


def test_r16_an_agreement_that_is_repeated_unchanged_is_protected() -> None:
    async def tell(lab: Lab) -> None:
        phone, credentials, server = await _agreed(lab)
        phone.extra = [*SEC_AGREE, ("Security-Verify", server)]
        accepted = await phone.send(phone.register_request(credentials, 3600))
        assert accepted.status == 200
        phone.service_route = list(accepted.texts("Service-Route"))
        first, second = _crossing(lab, "red.pcscf", "red.icscf", "REGISTER")
        assert 'integrity-protected="no"' in (first.text("Authorization") or "")
        assert 'integrity-protected="yes"' in (second.text("Authorization") or "")
        for name in ("Security-Client", "Security-Verify", "Proxy-Require"):
            assert not second.has(name)
        assert second.text("Require") == "path"
        dave = await lab.ue("dave", "192.0.2.31", DAVE)
        await dave.register()
        assert (await phone.message(dave.impu)).status == 494
        assert (await phone.message(dave.impu, Security_Verify=server)).status == 200
        assert not dave.received("MESSAGE")[0].has("Security-Verify")

    lab_story(tell, subscribers=ALL)


@pytest.mark.parametrize("altered", ["Security-Verify", "Security-Client"])
def test_r16_an_agreement_that_comes_back_changed_is_494(altered: str) -> None:
    async def tell(lab: Lab) -> None:
        phone, credentials, server = await _agreed(lab)
        sent = dict([*SEC_AGREE, ("Security-Verify", server)])
        sent[altered] = sent[altered].replace("hmac-sha-1-96", "hmac-md5-96")
        phone.extra = list(sent.items())
        refused = await phone.send(phone.register_request(credentials, 3600))
        assert refused.status == 494
        assert refused.has("Security-Server")
        assert not lab.red.is_registered(phone.impu)

    lab_story(tell, subscribers=ALL)


def test_r08_a_quiet_phone_stays_on_its_flow_and_refreshes_in_time() -> None:
    async def story(stage: Stage) -> None:
        alice = await stage.alice()
        started = stage.sim.clock.now()
        await asyncio.sleep(86_400)
        registers = [each.at for each in stage.records("alice") if each.summary.startswith("REGISTER")]
        later = [at - started for at in registers if at > started + 1]
        assert all(2990 < after - before < 3010 for before, after in itertools.pairwise([0.0, *later]))
        assert not [each for each in stage.sink.records if "lost" in each.summary]
        assert alice.is_registered

    play(story)
