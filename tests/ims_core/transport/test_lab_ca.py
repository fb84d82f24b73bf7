"""The lab's authority: made once, private files, certificates that real TLS accepts and renews."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from cryptography import x509

from ims_core.transport.lab_ca import LabCa, LabCaError


def _handshake(server: ssl.SSLContext, client: ssl.SSLContext, host: str) -> str | None:
    """TLS in memory; raises ssl.SSLError if either side refuses. Returns the protocol version."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname=host),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    waiting = list(ends)
    for _ in range(20):
        for end in list(waiting):
            try:
                end.do_handshake()
                waiting.remove(end)
            except ssl.SSLWantReadError:
                continue
    assert not waiting
    return ends[0].version()


def test_an_authority_is_made_once_and_its_files_are_private(tmp_path: Path) -> None:
    first = LabCa(tmp_path / "ca").certificate_path.read_bytes()
    assert LabCa(tmp_path / "ca").certificate_path.read_bytes() == first
    LabCa(tmp_path / "ca").server_context("red.pcscf", ["127.0.1.10"])
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "ca").iterdir()} == {0o600}


@pytest.mark.parametrize("host", ["127.0.1.10", "pcscf.example", "::1"])
def test_a_server_proves_its_names_and_addresses(tmp_path: Path, host: str) -> None:
    ca = LabCa(tmp_path)
    server = ca.server_context("red.pcscf", ["127.0.1.10", "pcscf.example", "::1"])
    assert _handshake(server, ca.client_context(), host) == "TLSv1.3"


def test_another_name_and_another_authority_are_refused(tmp_path: Path) -> None:
    ca, other = LabCa(tmp_path / "a"), LabCa(tmp_path / "b")
    server = ca.server_context("red.pcscf", ["127.0.1.10"])
    with pytest.raises(ssl.SSLError):
        _handshake(server, ca.client_context(), "127.0.1.11")
    with pytest.raises(ssl.SSLError):
        _handshake(server, other.client_context(), "127.0.1.10")


def test_a_mutual_server_wants_a_certificate_of_the_lab(tmp_path: Path) -> None:
    ca = LabCa(tmp_path)
    server = ca.server_context("red.kds", ["127.0.1.41"], requires_client_certificate=True)
    assert _handshake(server, ca.client_context("blue.kds"), "127.0.1.41") == "TLSv1.3"


def test_a_certificate_that_lacks_an_address_is_made_anew(tmp_path: Path) -> None:
    ca = LabCa(tmp_path)
    ca.server_context("red.pcscf", ["127.0.1.10"])
    old = (tmp_path / "red.pcscf.pem").read_bytes()
    ca.server_context("red.pcscf", ["127.0.1.10"])
    assert (tmp_path / "red.pcscf.pem").read_bytes() == old
    ca.server_context("red.pcscf", ["127.0.9.10"])
    new = x509.load_pem_x509_certificate((tmp_path / "red.pcscf.pem").read_bytes())
    names = new.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["127.0.9.10"]


def test_damage_and_a_folder_that_cannot_be_written_are_one_sentence(tmp_path: Path) -> None:
    LabCa(tmp_path / "a")
    (tmp_path / "a" / "ca.pem").write_text("nonsense")
    with pytest.raises(LabCaError, match="damaged certificate or key: delete"):
        LabCa(tmp_path / "a")
    (tmp_path / "file").write_text("")
    with pytest.raises(LabCaError, match="cannot hold the lab's certificates"):
        LabCa(tmp_path / "file" / "ca")


@pytest.mark.parametrize(("gone", "left"), [("ca.pem", "ca.key"), ("ca.key", "ca.pem")])
def test_half_an_authority_is_no_reason_to_make_another(tmp_path: Path, gone: str, left: str) -> None:
    LabCa(tmp_path)
    (tmp_path / gone).unlink()
    with pytest.raises(LabCaError, match=rf"{gone} is missing: put it back, or delete .*{left}"):
        LabCa(tmp_path)


def test_a_damaged_certificate_of_a_server_is_made_anew(tmp_path: Path) -> None:
    ca = LabCa(tmp_path)
    ca.server_context("red.kds", ["127.0.1.41"])
    other = LabCa(tmp_path / "other")
    other.server_context("red.kds", ["127.0.1.41"])
    strange_key = (tmp_path / "other" / "red.kds.key").read_bytes()
    for suffix, octets in ((".pem", b"nonsense"), (".pem", b""), (".key", b"\xff"), (".key", strange_key)):
        (tmp_path / f"red.kds{suffix}").write_bytes(octets)
        ca.server_context("red.kds", ["127.0.1.41"])
        assert (tmp_path / f"red.kds{suffix}").read_bytes() != octets
