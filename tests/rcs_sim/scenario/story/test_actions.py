"""What users do, as the trace and the screens show it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.rcs_sim.scenario.story.stories import played

_SEND = "- alice: {send: {to: bob, text: one, as: m1}}\n- expect: {m1: {delivered_within_s: 5}}\n"
_SEND_2 = "- alice: {send: {to: bob, text: two, as: m2}}\n- expect: {m2: {delivered_within_s: 9}"
_OPEN = _SEND + "- bob: {send: {to: alice, text: two, as: m2}}\n- expect: {m2: {delivered_within_s: 5}"
_DONE, _NONE = "- expect: {r: {delivered_within_s: 5, shown: 1}", ", m1: {reactions: {}}}"
_ANDROID = "- bob: {swap_device: android}\n"
_M1 = "- expect: {m1: {delivered_within_s: 9, "


@pytest.mark.parametrize(
    "steps",
    [
        _SEND + "- bob: read\n- expect: {m1: {displayed_within_s: 5}}",
        _SEND + "- bob: {read: alice}\n- expect: {m1: {displayed_within_s: 5}}",
        _SEND + "- bob: {reply: {to: m1, text: two}}\n- expect: {within_s: 5, inbox: {alice: [two]}}",
        _SEND + "- alice: {reply: {to: m1, text: two}}\n- expect: {within_s: 5, inbox: {bob: [one, two]}}",
        _SEND + "- bob: {type: alice}\n- expect: {within_s: 2, typing: {alice: {bob: true}}}",
        _OPEN + ", session: {bob: {alice: open}}}",
        _OPEN + "}\n- bob: {end_session: alice}\n- expect: {within_s: 5, session: {bob: {alice: ''}}}",
        "- alice: {sms: {to: bob, text: by sms, as: m1}}\n" + _M1 + "transport: sms, label: SMS}}",
        "- alice: {send: {to: bob, text: so, as: m1, as_sms: true}}\n" + _M1 + "transport: sms}}",
        "- alice: {send: {to: bob, octets: 3000, as: m1}}\n" + _M1 + "mode: session}}",
        "- bob: power_off\n- expect: {registered: {bob: false}}\n- bob: power_on\n- expect: {registered: {bob: true}}",
        "- bob: lose_power\n- bob: power_cycle\n- expect: {registered: {bob: true}}",
        "- bob: {airplane: on}\n- expect: {registered: {bob: false}}",
        "- bob: {airplane: on}\n- bob: {airplane: off}\n- expect: {registered: {bob: true}}",
        _SEND + "- bob: wipe\n- bob: power_on\n- expect: {registered: {bob: true}, label: {bob: {alice: RCS}}}",
        _SEND + "- bob: {swap_device: android}\n" + _SEND_2 + ", inbox: {bob: [one, two]}}",
        "- bob: {swap_sim: '+12025550154'}\n" + _SEND_2 + ", inbox: {bob: [two]}}",
        "- bob: {add_device: bob2}\n" + _SEND_2 + ", within_s: 5, inbox: {bob: [two], bob2: [two]}}",
        "- bob: {open: alice}\n- expect: {screen: {bob: [{what: label, text: RCS, times: 1}]}}",
        "- operator_sms: {carrier: red, to: alice, text: bill}\n- expect: {within_s: 9, inbox: {alice: [bill]}}",
        "- bob: {consent: alice}\n- bob: {revive: alice}\n- bob: {free_sms_memory: 1}",
        _SEND + "- bob: {react: {to: m1, emoji: 👍, as: r}}\n" + _DONE + ", m1: {reactions: {bob: 👍}}}",
        _SEND + "- alice: {react: {to: m1, emoji: 👍}}\n- alice: {unreact: {message: m1, as: r}}\n" + _DONE + _NONE,
        _ANDROID + _SEND + "- alice: {edit: {message: m1, text: two, as: r}}\n" + _DONE + ", m1: {text: two}}",
        _ANDROID + _SEND + "- alice: {recall: m1}\n- expect: {within_s: 5, m1: {recalled: true, text: ''}}",
        _ANDROID + _SEND + "- alice: {recall: {message: m1, as: r}}\n" + _DONE + "}",
        _SEND + "- alice: {recall: {message: m1, as: r}}\n- expect: {r: {reason: peer_without_feature}}",
        _SEND + "- bob: {edit: {message: m1, text: two, as: r}}\n- expect: {r: {state: failed, reason: not_offered}}",
        "- bob: {accept: alice}\n- bob: {decline: alice}",
    ],
)
def test_an_action_has_its_effect(tmp_path: Path, steps: str) -> None:
    row = played(tmp_path, steps).row
    assert row.verdict == "pass", row.failure


def test_a_user_says_yes_to_send_as_text(tmp_path: Path) -> None:
    steps = (
        "- alice: {send: {to: bob, text: warm up, as: m0}}\n- expect: {m0: {delivered_within_s: 5}}\n- bob: power_off\n"
        "- alice: {send: {to: bob, text: one, as: m1}}\n- expect: {m1: {failed_within_s: 60, offers_sms: true}}\n"
        "- alice: {resend_as_sms: m1}\n- bob: power_on\n- expect: {m1: {sent_as_sms_within_s: 120, transport: sms}}"
    )
    row = played(tmp_path, steps, "policy: {client_fallback: ask, carrier: no-store}\n").row
    assert row.verdict == "pass", row.failure
