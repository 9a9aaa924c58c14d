"""
The relay check (SECURITY cases R-001 to R-036) and the rules against smuggling (S-001 to S-018) once
more, inside TLS on both legs: the same tests, with clients that go through STARTTLS and servers that
have it.
"""

import pytest

import test_framing
import test_relay
from peers import EHLO
from tls_peers import Certificate, TlsClient, starttls_reply

MODES = ["forward"]

ELSEWHERE = {
    "test_relaying_denied_with_starttls_in_between",  # STARTTLS that is refused
    "test_the_host_relays_without_a_gateway",
    "test_transit_is_recorded_and_not_judged",  # a server outside, for which there is no certificate
    "test_smuggling_before_exim",  # it has no TLS here; before Postfix the same sequences are tried
}

for module in (test_relay, test_framing):
    for name, test in vars(module).items():
        if name.startswith("test_") and name not in ELSEWHERE:
            assert name not in globals(), name
            globals()[name] = test


@pytest.fixture(scope="session")
def certificate(lab):
    return Certificate(lab, "mx.campus.example")


def from_here_on(context):
    """What a server keeps begins inside TLS."""
    start = starttls_reply(context)

    def reply(conversation, line):
        start(conversation, line)
        conversation.forget()
        return b""

    return reply


@pytest.fixture
def fake(fake, certificate):
    def start(*address, ehlo=EHLO, replies=None, **options):
        begin = from_here_on(certificate.server_context())
        return fake(*address, ehlo=(*ehlo, "STARTTLS"), replies={"STARTTLS": begin, **(replies or {})},
                    **options)

    return start


@pytest.fixture
def gateway(gateway, certificate):
    def start(to=None, smtp=None, **settings):
        gate = gateway(to, smtp={"starttls": "intercept", **(smtp or {})},
                       certificate={"mx": certificate.section}, **settings)
        plain = gate.client
        gate.client = lambda *a, **options: plain(*a, **{"cls": TlsClient, **options})
        return gate

    return start
