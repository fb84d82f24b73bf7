from __future__ import annotations

from ims_core.carrier import ApplicationServer, CarrierConfig, CoreHosts, Neighbour
from ims_core.transport.link import Address, Transport

HOSTS = CoreHosts.of_network("127.0.1")


def test_a_network_has_its_functions_at_fixed_places() -> None:
    assert (HOSTS.pcscf, HOSTS.icscf, HOSTS.scscf, HOSTS.ibcf) == (
        "127.0.1.10",
        "127.0.1.11",
        "127.0.1.12",
        "127.0.1.13",
    )


def test_the_trust_domain_is_the_core_and_its_servers() -> None:
    config = CarrierConfig(
        name="red",
        home_domain="red.test",
        hosts=HOSTS,
        profiles=(),
        servers=(
            ApplicationServer(host_name="a", addresses=(Address(Transport.TCP, "127.0.1.20", 5060),)),
            ApplicationServer(host_name="g", hosts=frozenset(("127.0.1.30",)), is_sms_gateway=True),
        ),
        neighbours=(Neighbour(domain="blue.test", hosts=frozenset(("127.0.2.13",))),),
    )
    assert config.trusted_hosts() == HOSTS.all() | {"127.0.1.20", "127.0.1.30"}
    assert config.server_hosts(sms_gateways_only=True) == {"127.0.1.30"}
    assert config.element("pcscf") == "red.pcscf"
    assert config.scscf_uri() == "sip:scscf.red.test"
