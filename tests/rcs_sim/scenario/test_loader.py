"""Profile and network files: what ships is right, and a mistake is one error that can be acted on."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ims_core.errors import ProfileError
from rcs_sim.scenario import loader
from rcs_sim.scenario.loader import load_carrier_profile, load_device, load_network, profile_names


def test_every_profile_that_ships_is_right() -> None:
    assert {"android", "ios", "lineage-like"} <= {load_device(name).name for name in profile_names("devices")}
    for name in profile_names("carriers"):
        assert load_carrier_profile(name).name == name
    for name in profile_names("networks"):
        network = load_network(name)
        assert network.name == name
        assert all(load_carrier_profile(carrier.profile) for carrier in network.carriers.values())


def _network(text: str) -> str:
    return f"name: n\ncarriers:\n  red:\n    profile: google-like\n{text}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            _network("    colour: red\n"),
            r"5:5: carriers\.red\.colour: not known here; allowed: profile, domain, addresses",
        ),
        (_network("    domain: a b\n"), r"5:13: carriers\.red\.domain: String should match pattern"),
        (
            _network("    subscribers:\n      - {service: fax}\n"),
            r"6:19: carriers\.red\.subscribers\.0\.service: 'fax' is not allowed; allowed: 'rcs' or 'sip'",
        ),
        (_network("    domain: example.com\n"), r"4:5: carriers\.red\.addresses: missing \(and 2 more\)"),
        ("name: [unclosed\n", r":\d+:\d+: not YAML"),
        ("name: n\nname: m\n", r":\d+:\d+: not YAML"),
        ("- a\n", r"the file"),
        ("", r"the file"),
        ("a: &x [*x]\n", r"not known here|cannot be read"),
        (
            "a: &a [1,1,1,1,1,1,1,1,1,1]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n"
            "d: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\n"
            "f: [*e,*e,*e,*e,*e,*e,*e,*e,*e,*e,*e,*e,*e,*e,*e,*e]\n",
            r"too many values",
        ),
    ],
)
def test_a_mistake_names_file_line_column_and_what_is_allowed(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "net.yaml"
    path.write_text(text)
    with pytest.raises(ProfileError, match=message) as caught:
        load_network(str(path))
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_an_unknown_profile_lists_the_known_ones() -> None:
    with pytest.raises(ProfileError, match=r"no profile 'windows' among the devices; there are: android, "):
        load_device("windows")


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match="cannot be read: No such file"):
        load_network(str(tmp_path / "missing.yaml"))
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ProfileError, match="not UTF-8"):
        load_network(str(binary))


def test_a_misspelt_member_of_a_device_is_pointed_at(tmp_path: Path) -> None:
    path = tmp_path / "phone.yaml"
    path.write_text("name: mine\nmessaging:\n  typing_in_pager: true\n")
    with pytest.raises(ProfileError, match=r"phone\.yaml:3:3: messaging\.typing_in_pager: not known here; allowed: "):
        loader.load_device(str(path))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(
    octets=st.binary(max_size=300)
    | st.text(alphabet="abcx019+_.:-[]{}&*!|>'\"\n \t#%@`,?", max_size=200).map(str.encode)
)
def test_any_octets_give_a_network_or_one_profile_error(tmp_path: Path, octets: bytes) -> None:
    path = tmp_path / "any.yaml"
    path.write_bytes(octets)
    with pytest.raises(ProfileError):
        load_network(str(path))


@pytest.mark.parametrize(
    "text", ["+_", "a: 0x_", "0b_", "-_._", "1:_", "2026-99-99", "!!int x", "!!timestamp 1", "!!binary ?"]
)
def test_a_scalar_that_the_yaml_reader_stumbles_over_is_one_error_too(tmp_path: Path, text: str) -> None:
    path = tmp_path / "any.yaml"
    path.write_text(text)
    with pytest.raises(ProfileError):
        load_network(str(path))


def test_a_carrier_profile_given_by_path_is_looked_for_beside_the_network_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "nets" / "mine").mkdir(parents=True)
    text = (loader.profile_folder() / "networks" / "two-carriers-plain.yaml").read_text(encoding="utf-8")
    network = tmp_path / "nets" / "net.yaml"
    network.write_text(text.replace("profile: google-like", "profile: mine/slow.yaml"), encoding="utf-8")
    (tmp_path / "nets" / "mine" / "slow.yaml").write_text("name: slow\nrevoke_timer_s: 77\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    carriers = load_network("nets/net.yaml").carriers
    assert load_carrier_profile(carriers["red"].profile).revoke_timer_s == 77
    assert carriers["blue"].profile == "rcc16-strict"


def test_a_network_has_other_values_than_its_carrier_profiles() -> None:
    assert load_carrier_profile("google-like", {"revoke_timer_s": 7}).revoke_timer_s == 7
    assert load_carrier_profile("google-like", {}) == load_carrier_profile("google-like")
    with pytest.raises(ProfileError, match="changes to carrier profile google-like: tempo: Extra inputs"):
        load_carrier_profile("google-like", {"tempo": 3})


_TWO = """name: two
carriers:
  red: {profile: google-like, domain: red.test, addresses: 127.0.1.0/24, smsc: "+12025550199", prefixes: ["+1202"],
    subscribers: [{msisdn: "+12025550101"}, {msisdn: "+12025550102"}]}
  blue: {profile: google-like, domain: blue.test, addresses: 127.0.2.0/24, smsc: "+12025550198", prefixes: ["+1203"],
    subscribers: [{msisdn: "+12035550101"}]}
"""


@pytest.mark.parametrize(
    ("right", "wrong", "message"),
    [
        ("blue.test", "RED.test", ":5:40: carriers.blue.domain: RED.test is that of carriers.red.domain already"),
        ("127.0.2.0", "127.0.1.0", ":5:62: carriers.blue.addresses: 127.0.1.0/24 is that of carriers.red.addresses"),
        ("+12025550198", "+12025550199", ":5:82: carriers.blue.smsc: +12025550199 is that of carriers.red.smsc"),
        ('["+1203"]', '["+1202"]', ":5:109: carriers.blue.prefixes.0: +1202 is that of carriers.red.prefixes.0"),
        ("+12035550101", "+12025550102", ":6:28: carriers.blue.subscribers.0.msisdn: +12025550102 is that of"),
        ("+12025550102", "+12025550101", ":4:54: carriers.red.subscribers.1.msisdn: +12025550101 is that of"),
    ],
)
def test_what_leads_to_one_carrier_or_subscriber_is_not_given_twice(
    tmp_path: Path, right: str, wrong: str, message: str
) -> None:
    path = tmp_path / "two.yaml"
    path.write_text(_TWO)
    assert set(load_network(str(path)).carriers) == {"red", "blue"}
    path.write_text(_TWO.replace(right, wrong))
    with pytest.raises(ProfileError) as caught:
        load_network(str(path))
    assert message in str(caught.value)
