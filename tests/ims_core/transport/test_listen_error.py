from __future__ import annotations

import errno

import pytest

from ims_core.transport.link import Address, Transport
from ims_core.transport.listen_error import listen_error


@pytest.mark.parametrize(
    ("number", "port", "words"),
    [
        (errno.EADDRINUSE, 5060, "port 5060 on 127.0.1.10 is in use: stop the other program or use --ports free"),
        (errno.EACCES, 80, "port 80 on 127.0.1.10 needs a privilege that this user lacks: use --ports free"),
        (errno.EACCES, 5060, "port 5060 on 127.0.1.10 is forbidden by this system: use --ports free"),
        (errno.EADDRNOTAVAIL, 0, "127.0.1.10 is no address of this machine: add it to the loopback interface"),
        (errno.EMFILE, 5060, "cannot listen at port 5060 on 127.0.1.10: Too many"),
    ],
)
def test_the_sentence_says_what_to_do(number: int, port: int, words: str) -> None:
    error = listen_error(Address(Transport.TCP, "127.0.1.10", port), OSError(number, "Too many"))
    assert str(error) == words
