"""Real clients (swaks, curl, smtplib) before, real servers (Postfix, Exim) behind, both families."""

import hashlib
import random
import smtplib
import socket
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY, SMTPUTF8

import pytest

import lab as L


@pytest.fixture(params=["postfix", "exim"])
def server(request):
    """Each real server in turn."""
    return request.getfixturevalue("campus" if request.param == "postfix" else "exim")


@pytest.fixture(params=["v4", "v6"])
def address(request):
    return L.GATEWAY if request.param == "v4" else L.GATEWAY6


def six(server):
    return {L.MX: L.MX6, L.EXIM: L.EXIM6}[server.address]


class Smtp(smtplib.SMTP):
    """smtplib, in the client's namespace."""

    def __init__(self, lab, host, **options):
        self._lab = lab
        super().__init__(host, 25, local_hostname="client.good.example", timeout=10, **options)

    def _get_socket(self, host, port, timeout):
        sock = self._lab.client.tcp(socket.AF_INET6 if ":" in host else socket.AF_INET)
        sock.settimeout(timeout)
        sock.connect((host, port))
        return sock


def test_swaks(lab, server, gateway, address):
    gateway(server, to6=six(server))
    done = lab.client.run("swaks", "--server", address, "--helo", "client.good.example", "--from",
                          "anna@good.example", "--to", "otto@campus.example", "--header",
                          "Subject: by swaks", "--body", "hello\n.\n..dots\n")
    assert done.returncode == 0, done.stdout
    got = server.box.wait("Subject: by swaks")
    assert b"hello\n.\n..dots\n" in got


def test_swaks_is_told_why(lab, campus, gateway):
    gateway(campus)
    done = lab.client.run("swaks", "--server", L.GATEWAY, "--from", "anna@good.example", "--to",
                          "r@evil.example")
    assert done.returncode == 24, done.stdout  # no recipient was taken
    assert "<** 550 5.7.1" in done.stdout


def test_swaks_pipelined(lab, campus, gateway):
    gateway(campus)
    done = lab.client.run("swaks", "--server", L.GATEWAY, "--from", "anna@good.example", "--to",
                          "otto@campus.example,emma@campus.example", "--pipeline", "--header",
                          "Subject: by pipeline")
    assert done.returncode == 0, done.stdout
    assert len(campus.settle()) == 2


def test_curl(lab, server, gateway, address):
    gateway(server, to6=six(server))
    url = f"smtp://[{address}]/client.good.example" if ":" in address else \
        f"smtp://{address}/client.good.example"
    done = lab.client.run("curl", "-sS", "--noproxy", "*", url, "--mail-from", "anna@good.example",
                          "--mail-rcpt", "otto@campus.example", "-T", "-",
                          input="Subject: by curl\r\n\r\nhello\r\n.\r\n..\r\n")
    assert done.returncode == 0, done.stderr
    assert b"hello\n.\n..\n" in server.box.wait("Subject: by curl")


def test_curl_is_told_why(lab, campus, gateway):
    gateway(campus)
    done = lab.client.run("curl", "-sS", "--noproxy", "*", f"smtp://{L.GATEWAY}", "--mail-from",
                          "a@nullmx.example", "--mail-rcpt", "otto@campus.example", "-T", "-",
                          input="Subject: x\r\n\r\nx\r\n")
    assert done.returncode == 55, done.stderr
    assert "550" in done.stderr


def test_smtplib(lab, server, gateway, address):
    gateway(server, to6=six(server))
    mail = EmailMessage(policy=SMTP_POLICY)
    mail["Subject"], mail["From"], mail["To"] = "by smtplib", "anna@good.example", "otto@campus.example"
    mail.set_content("Grüße\n.\n")
    mail.add_attachment(bytes(range(256)) * 50, maintype="application", subtype="octet-stream",
                        filename="a.bin")
    mail.set_boundary("--the-same-each-time--")
    with Smtp(lab, address) as client:
        assert client.send_message(mail) == {}
    got = server.box.wait("Subject: by smtplib")
    assert got.split(b"Subject: by smtplib", 1)[1].replace(b"\n", b"\r\n").rstrip() == \
        mail.as_bytes().split(b"Subject: by smtplib", 1)[1].rstrip()


def test_smtplib_with_8_bit_and_utf8_addresses_S6(lab, campus, gateway):
    gateway(campus)
    mail = EmailMessage(policy=SMTPUTF8)
    mail["Subject"], mail["To"] = "Grüße", "jürgen@campus.example"
    mail.set_content("Süß\n", cte="8bit")
    with Smtp(lab, L.GATEWAY) as client:
        client.ehlo()
        assert client.has_extn("smtputf8") and client.has_extn("8bitmime")
        assert client.sendmail("käthe@münchen.example", ["jürgen@campus.example"], mail.as_bytes(),
                               mail_options=["SMTPUTF8", "BODY=8BITMIME"]) == {}
    got = campus.settle()
    assert len(got) == 1
    assert "Süß".encode() in got[0] and "käthe@münchen.example".encode() in got[0]


def test_smtplib_is_told_why(lab, campus, gateway):
    gateway(campus)
    with Smtp(lab, L.GATEWAY) as client:
        with pytest.raises(smtplib.SMTPSenderRefused) as refused:
            client.sendmail("a@nosuch.example", ["otto@campus.example"], b"x")
        assert refused.value.smtp_code == 451
    with Smtp(lab, L.GATEWAY) as client:
        refusals = client.sendmail("anna@good.example", ["otto@campus.example", "r@evil.example"],
                                   b"Subject: half\r\n\r\nx\r\n")
        assert list(refusals) == ["r@evil.example"]
        assert refusals["r@evil.example"][0] == 550
    assert len(campus.settle()) == 1


def test_megabytes_arrive_octet_by_octet(lab, campus, gateway):
    rand = random.Random(25)
    lines = [bytes(rand.choices(b"abc.\t xyz", k=rand.randrange(0, 200))) for _ in range(20_000)]
    body = b"\r\n".join(lines) + b"\r\n"
    digest = hashlib.sha256(body.replace(b"\r\n", b"\n")).hexdigest()
    gateway(campus)
    with Smtp(lab, L.GATEWAY) as client:
        client.sendmail("anna@good.example", ["otto@campus.example"],
                        b"Subject: big\r\nX-Digest: " + digest.encode() + b"\r\n\r\n" + body)
    got = campus.box.wait(digest)
    assert hashlib.sha256(got.split(b"\n\n", 1)[1]).hexdigest() == digest


def test_two_mails_in_one_session(lab, campus, gateway):
    gateway(campus)
    with Smtp(lab, L.GATEWAY) as client:
        for i in range(5):
            client.sendmail("anna@good.example", ["otto@campus.example"],
                            f"Subject: number {i}\r\n\r\nx\r\n".encode())
    assert len(campus.settle()) == 5
