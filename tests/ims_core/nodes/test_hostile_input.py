"""Whatever is sent to a node: it answers or drops it, nothing raises, and the next message is served."""

from __future__ import annotations

import logging
import random

import pytest

from ims_core.trace import RecordKind
from ims_core.transport.link import Flow, Transport
from ims_core.transport.sip_stack import SipStack
from ims_core.wire.sip.grammar import SipParseError
from ims_core.wire.sip.parser import parse_datagram
from tests.support.core_cases import StillFlow
from tests.support.ims_lab import BLUE, RED, Agent, Lab, lab_story, plain_subscriber, subscriber

ALICE, CAROL, DAVE = subscriber(RED, 101), plain_subscriber(RED, "carol"), plain_subscriber(BLUE, "dave")
ALL = ((ALICE, CAROL), (subscriber(BLUE, 152), DAVE))
METHODS = [
    "REGISTER",
    "MESSAGE",
    "OPTIONS",
    "INVITE",
    "ACK",
    "BYE",
    "CANCEL",
    "UPDATE",
    "SUBSCRIBE",
    "NOTIFY",
    "REFER",
    "PUBLISH",
    "PRACK",
    "INFO",
    "FOO",
]
VALUES = (
    *(
        "",
        "<",
        ">",
        "<>",
        '"',
        "*",
        ",",
        ";",
        "a",
        "0",
        "-1",
        "4294967296",
        "é\udc80",
        "\x01",
        "<sip:>",
        "sip:",
        "tel:+1",
    ),
    *("<sip:a@[::1>", "<tel:+>", "<mailto:a@b>", "<sip:a@b;lr>", "<sip:127.0.1.12;lr>", "<sip:127.0.1.10;lr>"),
    *("<sip:dlg@127.0.1.12:5060;lr>", "<sip:orig@127.0.1.12:5060;lr>", "<sip:odi-o0-1-00@127.0.1.12;lr>"),
    *("<sip:term@127.0.1.12:5060;lr>", "<sip:ibcf.x;lr>, <sip:y>", f"<sip:+12025550101@{RED}>"),
    *(f"<sip:carol@{RED}>;tag=x", f"<sip:dave@{BLUE}>;expires=x", "<sip:a@b>;q=9", "*;require;explicit"),
    *(
        '*;+g.x="\\"";require',
        "Digest",
        "Digest x=",
        'Digest username="carol", nonce="x", response="y", uri="", realm="',
    ),
    *("Digest username=a, auts=####, nonce=b, response=c", "icid-value", "ipsec-3gpp;alg=x", "1 MESSAGE"),
    *("99999999999 X", "reg", "presence", "active", "terminated;reason=x", "SIP/2.0/UDP", "message/sip", "a/b;c="),
    *("SIP/2.0/TCP 127.0.1.12:5060;branch=z9hG4bKx", "id;header", "70", "path, sec-agree", "x" * 300),
    *("<sip:" + "a" * 300 + "@b>", ";".join(["a=b"] * 50)),
)
HEADERS = (
    "Via", "From", "To", "Call-ID", "CSeq", "Max-Forwards", "Contact", "Route", "Record-Route", "Path", "Expires",
    "Authorization", "Proxy-Authorization", "Require", "Proxy-Require", "Supported", "Event", "Subscription-State",
    "Accept", "Accept-Contact", "Reject-Contact", "Request-Disposition", "P-Asserted-Identity", "P-Preferred-Identity",
    "P-Preferred-Service", "P-Asserted-Service", "P-Served-User", "P-Called-Party-ID", "P-Charging-Vector",
    "P-Visited-Network-ID", "Privacy", "Security-Client", "Security-Verify", "Security-Server", "Service-Route",
    "P-Associated-URI", "WWW-Authenticate", "Session-Expires", "Content-Type", "Content-Length", "Unsupported",
)  # fmt: skip


def mutated(octets: bytes, dice: random.Random) -> bytes:
    """A message with some lines changed, doubled, moved or lost."""
    head, _, body = octets.decode("utf-8", "surrogateescape").partition("\r\n\r\n")
    start, *lines = head.split("\r\n")
    for _ in range(dice.randint(1, 3)):
        place = dice.randrange(len(lines))
        match dice.randrange(6):
            case 0:
                lines[place] = f"{lines[place].partition(':')[0]}: {dice.choice(VALUES)}"
            case 1:
                lines.insert(place, f"{dice.choice(HEADERS)}: {dice.choice(VALUES)}")
            case 2:
                lines.insert(place, dice.choice(lines))
            case 3:
                del lines[place]
                lines = lines or ["X: y"]
            case 4 if not start.startswith("SIP/2.0"):
                start = f"{dice.choice(METHODS)} {dice.choice(VALUES) or 'sip:a'} SIP/2.0"
            case _ if not start.startswith("SIP/2.0"):
                method = dice.choice(METHODS)
                start = f"{method} {start.split(' ')[1]} SIP/2.0"
                lines = [f"CSeq: 1 {method}" if line.startswith("CSeq") else line for line in lines]
    text = "\r\n".join([start, *lines]).replace("branch=z9hG4bK", f"branch=z9hG4bK{dice.randrange(10**9)}", 1)
    return f"{text}\r\n\r\n{body}".encode("utf-8", "surrogateescape")


def throw(stack: SipStack, octets: bytes, flow: Flow) -> None:
    try:
        message = parse_datagram(octets)
    except SipParseError as fault:
        stack.request_refused(fault, flow)
        return
    stack.message_received(message, flow)


async def ordinary_traffic(lab: Lab) -> tuple[Agent, Agent]:
    """Some of everything, so that there is something to change."""
    carol = await lab.ue("carol", "192.0.2.30", CAROL)
    dave = await lab.ue("dave", "192.0.2.31", DAVE)
    for phone in (carol, dave):
        assert (await phone.register()).status == 200
    contact = ("Contact", f"<{carol.contact}>")
    dave.answer = lambda request: dave.reply(request, 200, (("Contact", f"<{dave.contact}>"),))
    await carol.message(dave.impu)
    await carol.send(carol.request("SUBSCRIBE", carol.impu, (("Event", "reg"), contact)))
    await carol.send(carol.request("INVITE", dave.impu, (contact,)))
    await carol.send(carol.request("OPTIONS", "tel:+12025550152"))
    return carol, dave


@pytest.mark.parametrize("seed", range(4))
def test_nothing_that_arrives_raises_out_of_a_node(seed: int, caplog: pytest.LogCaptureFixture) -> None:
    dice = random.Random(seed)

    async def tell(lab: Lab) -> None:
        carol, dave = await ordinary_traffic(lab)
        seen = [record for record in lab.records.records if record.kind is RecordKind.MESSAGE]
        nodes = {
            f"{core.config.name}.{role}": getattr(core, role) for core in (lab.red, lab.blue) for role in core.ROLES
        }
        hosts = {"red": "127.0.1", "blue": "127.0.2"}
        sources = [f"{prefix}.{last}" for prefix in hosts.values() for last in (10, 11, 12, 13, 20, 30)]
        before = len(lab.records.records)
        for _ in range(1500):
            record = dice.choice(seen)
            name = record.target if record.target in nodes and dice.random() < 0.8 else dice.choice(list(nodes))
            host = record.source_address.rpartition(":")[0] if dice.random() < 0.7 else dice.choice(sources)
            flow: Flow = StillFlow(host, dice.randint(1024, 65535), dice.choice([Transport.TCP, Transport.UDP]))
            if name.endswith("pcscf") and not host.startswith("127."):
                flow = dice.choice(list(nodes[name].core.flows._connections.values()))  # of a registered UE
            throw(nodes[name].stack, mutated(record.raw, dice), flow)
        failures = [
            record.summary
            for record in lab.records.records[before:]
            if record.kind is RecordKind.ERROR and "transaction user failed" in record.summary
        ]
        assert failures == []
        carol.client = dave.client = None
        for phone in (carol, dave):
            assert (await phone.register()).status == 200
        assert (await carol.message(dave.impu)).status == 200

    with caplog.at_level(logging.ERROR):
        lab_story(tell, subscribers=ALL)
    assert [record.getMessage() for record in caplog.records] == []
