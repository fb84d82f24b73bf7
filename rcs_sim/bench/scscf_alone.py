"""Our S-CSCF on UDP sockets with an HSS behind it and nothing before it: what the relay and digest rows drive.

Run as `python -m rcs_sim.bench.scscf_alone SUBSCRIBERS`; prints its port as JSON and ends with its standard input.
"""

from __future__ import annotations

import json
import sys

from ims_core.nodes.hss import Hss, HssConfig
from ims_core.nodes.number_table import NumberTable
from ims_core.nodes.scscf import Scscf, ScscfConfig
from ims_core.service_profile import ServiceProfile
from ims_core.store.subscribers import Subscriber
from ims_core.trace import Trace
from ims_core.transport.link import Address, Transport
from ims_core.transport.name_table import NameTable
from ims_core.transport.sockets import SocketNetwork
from ims_core.transport.tokens import Tokens
from ims_core.transport.virtual_loop import RealClock, run
from ims_core.wire.secret import Secret
from rcs_sim.bench.udp_echo import until_input_ends

__all__ = ["serve"]

_HOST = "127.0.0.1"
_DOMAIN = "bench.test"
_URI = f"sip:scscf.{_DOMAIN}"
_PASSWORD = "bench"


async def serve(subscribers: int) -> None:
    """Serves *subscribers* users, user0 and so on, until standard input ends."""
    clock, tokens = RealClock(), Tokens()
    network = SocketNetwork(clock)
    hss = Hss(_hss_config(subscribers), tokens=tokens.child("hss"))
    scscf = Scscf(
        ScscfConfig(
            name="bench.scscf",
            home_domain=_DOMAIN,
            uri=_URI,
            listen=(Address(Transport.UDP, _HOST, 0),),
            trusted_hosts=frozenset((_HOST,)),
        ),
        NumberTable(()),
        network=network,
        clock=clock,
        tokens=tokens.child("scscf"),
        trace=Trace(),
        names=NameTable(),
        hss=hss,
    )
    await scscf.start()
    print(json.dumps({"port": scscf.stack.address(Transport.UDP).port}), flush=True)
    await until_input_ends()
    await scscf.close()
    await network.close()


def _hss_config(subscribers: int) -> HssConfig:
    return HssConfig(
        home_domain=_DOMAIN,
        scscf=_URI,
        profiles={"sip": ServiceProfile("sip")},
        subscribers=tuple(_subscriber(number) for number in range(subscribers)),
    )


def _subscriber(number: int) -> Subscriber:
    identity = f"user{number}@{_DOMAIN}"
    return Subscriber(
        impi=identity,
        implicit_sets=((f"sip:{identity}",),),
        password=Secret.of_text(_PASSWORD),
        service_profile="sip",
    )


if __name__ == "__main__":
    run(lambda: serve(int(sys.argv[1])), clock="real")
