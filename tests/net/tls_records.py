"""
Records of TLS that no library would send: a handshake by Python's ssl, and from there on whatever a test
wants, under the keys of that connection.
"""

import hashlib
import hmac
import socket
import ssl
import struct
import tempfile
from pathlib import Path

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

ALERT, HANDSHAKE, DATA = 21, 22, 23
KEY_UPDATE = b"\x18\x00\x00\x01\x00"  # "update_not_requested" (RFC 8446 s4.6.3)
KEY_UPDATE_ASKED = b"\x18\x00\x00\x01\x01"
HELLO_REQUEST = b"\x00\x00\x00\x00"  # RFC 5246 s7.4.1.1
TICKET = b"\x04\x00\x00\x14" + struct.pack(">II", 3600, 1) + b"\x01n" + b"\x00\x06ticket" + b"\x00\x00"
CIPHERS = "ECDHE+AESGCM"


def expand_label(secret, label, n, digest):
    """HKDF-Expand-Label with an empty context (RFC 8446 s7.1)."""
    label = b"tls13 " + label
    info = struct.pack(">HB", n, len(label)) + label + b"\x00"
    out, block, i = b"", b"", 1
    while len(out) < n:
        block = hmac.new(secret, block + info + bytes([i]), digest).digest()
        out, i = out + block, i + 1
    return out[:n]


def prf(secret, label, seed, n, digest):
    """P_hash of TLS 1.2 (RFC 5246 s5)."""
    seed = label + seed
    out, a = b"", seed
    while len(out) < n:
        a = hmac.new(secret, a, digest).digest()
        out += hmac.new(secret, a + seed, digest).digest()
    return out[:n]


class Keys12:
    """One direction of TLS 1.2 with AES-GCM (RFC 5288): the records behind Finished."""

    def __init__(self, size, digest, master, client_random, server_random, of_client):
        block = prf(master, b"key expansion", server_random + client_random, 2 * size + 8, digest)
        at = 0 if of_client else 1
        self.aead = AESGCM(block[at * size:(at + 1) * size])
        self.salt = block[2 * size + 4 * at:2 * size + 4 * at + 4]
        self.sequence = 1  # Finished was the first one

    def seal(self, content, kind):
        number = struct.pack(">Q", self.sequence)
        aad = number + struct.pack(">BHH", kind, 0x0303, len(content))
        self.sequence += 1
        sealed = number + self.aead.encrypt(self.salt + number, content, aad)
        return struct.pack(">BHH", kind, 0x0303, len(sealed)) + sealed


class Keys13:
    """One direction of TLS 1.3: the records behind Finished, and tickets tickets."""

    def __init__(self, size, digest, secret, tickets=0):
        self.size, self.digest = size, digest
        self._key(secret)
        self.sequence = tickets

    def _key(self, secret):
        self.secret = secret
        self.aead = AESGCM(expand_label(secret, b"key", self.size, self.digest))
        self.iv = expand_label(secret, b"iv", 12, self.digest)
        self.sequence = 0

    def update(self):
        """What is behind a KeyUpdate is under the next key (RFC 8446 s7.2)."""
        n = self.digest().digest_size
        self._key(expand_label(self.secret, b"traffic upd", n, self.digest))

    def seal(self, content, kind):
        header = struct.pack(">BHH", DATA, 0x0303, len(content) + 1 + 16)
        nonce = bytes(a ^ b for a, b in zip(self.iv, struct.pack(">IQ", 0, self.sequence)))
        self.sequence += 1
        return header + self.aead.encrypt(nonce, content + bytes([kind]), header)


class RecordPeer:
    """
    One end of a connection on a socket of its own. version: "1.2" or "1.3"; server: a Certificate, where
    this is the server's end.
    """

    def __init__(self, sock, version, server=None, name="mx.campus.example"):
        self.sock, self.of_client = sock, server is None
        kind = ssl.PROTOCOL_TLS_CLIENT if self.of_client else ssl.PROTOCOL_TLS_SERVER
        context = ssl.SSLContext(kind)
        with tempfile.NamedTemporaryFile() as log:
            context.keylog_filename = log.name
            self._handshake(context, version, server, name)
            secrets = dict(self._secret(line) for line in Path(log.name).read_text().splitlines()
                           if not line.startswith("#"))
        self._keys(version, secrets)

    def _handshake(self, context, version, server, name):
        context.minimum_version = context.maximum_version = getattr(
            ssl.TLSVersion, "TLSv" + version.replace(".", "_"))
        context.set_ciphers(CIPHERS)
        context.check_hostname = False
        if server:
            context.load_cert_chain(server.chain, server.key)
            context.num_tickets = 0
        else:
            context.verify_mode = ssl.CERT_NONE
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_side=not self.of_client,
                                    server_hostname=name if self.of_client else None)
        self.came = self.went = b""
        while True:
            try:
                self.tls.do_handshake()
                self._out()
                return
            except ssl.SSLWantReadError:
                self._out()
                self.take()

    def _out(self):
        octets = self.outgoing.read()
        self.went += octets
        if octets:
            self.sock.sendall(octets)

    def take(self):
        """Whatever comes, into TLS; ConnectionError at the end."""
        octets = self.sock.recv(65536)
        if not octets:
            raise ConnectionResetError("the end")
        self.came += octets
        self.incoming.write(octets)

    @staticmethod
    def _secret(line):
        label, random, secret = line.split()
        return label, (bytes.fromhex(random), bytes.fromhex(secret))

    def _keys(self, version, secrets):
        cipher = self.tls.cipher()[0]
        size, digest = (32, hashlib.sha384) if "256" in cipher.split("GCM")[0] else (16, hashlib.sha256)
        if version == "1.3":
            side = "CLIENT" if self.of_client else "SERVER"
            self.keys = Keys13(size, digest, secrets[f"{side}_TRAFFIC_SECRET_0"][1])
            return
        client_random, master = secrets["CLIENT_RANDOM"]
        hello = self.came if self.of_client else self.went
        server_random = hello[5 + 4 + 2:5 + 4 + 2 + 32]  # behind record, message and version
        self.keys = Keys12(size, digest, master, client_random, server_random, self.of_client)

    def line(self):
        """One line that the other end says."""
        octets = b""
        while not octets.endswith(b"\n"):
            try:
                octets += self.tls.read(1)
            except ssl.SSLWantReadError:
                self.take()
        return octets

    def records(self, *contents, kind=DATA):
        """Each content in a record of its own, in one send."""
        self.sock.sendall(b"".join(self.keys.seal(content, kind) for content in contents))

    def key_updates(self, n, message=KEY_UPDATE):
        octets = b""
        for _ in range(n):
            octets += self.keys.seal(message, HANDSHAKE)
            self.keys.update()
        self.sock.sendall(octets)

    def over(self, timeout=10):
        """Waits until the other end has ended it; how: "reset", "closed", or TimeoutError."""
        self.sock.settimeout(timeout)
        try:
            while self.sock.recv(65536):
                pass
            return "closed"
        except ConnectionError:
            return "reset"
        except socket.timeout:
            raise TimeoutError("it goes on") from None
