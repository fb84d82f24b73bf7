"""Our MSRP relay on a TCP socket with one bridge of two sides: what the rows on message sessions drive.

Run as `python -m rcs_sim.bench.msrp_relay_alone`; prints the URIs of both sides as JSON, reads those of their peers in
the same way, and ends with its standard input.
"""

from __future__ import annotations

import json
import sys

from ims_core.errors import SimulatorError
from ims_core.nodes.msrp_relay import MsrpRelay, MsrpRelayConfig
from ims_core.reference_points import Bridge, LegEnd
from ims_core.trace import Trace
from ims_core.transport.link import Address, Transport
from ims_core.transport.sockets import SocketNetwork
from ims_core.transport.tokens import Tokens
from ims_core.transport.virtual_loop import RealClock, run
from ims_core.wire.msrp.media import MsrpMedia, Setup
from ims_core.wire.msrp.uri import parse_msrp_uri
from rcs_sim.bench.udp_echo import until_input_ends

__all__ = ["media_at", "serve"]

_HOST = "127.0.0.1"


class _Owner:
    """A `BridgeUser` of a session that has to last."""

    def passed(self, bridge: Bridge, message_id: str) -> None:
        """The load counts."""

    def bridge_ended(self, bridge: Bridge, end: LegEnd) -> None:
        if end.kind.name != "LOST":  # the load has closed its connections
            raise SimulatorError(f"the bridge ended: {end}")


def media_at(uri: str, setup: Setup) -> MsrpMedia:
    """What the SDP of a peer says who has that *uri*."""
    path = parse_msrp_uri(uri)
    return MsrpMedia(host=path.address, port=path.connect_port, is_tls=False, path=(path,), setup=setup, has_cema=True)


async def serve() -> None:
    """The near side is connected to, the far side connects. Serves until standard input ends."""
    clock, tokens = RealClock(), Tokens()
    network = SocketNetwork(clock)
    config = MsrpRelayConfig(name="bench.msrp_relay", listen=(Address(Transport.TCP, _HOST, 0),))
    relay = MsrpRelay(config, network=network, clock=clock, tokens=tokens, trace=Trace())
    await relay.start()
    bridge = relay.bridge(_Owner())
    near = bridge.near.media(is_tls=False, setup=Setup.PASSIVE)
    far = bridge.far.media(is_tls=False, setup=Setup.ACTPASS)
    print(json.dumps({"near": str(near.path[0]), "far": str(far.path[0])}), flush=True)
    peers = json.loads(sys.stdin.buffer.readline())
    bridge.near.open(near, media_at(peers["near"], Setup.ACTIVE), is_offerer=False)
    bridge.far.open(far, media_at(peers["far"], Setup.PASSIVE), is_offerer=True)
    await until_input_ends()
    await relay.close()
    await network.close()


if __name__ == "__main__":
    run(serve, clock="real")
