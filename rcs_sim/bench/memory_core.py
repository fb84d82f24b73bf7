"""What a registered user costs the network in memory: registrations through real octets, from a bare SIP stack.

Run as `python -m rcs_sim.bench.memory_core USERS`; prints one JSON object. All in-memory links, virtual time.
"""

from __future__ import annotations

import asyncio
import json
import sys

from ims_core.core import ImsCore
from ims_core.errors import TransportError
from ims_core.store.subscribers import Subscriber
from ims_core.trace import Trace
from ims_core.transport.link import Address, Flow, Transport
from ims_core.transport.sip_stack import Hop, ServerTransaction, SipStack, StackConfig
from ims_core.transport.virtual_loop import run
from ims_core.wire.digest import DigestClient, parse_challenges
from ims_core.wire.secret import Secret
from ims_core.wire.sip.message import Request, Response
from rcs_sim.bench.processes import BenchError
from rcs_sim.bench.resident import FIRST_NUMBER, bulk_network, resident_kb
from rcs_sim.scenario.lab import Lab
from rcs_sim.scenario.world import MemoryWorld

__all__ = ["measure"]

_WARM_UP = 1000  # users: caches are full then, and arenas taken
_AT_ONCE = 50
_SETTLE_S = 300.0  # simulated: every transaction is over, also those with the timers of a phone (T1 of 2 s)
_HOST = "10.9.9.9"
_PASSWORD = "bench"
_SEED = 7


class _BarePhones:
    """One SIP stack that registers users one after the other and keeps nothing of them."""

    def __init__(self, world: MemoryWorld, core: ImsCore) -> None:
        self._domain = core.config.home_domain
        self._hop = Hop(core.address("pcscf", Transport.TCP))
        config = StackConfig(name="phones", listen=(Address(Transport.TCP, _HOST, 5060),))
        self.stack = SipStack(
            config,
            self,
            network=world.network,
            clock=world.clock,
            tokens=world.tokens.child("phones"),
            trace=world.trace,
            names=world.names,
        )

    async def register(self, number: int) -> None:
        """401, then 200. Raises BenchError for anything else."""
        challenge = await self._ask(number, 1, None)
        self._expect(challenge, 401)
        found = parse_challenges(challenge.texts("WWW-Authenticate"))[0]
        client = DigestClient(found, self.impi(number), Secret.of_text(_PASSWORD))
        credentials = client.authorize("REGISTER", f"sip:{self._domain}", f"{number:08x}")
        self._expect(await self._ask(number, 2, str(credentials)), 200)

    def impi(self, number: int) -> str:
        return f"00101{number % 10**10:010d}@{self._domain}"

    def subscriber(self, number: int) -> Subscriber:
        impus = (f"sip:+{number}@{self._domain}", f"tel:+{number}")
        return Subscriber(
            impi=self.impi(number), implicit_sets=(impus,), msisdn=f"+{number}", password=Secret.of_text(_PASSWORD)
        )

    async def _ask(self, number: int, cseq: int, authorization: str | None) -> Response:
        impu = f"sip:+{number}@{self._domain}"
        headers = [
            ("Max-Forwards", "70"),
            ("From", f"<{impu}>;tag=f{number}"),
            ("To", f"<{impu}>"),
            ("Call-ID", f"{number}-bench"),
            ("CSeq", f"{cseq} REGISTER"),
            ("Contact", f"<sip:{self._user(number)}@{_HOST}:5060;transport=tcp>{self._tags(number)}"),
            ("Supported", "path, gruu"),
            ("Expires", "600000"),
        ]
        if authorization is not None:
            headers.append(("Authorization", authorization))
        outcome = await self.stack.request(Request.new("REGISTER", f"sip:{self._domain}", headers), self._hop)
        if not isinstance(outcome, Response):
            raise BenchError(f"the registration of +{number} got no answer: {outcome}")
        return outcome

    def _user(self, number: int) -> str:
        return f"{number:08x}-2b1c-7c86-7c5e-{number:012x}"

    def _tags(self, number: int) -> str:
        return (
            f';+sip.instance="<urn:gsma:imei:{number % 10**8:08d}-{number % 10**6:06d}-0>"'
            ';+g.3gpp.icsi-ref="urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.msg,'
            'urn%3Aurn-7%3A3gpp-service.ims.icsi.oma.cpm.largemsg";+g.3gpp.smsip'
        )

    def _expect(self, response: Response, status: int) -> None:
        if response.status != status:
            raise BenchError(f"the core answered {response.summary()} in the place of {status}")

    # --- TransactionUser ---------------------------------------------------------------------------------------------

    def request_received(self, request: Request, server: ServerTransaction | None, flow: Flow) -> None:
        if server is not None:
            self.stack.reply(server, 200)

    def stray_response(self, response: Response, flow: Flow) -> None:
        """Nothing is expected."""

    def flow_closed(self, flow: Flow, error: TransportError | None) -> None:
        """The next request opens another."""

    def keep_alive(self, flow: Flow, pong: bool) -> None:
        """Answered by the stack."""


async def measure(users: int) -> dict[str, float]:
    """Memory of one subscription and of one registration, in kB, over *users* of each."""
    world = MemoryWorld(_SEED, Trace())
    lab = Lab(bulk_network(0), world, secrets=world.tokens.child("secrets"), file="bench")
    await lab.start()
    core = lab.carriers["red"].core
    phones = _BarePhones(world, core)
    await phones.stack.start()
    warm = min(users, _WARM_UP)
    await _provision(core, phones, FIRST_NUMBER, warm)
    await _register(phones, FIRST_NUMBER, warm)
    before = resident_kb()
    await _provision(core, phones, FIRST_NUMBER + warm, users)
    provisioned = resident_kb()
    await _register(phones, FIRST_NUMBER + warm, users)
    registered = resident_kb()
    await phones.stack.close()
    await lab.close()
    return {"subscription_kb": (provisioned - before) / users, "registration_kb": (registered - provisioned) / users}


async def _provision(core: ImsCore, phones: _BarePhones, first: int, count: int) -> None:
    for number in range(first, first + count):
        await core.add_subscriber(phones.subscriber(number))


async def _register(phones: _BarePhones, first: int, count: int) -> None:
    for start in range(first, first + count, _AT_ONCE):
        async with asyncio.TaskGroup() as tasks:
            for number in range(start, min(start + _AT_ONCE, first + count)):
                tasks.create_task(phones.register(number), name=f"register {number}")
        print(json.dumps({"done": min(start + _AT_ONCE - first, count), "of": count}), flush=True)
    await asyncio.sleep(_SETTLE_S)


if __name__ == "__main__":
    print(json.dumps(run(lambda: measure(int(sys.argv[1])), clock="virtual")))
