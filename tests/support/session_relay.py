"""Calls through the stub core: a proxy that stays in the dialog (RFC 3261 §16), so that phones meet by real octets."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ims_core.transport.link import Flow
from ims_core.transport.sip_stack import ClientHandle, Hop, Outcome, ServerTransaction
from ims_core.wire.sip.headers import From, Route, Via
from ims_core.wire.sip.message import Request, Response
from ims_core.wire.sip.transaction import TransactionKey, cancelled_key
from ims_core.wire.sip.uri import parse_uri
from rcs_sim.client.identity import contact_key

if TYPE_CHECKING:
    from tests.support.stub_core import StubCore

__all__ = ["SessionRelay"]

_PRIVATE = ("P-Preferred-Identity", "P-Preferred-Service")


class SessionRelay:
    """*contact_tags* go onto the Contact of each 2xx to INVITE; *edit* changes the descriptions on their way."""

    def __init__(self, core: StubCore) -> None:
        self._core = core
        self._calls: dict[TransactionKey, ClientHandle] = {}
        self.invites: list[Request] = []
        self.requests: list[Request] = []  # inside dialogs, and CANCEL
        self.contact_tags = ""
        self.edit: Callable[[bytes], bytes] = lambda octets: octets

    def received(self, request: Request, server: ServerTransaction | None, flow: Flow) -> None:
        if request.method == "INVITE" and not (request.text("To") or "").partition(";tag=")[1]:
            assert server is not None
            self.invites.append(request)
            self._first(request, server)
            return
        self.requests.append(request)
        if request.method == "CANCEL" and server is not None:
            handle = self._calls.get(cancelled_key(request))
            self._core.stack.reply(server, 481 if handle is None else 200)
            if handle is not None:
                handle.cancel([("Reason", text) for text in request.texts("Reason")])
            return
        self._inside(request, server)

    def _first(self, request: Request, server: ServerTransaction) -> None:
        core = self._core
        sender = contact_key(request.require(From).uri)
        number = contact_key(parse_uri(request.request_uri_text))
        binding = core.bindings.get(number)
        if number in core.barred or binding is None or not binding.flow.is_open:
            core.stack.reply(server, 404 if number in core.barred else 480)
            return
        onward = request.edit().remove("Route", *_PRIVATE).push("Record-Route", f"<sip:{core.host};lr>")
        onward = onward.set("P-Asserted-Identity", f"<sip:{sender}@{core.home}>, <tel:{sender}>")
        onward = onward.request_uri(binding.contact.uri).body(self.edit(request.body))

        def back(outcome: Outcome) -> None:
            if not isinstance(outcome, Response):
                core.stack.reply(server, outcome.status)
                return
            response = outcome.edit().pop(Via)
            if 200 <= outcome.status < 300 and self.contact_tags:
                response = response.set("Contact", f"{outcome.text('Contact')}{self.contact_tags}")
            if outcome.body:
                response = response.body(self.edit(outcome.body))
            if outcome.status > 100:
                server.respond(response.done())

        self._calls[server.key] = core.stack.send_request(onward.done(), Hop(flow=binding.flow), back)

    def _inside(self, request: Request, server: ServerTransaction | None) -> None:
        core = self._core
        binding = next(
            (one for one in core.bindings.values() if one.contact.uri.same_as(request.request_uri)),
            None,
        )
        if binding is None or not binding.flow.is_open:
            if server is not None:
                core.stack.reply(server, 480)
            return
        onward = request.edit().pop(Route).done()
        if server is None:
            core.stack.send_stateless(onward, Hop(flow=binding.flow))
            return

        def back(outcome: Outcome) -> None:
            if isinstance(outcome, Response):
                if outcome.status > 100:
                    server.respond(outcome.edit().pop(Via).done())
            else:
                core.stack.reply(server, outcome.status)

        core.stack.send_request(onward, Hop(flow=binding.flow), back)
