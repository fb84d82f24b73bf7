"""SIPp's scenarios are in the package, and a failed call is noticed."""

from __future__ import annotations

import socket
from importlib.resources import files
from pathlib import Path

import pytest
from lxml import etree

from rcs_sim.bench.sipp import FailedCalls, SippLoad, find_program, free_udp_port, run_sipp
from tests.support.peers import require


@pytest.mark.parametrize("name", ["register.xml", "message.xml", "answer.xml"])
def test_the_scenarios_are_well_formed(name: str) -> None:
    octets = (files("rcs_sim.bench") / "data" / name).read_bytes()
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    assert etree.fromstring(octets, parser).tag == "scenario"


def test_the_body_of_the_message_has_the_length_that_it_says() -> None:
    text = (files("rcs_sim.bench") / "data" / "message.xml").read_text()
    length, _, rest = text.partition("Content-Length: ")[2].partition("Content-Length: ")[2].partition("\n\n")
    assert int(length) == len(rest.partition("\n")[0].strip())


def test_a_port_that_was_found_is_free() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
        link.bind(("127.0.0.1", free_udp_port()))


def test_a_program_that_is_not_there_is_not_found() -> None:
    assert find_program("no-such-program") is None


@pytest.mark.interop
def test_a_call_that_is_refused_fails_the_run(tmp_path: Path) -> None:
    require("sipp")
    from rcs_sim.bench.registrars import own_scscf

    with own_scscf(tmp_path, 1) as registrar:
        own = free_udp_port()
        load = SippLoad(scenario="message.xml", port=registrar.port, count=2, rate=10, local_port=own, contact_port=own)
        with pytest.raises(FailedCalls, match="2 of 2 calls failed"):
            run_sipp(load, tmp_path)
