"""The sender-domain check against a real resolver: SECURITY cases D-001 to D-020, A-026."""

import time

import pytest

import lab as L
from peers import FakeDns

# id: (sender, code, enhanced code, settings of smtp.sender_domain)
TABLE = {
    "D-001-nxdomain": ("a@nosuch.example", 451, "4.1.8", {}),
    "D-001-other-tld": ("a@nosuch.nowhere", 451, "4.1.8", {}),
    "D-001-empty": ("a@empty.example", 451, "4.1.8", {}),
    "D-001-missing-550": ("a@nosuch.example", 550, "5.1.8", {"missing": 550}),
    "D-001-empty-550": ("a@empty.example", 550, "5.1.8", {"missing": 550}),
    "D-002-servfail": ("a@servfail.example", 451, "4.4.3", {}),
    "D-002-servfail-550": ("a@servfail.example", 451, "4.4.3", {"missing": 550}),
    "D-002-silence": ("a@slow.example", 451, "4.4.3", {"budget": 1}),
    "D-003-cname-loop": ("a@loop1.example", 451, "4.4.3", {"missing": 550}),
    "D-005-null-mx": ("a@nullmx.example", 550, "5.7.27", {}),
    "D-006-localhost": ("a@localhostmx.example", 550, "5.7.27", {}),
    "D-006-loopback": ("a@loopbackmx.example", 550, "5.7.27", {}),
    "D-006-loopback6": ("a@loopback6mx.example", 550, "5.7.27", {}),
    "D-006-zero": ("a@zeromx.example", 550, "5.7.27", {}),
    "D-007-private": ("a@privatemx.example", 250, None, {}),
    "D-007-private-enforced": ("a@privatemx.example", 550, "5.1.8", {"private_mx": "enforce"}),
    "D-008-address": ("a@ipmx.example", 550, "5.1.8", {}),
    "D-009-dead": ("a@deadmx.example", 250, None, {}),
    "D-009-dead-enforced": ("a@deadmx.example", 550, "5.1.8", {"dead_mx": "enforce"}),
    "D-010-no-domain": ("anna", 553, "5.5.4", {}),
    "D-011-null-sender": ("", 250, None, {}),
    "D-012-literal": ("a@[198.51.100.2]", 250, None, {}),
    "D-012-literal-refused": ("a@[198.51.100.2]", 550, None, {"literals": "refuse"}),
    "D-013-mx": ("a@good.example", 250, None, {}),
    "D-013-a-only": ("a@aonly.example", 250, None, {}),
    "D-013-aaaa-only": ("a@aaaaonly.example", 250, None, {}),
    "D-013-cname": ("a@cname.example", 250, None, {}),
    "D-018-sixty-mx": ("a@big.example", 250, None, {}),
    "D-019-xn": ("a@xn--.example", 501, "5.1.7", {}),
    "D-019-label-64": ("a@" + "d" * 64 + ".example", 501, "5.1.7", {}),
    "D-019-underscore": ("a@a_b.example", 501, "5.1.7", {}),
    "D-019-empty-label": ("a@a..example", 501, "5.1.7", {}),
    "exempt": ("a@nosuch.example", 250, None, {"exempt": ["nosuch.example"]}),
    "exempt-below": ("a@x.nosuch.example", 250, None, {"exempt": [".nosuch.example"]}),
    "exempt-not-this": ("a@nosuch.example", 451, "4.1.8", {"exempt": [".nosuch.example"]}),
    "off": ("a@nosuch.example", 250, None, {"check": "off"}),
    "report": ("a@nosuch.example", 250, None, {"check": "report"}),
}


@pytest.mark.parametrize("sender,code,enhanced,settings", TABLE.values(), ids=TABLE.keys())
def test_sender(fake, gateway, sender, code, enhanced, settings):
    server = fake()
    gate = gateway(server, smtp={"sender_domain": settings})
    with gate.client() as client:
        client.hello()
        answer = client.cmd(f"MAIL FROM:<{sender}>")
        assert answer.is_(code, enhanced), answer
    passed = "MAIL" in server.ended().verbs()
    assert passed == (code == 250)


REASONS = {"D-001": "a@nosuch.example", "D-005": "a@nullmx.example", "D-007": "a@privatemx.example",
           "D-009": "a@deadmx.example", "D-008": "a@ipmx.example"}


@pytest.mark.parametrize("sender", REASONS.values(), ids=REASONS.keys())
def test_why_stands_in_the_record(fake, gateway, sender):
    gate = gateway(fake())
    with gate.client() as client:
        client.hello()
        if client.cmd(f"MAIL FROM:<{sender}>").code == 250:
            assert client.cmd("RCPT TO:<otto@campus.example>").code == 250
    verdict = gate.record("smtp")["verdict"]
    assert verdict["rule"] == "sender_domain"
    assert verdict["reason"]


def test_broken_server_says_nxdomain_to_mx_D_014(lab, fake, gateway):
    """Some servers deny the name when asked for MX and know it when asked for A."""
    with FakeDns(lab.server, L.SILENT_DNS, 5353, lambda name, kind: (
            (0, [("A", "203.0.113.7")]) if kind == "A" else (3, []))) as dns:
        gate = gateway(fake(), resolvers=[f"{L.SILENT_DNS}@5353"])
        with gate.client() as client:
            client.hello()
            assert client.cmd("MAIL FROM:<a@broken.example>").code == 250
        assert ("broken.example", "A") in dns.asked


@pytest.mark.parametrize("answer", ["garbage", "refused", "truncated"])
def test_malformed_answer_D_004(lab, fake, gateway, answer):
    script = {"garbage": lambda name, kind: b"\xff" * 40, "refused": lambda name, kind: (5, []),
              "truncated": lambda name, kind: b""}[answer]
    with FakeDns(lab.server, L.SILENT_DNS, 5353, script):
        gate = gateway(fake(), resolvers=[f"{L.SILENT_DNS}@5353"],
                       smtp={"sender_domain": {"budget": 2, "missing": 550}})
        with gate.client() as client:
            client.hello()
            assert client.cmd("MAIL FROM:<a@any.example>").is_(451, "4.4.3")


def test_the_rest_of_a_refused_mail_D_016(fake, gateway):
    server = fake()
    gate = gateway(server)
    with gate.client() as client:
        client.hello()
        client.send("MAIL FROM:<a@nosuch.example>\r\nRCPT TO:<otto@campus.example>\r\nDATA\r\n")
        assert client.reply().is_(451, "4.1.8")
        assert client.reply().is_(503, "5.5.1")
        assert client.reply().is_(503, "5.5.1")
        assert client.cmd("NOOP").code == 250
        client.envelope()
        assert client.data(b"Subject: x\r\n\r\nx\r\n.\r\n").code == 250
    assert len(server.mails) == 1


def test_a_slow_lookup_holds_nobody_else(fake, gateway):
    gate = gateway(fake(), smtp={"sender_domain": {"budget": 3}})
    with gate.client() as slow, gate.client() as quick:
        slow.hello()
        # a name of its own: the resolver remembers for some seconds that others got no answer
        slow.send("MAIL FROM:<a@one.slow.example>\r\nRCPT TO:<otto@campus.example>\r\n")
        began = time.monotonic()
        quick.hello()
        quick.envelope()
        assert quick.data(b"Subject: x\r\n\r\nx\r\n.\r\n").code == 250
        assert time.monotonic() - began < 1
        assert slow.reply().is_(451, "4.4.3")
        assert 2 < time.monotonic() - began < 5
        assert slow.reply().is_(503, "5.5.1")


def test_answers_are_kept(lab, fake, gateway):
    """The second mail of a domain costs no question, be the answer yes or no."""
    with FakeDns(lab.server, L.SILENT_DNS, 5353, lambda name, kind: (
            (0, [("A", "203.0.113.7")]) if kind == "A" and name.startswith("yes") else
            (0, []) if name.startswith("yes") else (3, []))) as dns:
        gate = gateway(fake(), resolvers=[f"{L.SILENT_DNS}@5353"])
        with gate.client() as client:
            client.hello()
            for _ in range(3):
                assert client.cmd("MAIL FROM:<a@yes.example>").code == 250
                assert client.cmd("RSET").code == 250
                assert client.cmd("MAIL FROM:<a@no.example>").code == 451
        assert len(dns.asked) <= 6, dns.asked


def test_dead_resolver_D_015_A_026(fake, gateway):
    """Recognised once, and not once per mail; said with a temporary code."""
    gate = gateway(fake(), resolvers=[L.SILENT_DNS],
                   smtp={"sender_domain": {"budget": 1, "missing": 550}, "errors": 1000},
                   limits={"refusals": 0})
    clients = [gate.client() for _ in range(12)]
    for i, client in enumerate(clients):
        client.hello()
        client.send(f"MAIL FROM:<a@dead{i}.example>\r\nMAIL FROM:<a@dead{i}x.example>\r\n")
    for client in clients:
        assert client.reply(10).is_(451, "4.4.3")
        assert client.reply(10).is_(451, "4.4.3")
    began = time.monotonic()
    for i, client in enumerate(clients[1:]):
        assert client.cmd(f"MAIL FROM:<a@late{i}.example>").is_(451, "4.4.3")
    # but for a probe now and then, nobody waits for it any more
    assert time.monotonic() - began < 3
    assert clients[0].cmd("MAIL FROM:<>").code == 250
    for client in clients:
        client.close()
