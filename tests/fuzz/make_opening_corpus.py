#!/usr/bin/python3
"""Writes the inputs of fuzz_opening to tests/fuzz/corpus/opening: sessions that OpenSSL makes with itself and
their key logs, and some that the harness protects itself."""

import os
import pathlib
import ssl
import subprocess
import tempfile
import warnings

HERE = pathlib.Path(__file__).parent / "corpus" / "opening"
CLIENT, SERVER, SEALED, TRAFFIC, UPDATED, EARLY = 0, 1, 2, 4, 8, 12
SECRET = bytes([1, 2, 3]).ljust(32, b"\0")
V = ssl.TLSVersion
KINDS = {
    "10-cbc": (V.TLSv1, "AES128-SHA"),
    "11-cbc": (V.TLSv1_1, "ECDHE-RSA-AES256-SHA"),
    "12-cbc": (V.TLSv1_2, "ECDHE-RSA-AES128-SHA256"),
    "12-gcm": (V.TLSv1_2, "ECDHE-RSA-AES128-GCM-SHA256"),
    "12-ccm": (V.TLSv1_2, "AES128-CCM8"),
    "12-chacha": (V.TLSv1_2, "ECDHE-RSA-CHACHA20-POLY1305"),
    "13": (V.TLSv1_3, None),
}


def piece(how, octets):
    return bytes([how]) + len(octets).to_bytes(2, "big") + octets


def write(name, keys, pieces):
    keys = keys if isinstance(keys, bytes) else keys.encode()
    (HERE / name).write_bytes(len(keys).to_bytes(2, "big") + keys + b"".join(piece(*p) for p in pieces))


def context(protocol, version, cipher, keys):
    made = ssl.SSLContext(protocol)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        made.minimum_version = made.maximum_version = version
    if cipher:
        made.set_ciphers(cipher + ":@SECLEVEL=0")
    if protocol == ssl.PROTOCOL_TLS_CLIENT:
        made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
        made.keylog_filename = keys
    return made


class Talk:
    def __init__(self, client, server, session):
        self.bios = [ssl.MemoryBIO() for _ in range(4)]
        self.ends = [client.wrap_bio(self.bios[0], self.bios[1], server_hostname="mail.example", session=session),
                     server.wrap_bio(self.bios[2], self.bios[3], server_side=True)]
        self.pieces = []

    def carry(self, side):
        octets = self.bios[1 + 2 * side].read()
        if octets:
            self.pieces.append((side, octets))
            self.bios[2 - 2 * side].write(octets)

    def attempt(self, side, what, *arguments):
        try:
            getattr(self.ends[side], what)(*arguments)
        except ssl.SSLWantReadError:
            pass
        self.carry(side)

    def run(self):
        for _ in range(4):
            self.attempt(0, "do_handshake")
            self.attempt(1, "do_handshake")
        self.attempt(1, "write", b"* OK\r\n")
        self.attempt(0, "read", 100)
        self.attempt(0, "write", b"a1 NOOP\r\n")
        self.attempt(1, "read", 100)
        self.attempt(0, "unwrap")
        self.attempt(1, "unwrap")


def sessions(folder):
    key, chain, keys = f"{folder}/key", f"{folder}/chain", f"{folder}/keys"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3650", "-subj",
                    "/CN=mail.example", "-keyout", key, "-out", chain], check=True, capture_output=True)
    for name, (version, cipher) in KINDS.items():
        server = context(ssl.PROTOCOL_TLS_SERVER, version, cipher, None)
        server.load_cert_chain(chain, key)
        client = context(ssl.PROTOCOL_TLS_CLIENT, version, cipher, keys)
        session = None
        for again in ("", "-resumed"):
            before = os.path.getsize(keys)
            talk = Talk(client, server, session)
            talk.run()
            session = talk.ends[0].session
            write(name + again, pathlib.Path(keys).read_bytes()[before:], talk.pieces)


def message(kind, body=b""):
    return bytes([kind]) + len(body).to_bytes(3, "big") + body


def record(kind, content):
    return bytes([kind, 3, 3]) + len(content).to_bytes(2, "big") + content


def hello(kind, ciphers, extensions, random):
    block = b"".join(t.to_bytes(2, "big") + len(d).to_bytes(2, "big") + d for t, d in extensions)
    return message(kind, b"\3\3" + random + b"\0" + ciphers + len(block).to_bytes(2, "big") + block)


def protected():
    random = bytes(range(32))
    keys = "".join(f"{label} {random.hex()} {SECRET.hex()}\n" for label in (
        "CLIENT_EARLY_TRAFFIC_SECRET", "CLIENT_HANDSHAKE_TRAFFIC_SECRET", "SERVER_HANDSHAKE_TRAFFIC_SECRET",
        "CLIENT_TRAFFIC_SECRET_0", "SERVER_TRAFFIC_SECRET_0"))
    retry = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")
    versions = (43, b"\2\3\4")

    def client(*more):
        return record(22, hello(1, b"\0\2\x13\1\1\0", [versions, *more], random))

    def server(value=bytes(32)):
        return record(22, hello(2, b"\x13\1\0", [(43, b"\3\4")], value))

    early, change = (42, b""), record(20, b"\1")
    accepted, refused = message(8, b"\0\4\0\x2a\0\0"), message(8, b"\0\0")
    finish = message(20, bytes(32))
    rest = [(CLIENT | SEALED, finish + b"\x16"), (SERVER | SEALED | TRAFFIC, b"* OK\r\n\x17"),
            (SERVER | SEALED | TRAFFIC, message(4, bytes(20)) + b"\x16"),
            (CLIENT | SEALED | TRAFFIC, message(24, b"\1") + b"\x16"),
            (CLIENT | SEALED | UPDATED, b"a1 NOOP\r\n\x17\0\0\0"), (CLIENT | SEALED | UPDATED, b"\1\0\x15"),
            (SERVER | SEALED | TRAFFIC, b"\1\0\x15")]
    write("sealed", keys, [(CLIENT, client() + change), (SERVER, server() + change),
                           (SERVER | SEALED, refused + message(11, bytes(50))[:20] + b"\x16"),
                           (SERVER | SEALED, message(11, bytes(50))[20:] + finish + b"\x16"), *rest])
    write("sealed-early", keys, [(CLIENT, client(early)), (CLIENT | SEALED | EARLY, b"a0 NOOP\r\n\x17"), (SERVER, server()),
                                 (SERVER | SEALED, accepted + finish + b"\x16"),
                                 (CLIENT | SEALED | EARLY, message(5) + b"\x16"), *rest])
    write("sealed-early-refused", keys, [(CLIENT, client(early) + record(23, b"x" * 40)), (SERVER, server()),
                                         (SERVER | SEALED, refused + finish + b"\x16"),
                                         (CLIENT, record(23, b"y" * 50)), *rest])
    write("sealed-retry", keys, [(CLIENT, client(early) + record(23, b"x" * 40)), (SERVER, server(retry) + change),
                                 (CLIENT, record(23, b"x" * 40) + client()), (SERVER, server()),
                                 (SERVER | SEALED, refused + finish + b"\x16"), *rest])
    write("no-tls", "", [(CLIENT, b"NOOP\r\n"), (SERVER, b"220 ready\r\n")])
    write("alert", "", [(SERVER, record(21, b"\1\x5a") + record(21, b"\2\x28"))])


def main():
    HERE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        sessions(folder)
    protected()


if __name__ == "__main__":
    main()
