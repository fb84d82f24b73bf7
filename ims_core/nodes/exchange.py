"""Response context of one request that is being proxied: its branches, and the best answer so far (RFC 3261 §16.7)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from ims_core.nodes.best_response import is_better, with_all_challenges
from ims_core.nodes.decision import Answer, Decision, Discard, Forward, Persist, Reject, ResponseHook, Target
from ims_core.transport.sip_stack import ClientHandle, FailureReason, Hop, Outcome, ServerTransaction
from ims_core.wire.sip.address_headers import Via
from ims_core.wire.sip.grammar import SipParseError
from ims_core.wire.sip.message import HeaderInput, Request, Response

__all__ = ["Exchange", "ExchangeOwner"]


# RFC 4320 §4.2: only for INVITE a 408 is sent. 480 tells the same (digest §8.6), and is not swallowed (choice)
_TIMED_OUT = 'SIP;cause=408;text="Request Timeout"'
_ELSEWHERE: tuple[HeaderInput, ...] = (("Reason", 'SIP;cause=200;text="Call completed elsewhere"'),)  # RFC 3326 §3.1


class ExchangeOwner(Protocol):
    """What an exchange needs of its proxy."""

    def now(self) -> float: ...

    def new_branch(self, received: Request) -> str:
        """The branch to send a copy of *received* with."""
        ...

    def send(self, request: Request, hop: Hop, on_outcome: Callable[[Outcome], None], branch: str) -> ClientHandle: ...

    def ended(self, branch: str) -> None:
        """The transaction with that branch has its final outcome."""
        ...

    def response_to(self, request: Request, rejection: Reject) -> Response: ...

    def call_later(self, delay_s: float, callback: Callable[[], object]) -> Callable[[], None]:
        """Returns what calls it off."""
        ...

    def forget(self, exchange: Exchange) -> None:
        """An INVITE exchange is over."""
        ...

    def respond_when_stored(self, writes: tuple[Persist, ...], server: ServerTransaction, response: Response) -> None:
        """Answers with *response* when *writes* are safe, with 500 if they cannot be."""
        ...

    def accepted(self, branch: str, take: Callable[[Outcome], None]) -> None:
        """A 2xx to an INVITE came on *branch*: *take* wants those that follow, for as long as there can be some."""
        ...

    def perform(self, actions: tuple[object, ...]) -> None: ...

    def report(self, message: Request | Response, error: SipParseError) -> None:
        """Traces what could not be read."""
        ...


class _Branch:
    """One client transaction."""

    __slots__ = ("exchange", "handle", "hook", "is_final", "name", "target")

    def __init__(self, exchange: Exchange, name: str, target: Target, hook: ResponseHook | None) -> None:
        self.exchange = exchange
        self.name = name
        self.target = target
        self.hook = hook
        self.handle: ClientHandle | None = None
        self.is_final = False

    def take(self, outcome: Outcome) -> None:
        if not isinstance(outcome, Response):
            return self.exchange.take_failure(self, outcome)
        try:
            self.exchange.take_response(self, outcome)
        except SipParseError as error:
            self.exchange.take_malformed(self, outcome, error)
        return None


class Exchange:
    """Runs the branches of one request and answers its server transaction."""

    __slots__ = (
        *("_best", "_branches", "_call_off", "_is_cancelled", "_losers", "_owner", "_pending"),
        *("_timer_c_s", "_waiting", "is_done", "is_invite", "key", "server"),
    )

    def __init__(self, owner: ExchangeOwner, server: ServerTransaction, timer_c_s: float) -> None:
        self.server = server
        self.is_invite = server.request.method == "INVITE"
        self.is_done = False
        self.key: tuple[str, str] | None = None  # of an INVITE, for the CANCEL to find it
        self._owner = owner
        self._timer_c_s = timer_c_s
        self._pending = 0
        self._waiting: list[tuple[Target, ResponseHook | None]] = []
        self._branches: list[_Branch] = []
        self._best: Response | None = None
        self._losers: list[Response] = []
        self._call_off: Callable[[], None] | None = None
        self._is_cancelled = False

    # --- sending -----------------------------------------------------------------------------------------------------

    def forward(self, forward: Forward) -> None:
        """Starts the branches of *forward*; also called again when a hook asks for more."""
        if self._is_cancelled:
            return self._finish_if_idle()
        targets = forward.targets
        if forward.is_sequential and len(targets) > 1:
            self._waiting = [(target, forward.hook) for target in targets[1:]] + self._waiting
            targets = targets[:1]
        self._pending += len(targets)
        for target in targets:
            name = self._owner.new_branch(self.server.request)
            branch = _Branch(self, name, target, forward.hook)
            if self.is_invite:
                self._branches.append(branch)
                self._restart_timer_c()
            branch.handle = self._owner.send(target.request, target.hop, branch.take, name)
        self._finish_if_idle()
        return None

    def cancel(self, headers: Iterable[HeaderInput] = ()) -> None:
        """The caller sent CANCEL: every pending branch is cancelled, and 487 comes back from them (RFC 3261 §16.10).

        *headers*, such as the Reason of that CANCEL, go into those that are sent."""
        self._is_cancelled = True
        self._waiting.clear()
        self._cancel_all(tuple(headers))

    def _cancel_all(self, headers: tuple[HeaderInput, ...] = ()) -> None:
        for branch in self._branches:
            if not branch.is_final and branch.handle is not None:
                branch.handle.cancel(headers)

    # --- receiving ---------------------------------------------------------------------------------------------------

    def take_response(self, branch: _Branch, response: Response) -> None:
        status = response.status
        if status < 200:
            self._take_provisional(branch, response)
        elif status < 300:
            self._take_success(branch, response)
        else:
            self._take_final(branch, response, response)

    def take_failure(self, branch: _Branch, outcome: Outcome) -> None:
        """No answer counts as 408, a broken link as 503 (RFC 3261 §16.7, §8.1.3.1)."""
        is_timeout = not isinstance(outcome, Response) and outcome.reason is FailureReason.TIMEOUT
        rejection = Reject(408 if is_timeout else 503)
        self._take_final(branch, outcome, self._owner.response_to(self.server.request, rejection))

    def take_malformed(self, branch: _Branch, response: Response, error: SipParseError) -> None:
        """A response with a header that had to be read and could not: it is dropped, a final one counts as 502."""
        self._owner.report(response, error)
        if response.status >= 200:
            self._end(branch)
            if not self.is_done:
                self._keep(self._owner.response_to(self.server.request, Reject(502)))
            self._finish_if_idle()

    def _take_provisional(self, branch: _Branch, response: Response) -> None:
        if response.status == 100 or not self.is_invite or self.is_done:
            return  # 100 is for one hop; other requests have no provisional answer but 100 (RFC 4320 §4.1)
        self._restart_timer_c()
        self.server.respond(self._on_way_back(branch, response))

    def _take_success(self, branch: _Branch, response: Response) -> None:
        if self.is_done and not self.is_invite:
            return
        if self.is_invite and not branch.is_final:
            self._owner.accepted(branch.name, branch.take)
        self._end(branch)
        response = self._on_way_back(branch, response)
        writes = () if branch.hook is None else branch.hook.take_writes()
        if writes:
            self._owner.respond_when_stored(writes, self.server, response)
        else:
            self.server.respond(response)  # each 2xx to INVITE: RFC 3261 §16.7 step 5
        self.is_done = True
        self._waiting.clear()
        self._cancel_all(_ELSEWHERE)
        self._finish_if_idle()

    def _take_final(self, branch: _Branch, outcome: Outcome, response: Response) -> None:
        self._end(branch)
        if self.is_done:
            return self._finish_if_idle()
        decision = None
        if branch.hook is not None and not self._is_cancelled:
            decision = branch.hook.replace(outcome, branch.target, self._owner.now())
        if decision is None:
            self._keep(self._on_way_back(branch, response) if isinstance(outcome, Response) else response)
        else:
            self._follow(decision)
        self._finish_if_idle()
        return None

    def _follow(self, decision: Decision) -> None:
        match decision:
            case Forward():
                self.forward(decision)
            case Reject():
                self._keep(self._owner.response_to(self.server.request, decision))
            case Answer(response, actions):
                self._keep(response)
                self._owner.perform(actions)
            case Discard():
                pass
            case _:
                self._keep(self._owner.response_to(self.server.request, Reject(500)))

    def _keep(self, response: Response) -> None:
        """Remembers the better of two; a 6xx ends the search (RFC 3261 §16.7 step 5)."""
        if response.status >= 600:
            self._waiting.clear()
            self._cancel_all((("Reason", f"SIP;cause={response.status}"),))
        if self._best is None or is_better(response.status, self._best.status):
            self._best, response = response, self._best or response
        if response.status in (401, 407) and response is not self._best:
            self._losers.append(response)

    def _on_way_back(self, branch: _Branch, response: Response) -> Response:
        hook = branch.hook
        if hook is None or not hook.EDITS:
            return response.without_top_via()
        editor = response.edit().pop(Via)
        hook.edit(editor, response, branch.target)
        return editor.done()

    def _end(self, branch: _Branch) -> None:
        if not branch.is_final:
            branch.is_final = True
            self._owner.ended(branch.name)
            self._pending -= 1

    def _finish_if_idle(self) -> None:
        if self._pending:
            return
        if self._waiting:
            target, hook = self._waiting.pop(0)
            return self.forward(Forward((target,), hook))
        if not self.is_done:
            self.is_done = True
            best = self._best or self._owner.response_to(self.server.request, Reject(480))
            if best.status == 408 and not self.is_invite:
                best = best.edit().start(480).append("Reason", _TIMED_OUT).done()
            self.server.respond(with_all_challenges(best, self._losers) if self._losers else best)
        self._close()
        return None

    def _close(self) -> None:
        if self._call_off is not None:
            self._call_off()
            self._call_off = None
        if self.is_invite:
            self._owner.forget(self)

    # --- timer C -----------------------------------------------------------------------------------------------------

    def _restart_timer_c(self) -> None:
        if self._call_off is not None:
            self._call_off()
        self._call_off = self._owner.call_later(self._timer_c_s, self._fire_timer_c)

    def _fire_timer_c(self) -> None:
        """A callee that rang too long is cancelled (RFC 3261 §16.8); one that never answered ended with timer B."""
        self._call_off = None
        self._cancel_all()
