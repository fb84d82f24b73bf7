"""What the parts of a phone's encryption share."""

from __future__ import annotations

from collections.abc import Callable

from ims_core.transport.tokens import Tokens
from rcs_sim.client.capabilities import Occasion
from rcs_sim.client.conversation import Conversation
from rcs_sim.client.e2ee.control_channel import ControlChannel
from rcs_sim.client.e2ee.credentials import Credentials
from rcs_sim.client.e2ee.focus_watch import FocusWatch
from rcs_sim.client.e2ee.thread import EncryptedThread
from rcs_sim.client.errands import Errands
from rcs_sim.client.identity import ContactKey, is_number
from rcs_sim.client.messenger import Messenger
from rcs_sim.e2ee.member.encrypted_conversation import EncryptedConversation
from rcs_sim.e2ee.member.member_setting import MemberSetting
from rcs_sim.e2ee.message_id import mx_message_id, upper_uuid
from rcs_sim.e2ee.profile import E2eeProfile, MessageIdForm
from rcs_sim.wire.encryption_parameters import MlsServerProperties

__all__ = ["TURN_S", "E2eeContext"]

TURN_S = 4.0  # between two devices of a user (choice)

_AS_DEPLOYED = MlsServerProperties()
_PEER_TO_PEER = MlsServerProperties(arbitrates_era=False, requires_convergence_ack=False, has_server_group_info=False)


class E2eeContext:
    """*moved* is called when the state of a thread may have changed."""

    __slots__ = (
        "_without_focus",
        "channel",
        "credentials",
        "errands",
        "messenger",
        "moved",
        "profile",
        "threads",
        "tokens",
        "watch",
    )

    def __init__(
        self,
        profile: E2eeProfile,
        messenger: Messenger,
        credentials: Credentials,
        errands: Errands,
        tokens: Tokens,
        moved: Callable[[EncryptedThread], None],
    ) -> None:
        self.profile = profile
        self.messenger = messenger
        self.credentials = credentials
        self.errands = errands
        self.tokens = tokens
        self.moved = moved
        self.channel = ControlChannel(messenger)
        self.threads: dict[ContactKey, EncryptedThread] = {}
        self._without_focus: dict[ContactKey, bool] = {}
        self.watch = FocusWatch(messenger, self.channel, credentials, self._has_group, self.new_id, self.server_of)

    def _has_group(self, peer: ContactKey) -> bool:
        thread = self.threads.get(peer)
        return thread is not None and thread.engine.group is not None

    def now_s(self) -> int:
        """Unix seconds by the phone's calendar: certificates are judged by it."""
        return int(self.messenger.alarms.wall())

    def passed_s(self) -> int:
        """Seconds as they pass: budgets and deadlines go by them, whatever becomes of the calendar."""
        return int(self.messenger.alarms.now())

    def new_id(self) -> str:
        """imdn.Message-ID in the form of this device (digest RCC.16 §4.4)."""
        octets = bytes.fromhex(self.tokens.uuid().replace("-", ""))
        return mx_message_id(octets) if self.profile.message_id_form is MessageIdForm.MX else upper_uuid(octets)

    def server_of(self, peer: ContactKey) -> MlsServerProperties:
        """What the focus of the conversation with *peer* does: the messaging server of the lower number (digest RCC.16
        §14.1). Another carrier's says by the tags of its phones that it arbitrates nothing (choice); what else it does
        is taken to be as deployed ones do it. Before the tags are known it is taken to be like our own, unless a focus
        has given out its state; a phone that cannot encrypt for now says nothing of it, and what it said last holds
        (choice)."""
        own = self.credentials.server
        if self.credentials.msisdn <= peer.lstrip("+"):
            return own
        tags = self.messenger.capabilities.entry(peer).tags
        if not tags.services and not self.watch.has_told_state(peer):
            return own
        if tags.mls.kds is not None:
            self._without_focus[peer] = tags.mls.has_no_focus
        if self._without_focus.get(peer, tags.mls.has_no_focus):
            return _PEER_TO_PEER
        return own if own.arbitrates_era else _AS_DEPLOYED

    def ask_who_arbitrates(self, thread: EncryptedThread) -> None:
        """The tags of a peer of the lower number tell whether his server does; of who has written first, or was known
        to the handset before, they may not be known, and our own server says nothing about his."""
        messenger, peer = self.messenger, thread.conversation.peer
        is_his = self.own_number > thread.peer_number
        if is_his and not messenger.capabilities.entry(peer).tags.services and messenger.discovery is not None:
            messenger.discovery.ask_if_due(peer, Occasion.FAILURE)

    def has_siblings(self, thread: EncryptedThread) -> bool:
        """Whether other devices of the own user are in the group."""
        group = thread.engine.group
        return group is not None and len(group.roster.leaves_of(self.own_number)) > 1

    def turn_s(self, thread: EncryptedThread) -> float:
        """How long this device waits before it does what one of its user's devices has to do, where nobody arbitrates:
        the one with the first leaf not at all. Some leaves may be of handsets that are no more (choice)."""
        group = thread.engine.group
        if group is None or self.is_arbitrated(thread):
            return 0.0
        ours = group.roster.leaves_of(self.own_number)
        return TURN_S * sum(leaf < group.group.own_leaf for leaf in ours)

    def is_arbitrated(self, thread: EncryptedThread) -> bool:
        """Whether a focus decides which request counts; without one the conversation is peer to peer."""
        return self.server_of(thread.conversation.peer).arbitrates_era

    @property
    def own_number(self) -> str:
        """Bare digits; "" before the first certificate."""
        setting = self.credentials.setting
        return "" if setting is None else setting.identity.msisdn

    def thread(self, conversation: Conversation) -> EncryptedThread | None:
        """The encrypted side of *conversation*; a new one has no group. None where there can be none: no certificate
        yet, or a peer without a number."""
        found, setting = self.threads.get(conversation.peer), self.credentials.setting
        if found is not None:
            self._tell_deployment(found)
            return found
        if setting is None or not is_number(conversation.peer):
            return None
        participants = (setting.identity.msisdn, conversation.peer.lstrip("+"))
        found = EncryptedThread(conversation, EncryptedConversation(setting, self.credentials.pool, participants))
        self._tell_deployment(found)
        self.threads[conversation.peer] = found
        return found

    def _tell_deployment(self, thread: EncryptedThread) -> None:
        server, control = self.server_of(thread.conversation.peer), thread.engine.control
        control.is_arbitrated, control.requires_convergence = server.arbitrates_era, server.requires_convergence_ack

    def renew_engine(self, thread: EncryptedThread, setting: MemberSetting | None = None) -> None:
        """What is held of the conversation is history: there is no group any more."""
        setting = setting or self.credentials.setting or thread.engine.setting
        participants = (setting.identity.msisdn, thread.peer_number)
        thread.engine = EncryptedConversation(setting, self.credentials.pool, participants)
        self._tell_deployment(thread)

    def adopt(self, thread: EncryptedThread, setting: MemberSetting) -> None:
        """There is another certificate. One of another number makes another participant, who has no group."""
        if thread.engine.setting.identity.msisdn == setting.identity.msisdn:
            thread.engine.control.renew(setting)
        else:
            self.renew_engine(thread, setting)

    def note(self, thread: EncryptedThread, state: str, reason: str = "", message_id: str | None = None) -> None:
        """A STATE record about the encryption of a conversation."""
        conversation, identifier = thread.conversation, thread.engine.identifier
        self.messenger.display.state(
            "encryption",
            state,
            reason=reason,
            message_id=message_id,
            conversation_id=conversation.id,
            peer=conversation.peer,
            **({} if identifier is None else {"era": identifier.era_id, "epoch": identifier.epoch_id}),
        )
