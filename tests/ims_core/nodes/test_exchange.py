"""Response contexts (RFC 3261 §16.7, §16.8, §16.10) without a stack."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ims_core.nodes.decision import Answer, Decision, Delete, Discard, Forward, Persist, Reject, ResponseHook, Target
from ims_core.nodes.exchange import Exchange
from ims_core.store.bindings import BINDINGS
from ims_core.transport.link import Address, Transport
from ims_core.transport.sip_stack import FailureReason, Hop, Outcome, ServerTransaction, TransactionFailure
from ims_core.wire.sip.editor import Editor
from ims_core.wire.sip.message import HeaderInput, Request, Response
from tests.support.core_cases import make_request

OWN_VIA = ("Via", "SIP/2.0/TCP me:5060;branch=z9hG4bKx")


class Server:
    """The server transaction: keeps the answers."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self.responses: list[Response] = []

    def respond(self, response: Response) -> None:
        self.responses.append(response)


class Handle:
    """A client transaction."""

    def __init__(self, take: Callable[[Outcome], None], request: Request) -> None:
        self.take = take
        self.request = request
        self.is_cancelled = False
        self.reasons: list[object] = []  # of the CANCEL

    def cancel(self, headers: Iterable[HeaderInput] = ()) -> None:
        self.is_cancelled = True
        self.reasons += headers


class Owner:
    """The proxy around an exchange."""

    def __init__(self) -> None:
        self.handles: list[Handle] = []
        self.timers: list[tuple[float, Callable[[], object]]] = []
        self.ended_branches: list[str] = []
        self.accepted_branches: list[str] = []
        self.forgotten: list[Exchange] = []
        self.performed: list[object] = []
        self.waiting: list[tuple[tuple[Persist, ...], Response]] = []

    def now(self) -> float:
        return 0.0

    def new_branch(self, received: Request) -> str:
        return f"b{len(self.handles)}"

    def send(self, request: Request, hop: Hop, on_outcome: Callable[[Outcome], None], branch: str) -> Handle:
        self.handles.append(Handle(on_outcome, request))
        return self.handles[-1]

    def ended(self, branch: str) -> None:
        self.ended_branches.append(branch)

    def response_to(self, request: Request, rejection: Reject) -> Response:
        return Response.to(request, rejection.status, rejection.reason, to_tag="own", headers=rejection.headers)

    def call_later(self, delay_s: float, callback: Callable[[], object]) -> Callable[[], None]:
        entry = (delay_s, callback)
        self.timers.append(entry)
        return lambda: self.timers.remove(entry)

    def forget(self, exchange: Exchange) -> None:
        self.forgotten.append(exchange)

    def accepted(self, branch: str, take: Callable[[Outcome], None]) -> None:
        self.accepted_branches.append(branch)

    def perform(self, actions: tuple[object, ...]) -> None:
        self.performed += actions

    def respond_when_stored(self, writes: tuple[Persist, ...], server: ServerTransaction, response: Response) -> None:
        self.waiting.append((writes, response))


class Run:
    """One request that is proxied to *count* targets."""

    def __init__(
        self, method: str = "MESSAGE", count: int = 1, *, hook: ResponseHook | None = None, is_sequential: bool = False
    ) -> None:
        self.request = make_request(method, "sip:b@x")
        self.owner = Owner()
        self.server = Server(self.request)
        self.exchange = Exchange(self.owner, self.server, 181.0)
        self.exchange.forward(Forward(targets(self.request, count), hook, is_sequential))

    def answer(self, number: int, status: int, *headers: tuple[str, str]) -> None:
        sent = self.request.edit().push(*OWN_VIA).done()
        self.owner.handles[number].take(Response.to(sent, status, to_tag=f"t{number}", headers=headers))

    def fail(self, number: int, reason: FailureReason = FailureReason.TIMEOUT) -> None:
        self.owner.handles[number].take(TransactionFailure(reason))

    @property
    def statuses(self) -> list[int]:
        return [response.status for response in self.server.responses]


def targets(request: Request, count: int) -> tuple[Target, ...]:
    return tuple(Target(request, Hop(address=Address(Transport.TCP, f"10.0.0.{n}", 5060)), n) for n in range(count))


def test_a_response_goes_back_without_the_own_via() -> None:
    run = Run()
    run.answer(0, 200)
    assert run.statuses == [200]
    assert run.server.responses[0].texts("Via") == run.request.texts("Via")
    assert run.owner.ended_branches == ["b0"]


def test_the_first_2xx_wins_and_later_answers_are_dropped() -> None:
    run = Run(count=3)
    run.answer(1, 404)
    run.answer(2, 200)
    run.answer(0, 200)
    assert run.statuses == [200]


def test_the_best_of_all_failures_goes_back_when_the_last_has_come() -> None:
    run = Run(count=3)
    run.answer(0, 503)
    run.answer(1, 486)
    assert run.statuses == []
    run.fail(2)
    assert run.statuses == [486]


def test_challenges_are_gathered() -> None:
    run = Run(count=2)
    run.answer(0, 401, ("WWW-Authenticate", "Digest realm=a, nonce=1"))
    run.answer(1, 407, ("Proxy-Authenticate", "Digest realm=b, nonce=2"))
    assert run.server.responses[0].has("WWW-Authenticate")
    assert run.server.responses[0].has("Proxy-Authenticate")


def test_silence_is_408_for_invite_and_480_for_others_which_are_sent_no_408() -> None:
    for method, status in (("INVITE", 408), ("MESSAGE", 480)):
        run = Run(method)
        run.fail(0)
        assert run.statuses == [status]
    run = Run()
    run.answer(0, 408)
    assert run.statuses == [480]
    assert (run.server.responses[0].text("Reason") or "").startswith("SIP;cause=408")


def test_a_broken_link_is_503() -> None:
    run = Run()
    run.fail(0, FailureReason.TRANSPORT)
    assert run.statuses == [503]


def test_a_100_stays_here_and_other_provisional_answers_go_back_for_invite_only() -> None:
    run = Run("INVITE")
    for status in (100, 180, 183):
        run.answer(0, status)
    assert run.statuses == [180, 183]
    run = Run()
    run.answer(0, 180)
    assert run.statuses == []


def test_a_2xx_to_invite_cancels_the_other_branches_and_every_further_2xx_goes_back() -> None:
    run = Run("INVITE", 3)
    run.answer(0, 180)
    run.answer(1, 200)
    assert [handle.is_cancelled for handle in run.owner.handles] == [True, False, True]
    assert run.owner.handles[0].reasons == [("Reason", 'SIP;cause=200;text="Call completed elsewhere"')]
    run.answer(2, 200)
    run.answer(0, 487)
    assert run.statuses == [180, 200, 200]
    assert run.owner.accepted_branches == ["b1", "b2"]
    assert run.owner.forgotten[-1] is run.exchange
    assert run.owner.timers == []


def test_a_6xx_cancels_the_others_and_goes_back_when_they_have_answered() -> None:
    run = Run("INVITE", 2)
    run.answer(0, 603)
    assert run.owner.handles[1].is_cancelled
    assert run.owner.handles[1].reasons == [("Reason", "SIP;cause=603")]
    assert run.statuses == []
    run.answer(1, 487)
    assert run.statuses == [603]


def test_cancel_reaches_every_pending_branch() -> None:
    run = Run("INVITE", 2)
    run.answer(0, 486)
    run.exchange.cancel((("Reason", "SIP;cause=200"),))
    assert [handle.is_cancelled for handle in run.owner.handles] == [False, True]
    assert run.owner.handles[1].reasons == [("Reason", "SIP;cause=200")]
    run.answer(1, 487)
    assert run.statuses == [486]


def test_timer_c_cancels_a_callee_that_rings_too_long_and_ringing_starts_it_anew() -> None:
    run = Run("INVITE")
    first = run.owner.timers[-1]
    assert first[0] == 181.0
    run.answer(0, 180)
    assert run.owner.timers[0] is not first
    assert len(run.owner.timers) == 1
    run.owner.timers.pop()[1]()
    assert run.owner.handles[0].is_cancelled


def test_sequential_targets_are_tried_one_by_one() -> None:
    run = Run(count=3, is_sequential=True)
    assert len(run.owner.handles) == 1
    run.answer(0, 480)
    assert len(run.owner.handles) == 2
    run.answer(1, 200)
    assert (len(run.owner.handles), run.statuses) == (2, [200])


class Hook(ResponseHook):
    """Replaces the first failures as told, and marks responses."""

    def __init__(self, *decisions: Decision | None) -> None:
        self.decisions = list(decisions)

    def edit(self, editor: Editor[Response], response: Response, target: Target) -> None:
        editor.append("X-Seen", str(target.key))

    def replace(self, outcome: Outcome, target: Target, now: float) -> Decision | None:
        return self.decisions.pop(0) if self.decisions else None


def test_a_hook_edits_what_goes_back() -> None:
    run = Run(hook=Hook())
    run.answer(0, 404)
    assert run.server.responses[0].text("X-Seen") == "0"


def test_a_hook_may_try_another_target_or_answer_otherwise_or_leave_a_branch_out() -> None:
    request = make_request("MESSAGE", "sip:b@x")
    run = Run(hook=Hook(Forward(targets(request, 1))))
    run.answer(0, 430)
    assert run.statuses == []
    run.answer(1, 200)
    assert run.statuses == [200]
    run = Run(hook=Hook(Reject(480)))
    run.fail(0, FailureReason.TRANSPORT)
    assert run.statuses == [480]
    run = Run(hook=Hook(Answer(Response.to(request, 202), ("stored",))))
    run.fail(0)
    assert (run.statuses, run.owner.performed) == ([202], ["stored"])
    run = Run(count=2, hook=Hook(Discard()))
    run.answer(0, 600)
    run.answer(1, 404)
    assert run.statuses == [404]
    run = Run(hook=Hook(Discard()))
    run.answer(0, 404)
    assert run.statuses == [480]


def test_a_hook_is_not_asked_after_cancel() -> None:
    run = Run("INVITE", hook=Hook(Forward(targets(make_request("INVITE", "sip:c@x"), 1))))
    run.exchange.cancel()
    run.answer(0, 487)
    assert (run.statuses, len(run.owner.handles)) == ([487], 1)


def test_no_target_at_all_is_480() -> None:
    assert Run(count=0).statuses == [480]


class Keeping(ResponseHook):
    """Wants something stored before each 2xx."""

    def take_writes(self) -> tuple[Persist, ...]:
        return (Delete(BINDINGS, "x"),)


def test_a_2xx_waits_for_what_has_to_be_stored_and_other_answers_do_not() -> None:
    run = Run("REGISTER", hook=Keeping())
    run.answer(0, 200)
    assert run.statuses == []
    ((writes, response),) = run.owner.waiting
    assert (writes, response.status) == ((Delete(BINDINGS, "x"),), 200)
    refused = Run("REGISTER", hook=Keeping())
    refused.answer(0, 403)
    assert refused.statuses == [403]
