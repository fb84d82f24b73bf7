"""Passwords, keys, one-time passwords and tokens are in the octets that carry them, and nowhere else: not in what the
trace says about those octets, not in a log at its most talkative, not in the text of any object."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import re
from collections.abc import Iterator

import pytest

import rcs_sim
from ims_core.trace import ListSink, TraceRecord
from ims_core.transport.link import Transport
from rcs_sim.client.phone import Phone
from rcs_sim.scenario.simulation import Simulation
from tests.scenarios.stage import network
from tests.support.plain_client import PlainClient

_FROM_THE_WIRE = re.compile(
    rb'name="token" value="([^"]{6,})"|[?&]token=([^& ;]{6,})|[?&](?i:OTP)=(\d+)|Set-Cookie: [^=]+=([^;\r]{6,})'
)
_DAY_S = 86400.0


@pytest.mark.parametrize("profile", ["google-like", "otp"])
def test_secrets_are_nowhere_but_in_the_octets_that_carry_them(profile: str, caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        sink = ListSink()
        async with Simulation(network(red=profile, blue=profile), sinks=[sink]) as sim:
            said = await _story(sim)
            secrets = dict(_provisioned(sim))
            secrets |= {f"token {text}": {text} for text in _on_the_wire(sink)}
        said += [_without_octets(record) for record in sink.records]
        said += [record.getMessage() for record in caplog.records]
        _assert_absent(secrets, said)
        octets = b"".join(bytes(record.raw) for record in sink.records)
        for name, forms in secrets.items():
            if name.startswith("key"):
                assert not any(form.encode() in octets for form in forms), f"{name} crossed a link"

    with caplog.at_level(logging.DEBUG):
        rcs_sim.run(main, clock="virtual")


async def _story(sim: Simulation) -> list[str]:
    """Provisioning, registrations of each kind, wrong passwords, messages, a refresh of everything; the texts of what
    took part."""
    numbers = {"alice": "+12025550101", "sha": "+12025550104", "aka": "+12025550105"}
    phones = [await sim.add_phone(name, msisdn=number) for name, number in numbers.items()]
    phones.append(await sim.add_phone("bob", "ios", "blue", msisdn="+12025550152", reads_after_s=1.0))
    assert all(phone.is_registered for phone in phones)
    await (await phones[0].chat("+12025550152").send("hello")).displayed(within_s=10)
    await _wrong_passwords(sim)
    await asyncio.sleep(9 * _DAY_S)
    return [*(text for phone in phones for text in _texts_of_phone(phone)), *_texts_of_network(sim)]


async def _wrong_passwords(sim: Simulation) -> None:
    red = sim.carrier("red")
    carol = next(each for each in red.subscribers if each.impi.startswith("carol@"))
    assert carol.password is not None
    proxy, password = red.core.address("pcscf", Transport.TCP), carol.password.octets.decode()
    client = await PlainClient(
        "carol", sim.world.network, "192.0.2.9", proxy, impi=carol.impi, password=password
    ).open()
    client.take_challenge(await client.ask(client.register_octets()))
    await client.ask(client.register_octets(authorization=client.authorization(password="wrong")))
    broken = client.authorization().replace('uri="', "uri=")
    assert (await client.ask(client.register_octets(authorization=broken))).status == 400
    assert (await client.register()).status == 200


def _texts_of_phone(phone: Phone) -> Iterator[str]:
    parts: tuple[object, ...] = (phone, phone.config, phone.configuration, phone.provisioning, phone.registration)
    yield from map(repr, parts)


def _texts_of_network(sim: Simulation) -> Iterator[str]:
    for carrier in sim.lab.carriers.values():
        core = carrier.core
        servers = (carrier.config_server, carrier.messaging_server, carrier.smsc, carrier.ipsmgw)
        yield from map(repr, (carrier, core, core.cx, core.pcscf, core.scscf, core.scscf.registrar, *servers))
        for subscriber in carrier.subscribers:
            yield repr(subscriber)
            yield repr(subscriber.record())


def _provisioned(sim: Simulation) -> Iterator[tuple[str, set[str]]]:
    """Each secret with its name and the forms in which it could show."""
    for carrier in sim.lab.carriers.values():
        for subscriber in carrier.subscribers:
            if subscriber.password is not None:
                yield f"password of {subscriber.impi}", {subscriber.password.octets.decode()}
            for key in (subscriber.k, subscriber.opc):
                if key is not None:
                    octets = key.octets
                    forms = {octets.hex(), octets.hex().upper(), base64.b64encode(octets).decode(), repr(octets)[2:-1]}
                    yield f"key of {subscriber.impi} {len(forms)} {id(key)}", forms


def _on_the_wire(sink: ListSink) -> set[str]:
    """Tokens, one-time passwords and cookies of the configuration servers. A password of six digits is looked for as
    a word of its own."""
    found = {
        group.decode()
        for record in sink.records
        if record.protocol == "HTTP"
        for match in _FROM_THE_WIRE.finditer(bytes(record.raw))
        for group in match.groups()
        if group
    }
    assert found
    return found


def _without_octets(record: TraceRecord) -> str:
    members = json.loads(record.to_json())
    for name in ("raw", "at", "number"):
        members.pop(name, None)
    return json.dumps(members, ensure_ascii=False)


def _assert_absent(secrets: dict[str, set[str]], said: list[str]) -> None:
    text = "\n".join(said)
    for name, forms in secrets.items():
        for form in forms:
            place = re.search(rf"(?<![\w+]){re.escape(form)}(?!\w)", text)
            assert place is None, f"{name} in {text[max(0, place.start() - 200) : place.start()]}"
