"""What a device brings to its groups (RCC.16 §5.3, §7.5.1)."""

from __future__ import annotations

from rcs_sim.e2ee.leaf_capabilities import leaf_capabilities
from rcs_sim.e2ee.member.member_setting import MAX_PAST_EPOCHS, MemberSetting
from rcs_sim.e2ee.padding import padme
from rcs_sim.mls.identifiers import WireFormat
from tests.support.member_devices import ALICE, NOW_S, PROFILES, enrol, make_member, seeded_random, trust_of


def test_groups_get_public_handshakes_padding_and_the_profile_s_capabilities() -> None:
    for make in PROFILES.values():
        setting = make_member(ALICE, make()).setting
        assert setting.policy.handshake_wire_format is WireFormat.PUBLIC_MESSAGE
        assert setting.policy.padding(182) + 182 == padme(182) == 192
        assert setting.policy.past_epochs == MAX_PAST_EPOCHS
        assert setting.client.capabilities == leaf_capabilities(setting.profile)


def test_a_renewed_identity_gives_new_leaves_and_keeps_the_rest() -> None:
    setting = make_member(ALICE).setting
    renewed = setting.with_identity(enrol(ALICE, 1, setting.profile, NOW_S + 60))
    assert renewed.client.credential != setting.client.credential
    assert renewed.client.signature_key.public == setting.client.signature_key.public
    assert renewed.trust is setting.trust


def test_a_key_log_is_written_only_by_the_real_policy() -> None:
    lines = list[str]()
    profile = PROFILES["android"]()
    setting = MemberSetting.of(
        enrol(ALICE, 1, profile), profile, trust_of(profile), seeded_random("log"), lambda line: lines.append(str(line))
    )
    assert setting.policy.key_log is not None
    assert setting.lenient_policy.key_log is None
