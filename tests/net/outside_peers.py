"""Servers outside with certificates of a test's own CA, good and bad ones, and the gateway's CAs before them."""

import ssl
import subprocess
import tempfile
from datetime import datetime, timedelta, timezone
from pathlib import Path

import lab as L
from gateway import BINARY
from retrieval_peers import FakeImap, FakePop3
from peers import EHLO, FakeServer
from tls_peers import Certificate, TlsConversation, starttls_reply

PORTS = {"smtp": 465, "pop3": 995, "imap": 993}
FAKES = {"smtp": FakeServer, "pop3": FakePop3, "imap": FakeImap}
NAME = "mail.outside.example"


def stamp(days):
    return (datetime.now(timezone.utc) + timedelta(days=days)).strftime("%Y%m%d%H%M%SZ")


class Issued(Certificate):
    """
    A certificate of a server outside, signed by issuer (itself, where there is none).

    begins, ends   days from now
    alternatives   of subjectAltName; None: the name; "": there is none
    subject        more of it, in front of the name
    """

    def __init__(self, lab, name=NAME, issuer=None, rsa=False, begins=-10, ends=30, alternatives=None,
                 subject=""):
        super().__init__(lab, name, rsa)
        folder = self.key.parent
        names = f"DNS:{name}" if alternatives is None else alternatives
        (folder / "index").write_text("")
        (folder / "serial").write_text(f"{id(self) & 0xFFFFFF:06x}0a\n"[-9:].replace("\n", "") + "\n")
        (folder / "ca.conf").write_text(
            "[ca]\ndefault_ca = d\n[d]\ndatabase = index\nserial = serial\nnew_certs_dir = .\n"
            "default_md = sha256\npolicy = p\nunique_subject = no\nemail_in_dn = no\n"
            "[p]\ncountryName = optional\nlocalityName = optional\norganizationName = optional\n"
            "organizationalUnitName = optional\ncommonName = supplied\n"
            "[x]\nbasicConstraints = CA:FALSE\n" + (f"subjectAltName = {names}\n" if names else ""))
        run = {"check": True, "capture_output": True, "cwd": folder}
        subprocess.run(["openssl", "req", "-new", "-key", self.key, "-subj", f"{subject}/CN={name}",
                        "-out", "request.pem"], **run)
        by = issuer or self
        signer = ["-cert", issuer.chain] if issuer else ["-selfsign"]
        subprocess.run(["openssl", "ca", "-batch", "-notext", "-config", "ca.conf", "-extensions", "x",
                        "-in", "request.pem", "-keyfile", by.key, *signer, "-startdate", stamp(begins),
                        "-enddate", stamp(ends), "-preserveDN", "-out", self.chain], **run)
        self.fingerprint = ssl.PEM_cert_to_DER_cert(self.chain.read_text())


class Authorities:
    """What "postern ca init" made."""

    def __init__(self, lab):
        self.folder = Path(tempfile.mkdtemp(dir=lab.dir, prefix="ca-"))
        self.said = subprocess.run([BINARY, "ca", "init", "-d", self.folder, "-o", "Campus"], check=True,
                                   capture_output=True, text=True).stdout
        self.trusted, self.untrusted = self.folder / "ca.pem", self.folder / "untrusted-ca.pem"
        self.keys = [self.folder / "ca.key", self.folder / "untrusted-ca.key"]

    @property
    def settings(self):
        """For "tls" of a gateway's settings."""
        return {"ca": str(self.trusted), "ca_key": str(self.keys[0]),
                "untrusted_ca": str(self.untrusted), "untrusted_ca_key": str(self.keys[1])}


class Implicit:
    """The script of a server that speaks TLS from the first octet on."""

    def __init__(self, context):
        self.context, self.names, self.serve = context, [], None
        context.sni_callback = lambda sock, name, of: self.names.append(name)

    def __call__(self, conversation):
        conversation.__class__ = TlsConversation
        conversation.wrap_with(self.context, server_side=True)
        self.serve(conversation)


def outside_server(namespace, address, protocol, certificate, port=0, implicit=True, version=None, **options):
    """A scripted server; its names: what clients asked for."""
    context = certificate.server_context(version)
    if implicit:
        script = Implicit(context)
        server = FAKES[protocol](namespace, address, port=port, script=script, **options)
        script.serve = server.serve
        server.names = script.names
        return server
    names = []
    context.sni_callback = lambda sock, name, of: names.append(name)
    start = starttls_reply(context, {"smtp": b"220 2.0.0 go ahead\r\n", "pop3": b"+OK go ahead\r\n",
                                     "imap": b"<tag> OK go ahead\r\n"}[protocol])
    verb = "STLS" if protocol == "pop3" else "STARTTLS"
    more = {"smtp": {"ehlo": (*EHLO, "STARTTLS")}, "pop3": {"capa": ("STLS", "USER", "UIDL")},
            "imap": {"capabilities": FakeImap.CAPABILITIES + " STARTTLS"}}[protocol]
    server = FAKES[protocol](namespace, address, port=port, replies={verb: start}, **more, **options)
    server.names = names
    return server


def trusting(path, version=None):
    """A client's context that trusts the certificates of a file, and checks names."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(path)
    if version:
        context.minimum_version = context.maximum_version = version
    return context


def parsed(der):
    """{what: text} of a certificate, as openssl prints it."""
    pem = ssl.DER_cert_to_PEM_cert(der)
    done = subprocess.run(["openssl", "x509", "-noout", "-subject", "-issuer", "-startdate", "-enddate",
                           "-serial", "-ext", "subjectAltName,crlDistributionPoints,authorityInfoAccess",
                           "-nameopt", "RFC2253", "-dateopt", "iso_8601"],
                          input=pem, capture_output=True, text=True, check=True)
    facts = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line and line[0] != " ")
    facts["names"] = [n.strip() for line in done.stdout.splitlines() if "DNS:" in line or "IP A" in line
                      for n in line.split(",")]
    for key in ("notBefore", "notAfter"):
        facts[key] = datetime.fromisoformat(facts[key].replace("Z", "+00:00"))
    return facts
