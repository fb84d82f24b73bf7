"""Network interworking of a chat message to the short message service, IM-SM (digest §8.4, §19.8)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ims_core.errors import LocalProtocolError
from ims_core.wire.sip.message import Request
from ims_core.wire.sip.uri import SipUri, Uri, tel_of_sip
from ims_core.wire.sms.concatenation import split_text
from rcs_sim.server.device_fork import DeviceFork
from rcs_sim.server.messaging_actions import SubmitText
from rcs_sim.server.pager_content import ContentKind, PagerContent
from rcs_sim.server.part_context import IncomingMessage, PartContext
from rcs_sim.server.server_notices import ServerNotices
from rcs_sim.wire.imdn import ImdnKind, ImdnStatus

__all__ = ["Interworking"]

_MAX_SUBMISSIONS = 100_000  # whose status report is waited for; the oldest is forgotten


@dataclass(slots=True)
class _Submission:
    """A text that left as short message. *template* is the chat message it was."""

    template: Request
    content: PagerContent
    until: float
    then: Callable[[bool, float], None] | None


class Interworking:
    """Text of a chat message becomes a short message from the sender's number; its status report becomes a receipt."""

    __slots__ = ("_context", "_notices", "_submissions")

    def __init__(self, context: PartContext, notices: ServerNotices) -> None:
        self._context = context
        self._notices = notices
        self._submissions: dict[str, _Submission] = {}

    def wants(self, message: IncomingMessage) -> bool:
        """Whether a message for one of our users goes by SMS: no RCS device of his is known."""
        return (
            self.serves(message.user.key)
            and self.numbers(message.template, message.content, message.sender) is not None
        )

    def serves(self, owner: str) -> bool:
        """Whether no RCS device of that user of ours is known."""
        return not any(device.may_be_rcs for device in self._context.devices.known(owner))

    def joins(self, sender: Uri, recipient: Uri) -> bool:
        """Whether short messages can go from one to the other: two persons with numbers."""
        return self._numbers(sender, recipient) is not None

    def _numbers(self, sender: Uri, recipient: Uri) -> tuple[str, str] | None:
        focus_hosts = self._context.config.focus_hosts
        if any(isinstance(uri, SipUri) and uri.host.lower() in focus_hosts for uri in (sender, recipient)):
            return None
        originator, target = _number(sender), _number(recipient)
        return None if originator is None or target is None else (originator, target)

    def numbers(self, request: Request, content: PagerContent, sender: Uri) -> tuple[str, str] | None:
        """Numbers of sender and recipient if this may be sent as SMS: plain text of a person to a person, in not too
        many parts, and no reaction, edit or recall (L13); else None."""
        if content.kind is not ContentKind.CHAT or not content.is_plain_text or content.cpim is None:
            return None
        if content.is_change:
            return None
        numbers = self._numbers(sender, request.request_uri)
        if numbers is None:
            return None
        try:
            split_text(content.cpim.text, reference=0, max_parts=self._context.config.interworking_max_parts)
        except LocalProtocolError:
            return None
        return numbers

    def submit_for(self, fork: DeviceFork, now: float) -> None:
        """In the place of devices that there are none of. A text that the SMSC does not take is stored."""

        def submitted(is_accepted: bool, then: float) -> None:
            fork.interworked(then) if is_accepted else fork.store(then)

        message = fork.message
        if not self.submit(message.template, message.content, message.sender, submitted, now):
            fork.store(now)

    def submit(
        self,
        template: Request,
        content: PagerContent,
        sender: Uri,
        then: Callable[[bool, float], None],
        now: float,
    ) -> bool:
        """Hands the text over; *then* learns whether the SMSC accepted it. False if it cannot be sent as SMS."""
        numbers = self.numbers(template, content, sender)
        if numbers is None or content.cpim is None:
            return False
        submission = self._context.tokens.word()
        until = now + self._context.config.interworking_memory_s
        self._submissions[submission] = _Submission(template, content, until, then)
        self._drop_oldest(now)
        wants_report = content.asks_for("positive-delivery") or content.asks_for("negative-delivery")
        self._context.outbox.add(SubmitText(submission, *numbers, content.cpim.text, wants_report))
        return True

    def _drop_oldest(self, now: float) -> None:
        submissions = self._submissions
        while len(submissions) > _MAX_SUBMISSIONS or next(iter(submissions.values())).until <= now:
            del submissions[next(iter(submissions))]

    def submitted(self, name: str, is_accepted: bool, now: float) -> None:
        """The SMSC took all parts, or one of them not."""
        submission = self._submissions.get(name)
        if submission is None or submission.then is None:
            return
        then, submission.then = submission.then, None
        if not is_accepted:
            del self._submissions[name]
        then(is_accepted, now)
        if is_accepted and submission.content.asks_for("interworking"):
            self._report(submission, ImdnKind.INTERWORKING, ImdnStatus.LEGACY_SMS, now)

    def reported(self, name: str, is_delivered: bool, now: float) -> None:
        """The last status report: every part arrived, or one never will."""
        submission = self._submissions.pop(name, None)
        if submission is not None:
            status = ImdnStatus.DELIVERED if is_delivered else ImdnStatus.FAILED
            self._report(submission, ImdnKind.DELIVERY, status, now)

    def _report(self, submission: _Submission, kind: ImdnKind, status: ImdnStatus, now: float) -> None:
        self._notices.report(submission.template, submission.content, kind, status, now)


def _number(uri: Uri) -> str | None:
    tel = tel_of_sip(uri)
    return tel.digits if tel is not None and tel.is_global else None
