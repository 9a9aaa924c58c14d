"""
What the gateway writes to capture files ("capture" in the configuration): SECURITY case X-007, FIELD
rows T13 and L9.
"""

import pytest

import lab as L
from captured import Captures

PASSWORD = b"correct-horse-battery"


@pytest.fixture
def captures(lab):
    return Captures(lab)


def test_a_mail_in_the_clear_T13(fake, gateway, captures):
    gate = gateway(fake(), capture={"all": captures.section()})
    with gate.client() as client:
        client.hello()
        client.envelope()
        assert client.data(b"Subject: seen\r\n\r\nwhoever passes\r\n.\r\n").code == 250
        assert client.cmd("QUIT").code == 221
    gate.stop()
    assert len(captures.files()) == 1
    captures.sane()
    assert captures.column("smtp.req.command") == ["EHLO", "MAIL", "RCPT", "DATA", "QUIT"]
    assert captures.column("imf.subject") == ["seen"]
    assert {row[0] for row in captures.tshark("ip.src", filter="smtp.req")} == {L.CLIENT}
    assert {tuple(row) for row in captures.tshark("ip.dst", "tcp.dstport", filter="smtp.req")} == {
        (L.GATEWAY, "25")}
    assert captures.column("frame.number", "tcp.flags.fin == 1") != []
