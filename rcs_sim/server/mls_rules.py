"""How a carrier's messaging server acts as focus of encrypted one-to-one conversations: data of the carrier profile.

The four booleans of RCC.16 digest §1.1 describe a deployment; the rest is what deployed servers do differently
(digest §14.14). Recovery of a phone branches on these, never on the name of a vendor.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["MlsFocusRules"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MlsFocusRules:
    """*arbitrates_era*: era, epoch and authenticator are compared, and one commit per epoch wins; without it nobody
    intercepts anything, which is the plain peer-to-peer form. *requires_convergence_ack* is for phones, which hold
    messages until the second acceptance; that is sent in any case (choice). Times are in seconds, quotas per
    conversation and day; None is without limit."""

    arbitrates_era: bool = True
    requires_convergence_ack: bool = True
    accepts_member_external_commit: bool = False
    has_server_group_info: bool = True

    is_available: bool = True  # else each request is refused: encryption-not-available
    has_control_log: bool = True  # the enhanced pull tells the commits that somebody missed
    reads_per_window: int | None = None  # pulls of a conversation before transient-error
    read_window_s: float = 200.0
    accepts_known_context: bool = False  # a create with a context id used before is accepted, and changes nothing
    checks_floor_of_messages: bool = False  # application messages too are refused while a certificate is too old
    uses_strict_certificates: bool = False  # A.4.1 to the letter; else tolerant, as deployments are

    eras_per_day: int | None = None
    epochs_per_day: int | None = None
    external_commits_per_day: int = 50  # RCC.16 §11.2.2

    log_days: float = 30.0
    page_size: int = 32  # control messages in one answer to an enhanced pull
    convergence_s: float = 5.0
    max_cached_proposals: int = 16  # of one epoch: a further one is told to be committed first (choice)
    max_waiting: int = 64  # requests of a conversation that wait for the store (choice)
    answers_kept: int = 64  # to either participant, for requests that are repeated (choice)

    @property
    def is_peer_to_peer(self) -> bool:
        """Whether control messages pass like any other."""
        return not self.arbitrates_era
