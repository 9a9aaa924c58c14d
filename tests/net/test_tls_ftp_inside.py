"""
What is in transferred files, how transfers go and how they break, once more inside TLS on both legs, control
and data: the same tests, with clients that go through AUTH TLS and say PROT P, and servers that have it.
FIELD rows F16, F18; SECURITY cases F-036, F-037.
"""

import pytest

import test_ftp_content
import test_ftp_faults
import test_ftp_transfers
from tls_ftp_peers import TlsFtpClient

MODES = ["tproxy"]

ELSEWHERE = {
    "test_a_client_that_closes_its_sending_side_during_a_download",  # Python reads nothing behind its close_notify
    "test_reload_during_a_transfer",  # to a configuration without certificates
}

for module in (test_ftp_content, test_ftp_faults, test_ftp_transfers):
    for name, test in vars(module).items():
        if name.startswith("test_") and name not in ELSEWHERE:
            assert name not in globals(), name
            globals()[name] = test
        elif hasattr(test, "_pytestfixturefunction") or hasattr(test, "_fixture_function"):
            globals()[name] = test


@pytest.fixture
def fake_ftp(tls_ftp):
    return tls_ftp


@pytest.fixture
def gateway(gateway, ours):
    def start(to=None, ftp=None, **settings):
        gate = gateway(to, ftp={"starttls": "intercept", **(ftp or {})},
                       certificate={"ours": ours.section}, **settings)
        plain = gate.client
        gate.client = lambda *a, **options: plain(*a, **{"cls": TlsFtpClient, **options})
        return gate

    return start
