"""Certificates, and both ends of TLS: what a test wants of a client and of a scripted server."""

import ssl
import subprocess
import tempfile
from pathlib import Path

from peers import Closed, Conversation, RawClient
from retrieval_peers import ImapClient, Pop3Client

VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


class Certificate:
    """A key and a certificate in files, signed by itself or by another; rsa, or P-256."""

    def __init__(self, lab, name, rsa=False, days=2, issuer=None):
        self.name = name
        folder = Path(tempfile.mkdtemp(dir=lab.dir, prefix=f"certificate-{name}-"))
        self.key, self.chain = folder / "key.pem", folder / "chain.pem"
        kind = ["rsa:2048"] if rsa else ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        signer = ["-CA", issuer.chain, "-CAkey", issuer.key] if issuer else []
        subprocess.run(["openssl", "req", "-x509", "-newkey", *kind, "-nodes", "-days", str(days),
                        "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}", *signer,
                        "-keyout", self.key, "-out", self.chain], check=True, capture_output=True)
        self.key.chmod(0o600)
        self.fingerprint = ssl.PEM_cert_to_DER_cert(self.chain.read_text().split(
            "-----END CERTIFICATE-----")[0] + "-----END CERTIFICATE-----\n")

    @property
    def section(self):
        """For "certificate" of a gateway's settings."""
        return {"chain": str(self.chain), "key": str(self.key)}

    def server_context(self, version=None, alpn=()):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.chain, self.key)
        if version:
            context.minimum_version = context.maximum_version = VERSIONS[version]
        if alpn:
            context.set_alpn_protocols(list(alpn))
        return context


def client_context(version=None, trusted=None, alpn=()):
    """trusted: a Certificate that must be the server's; None: any is good."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = trusted is not None
    context.verify_mode = ssl.CERT_REQUIRED if trusted else ssl.CERT_NONE
    if trusted:
        context.load_verify_locations(trusted.chain)
    if version:
        context.minimum_version = context.maximum_version = VERSIONS[version]
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


class Ending:
    """Tells a close_notify from a cut: Python's sockets take both for an end, unless told not to."""

    heard_end = False

    def fill(self, timeout=None):
        try:
            super().fill(timeout)
        except ssl.SSLEOFError:
            raise Closed(bytes(self.pending)) from None
        except ssl.SSLZeroReturnError:  # Python's word for an end, where we have said ours
            self.heard_end = True
            raise Closed(bytes(self.pending)) from None
        except Closed:
            self.heard_end = isinstance(self.sock, ssl.SSLSocket)
            raise

    def wrap_with(self, context, **options):
        assert not self.pending, self.pending
        self.sock.settimeout(self.timeout)
        self.sock = context.wrap_socket(self.sock, suppress_ragged_eofs=False, **options)


class TlsConversation(Ending, Conversation):
    """What a FakeServer hears that goes into TLS."""

    def forget(self):
        """What was said before TLS is not kept."""
        self.commands.clear()
        self._received.clear()


def starttls_reply(context, before=b"220 2.0.0 go ahead\r\n"):
    """
    For the replies of fake servers: STARTTLS is answered, and the dialogue goes on in TLS. <tag> in before
    is the command's.
    """

    def start(conversation, line):
        conversation.send(before.replace(b"<tag>", line.split(b" ", 1)[0]))
        conversation.__class__ = TlsConversation
        conversation.wrap_with(context, server_side=True)
        return b""

    return start


class Upgrading(Ending):
    """What clients of all protocols do: from here on in TLS."""

    context = session = None

    def wrap(self, context=None, name="mx.campus.example"):
        self.wrap_with(context or self.context or client_context(), server_hostname=name,
                       session=self.session)

    def say_end(self):
        """close_notify, and nothing more; what the other side says is not waited for."""
        self.sock.settimeout(0)
        try:
            self.sock.unwrap()
        except (ssl.SSLError, OSError):
            pass


class TlsPop3(Upgrading, Pop3Client):
    """A POP3 client that can go into TLS."""


class TlsImap(Upgrading, ImapClient):
    """An IMAP client that can go into TLS."""


class TlsClient(Upgrading, RawClient):
    """An SMTP client whose hello() goes through STARTTLS, and says EHLO again inside."""

    def upgrade(self, context=None, name="mx.campus.example"):
        answer = self.cmd("STARTTLS")
        assert answer.code == 220, answer
        self.wrap(context, name)

    def hello(self, name="client.good.example", verb="EHLO"):
        super().hello(name, "EHLO")
        self.upgrade()
        answer = self.cmd(f"{verb} {name}")
        assert answer.code == 250, answer
        return answer
