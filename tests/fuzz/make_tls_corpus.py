#!/usr/bin/python3
"""Writes the inputs of fuzz_tls to tests/fuzz/corpus/tls: handshakes that OpenSSL makes with itself."""

import pathlib
import ssl
import subprocess
import tempfile

HERE = pathlib.Path(__file__).parent / "corpus" / "tls"
KINDS = {"ecdsa": ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"], "rsa": ["rsa:2048"]}
VERSIONS = {"12": ssl.TLSVersion.TLSv1_2, "13": ssl.TLSVersion.TLSv1_3}


def contexts(folder, kind, version):
    key, chain = f"{folder}/{kind}.key", f"{folder}/{kind}.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", *KINDS[kind], "-nodes", "-days", "3650",
                    "-subj", "/C=DE/O=B\u00e4r/CN=mail.example", "-utf8", "-addext",
                    "subjectAltName=DNS:mail.example,DNS:*.example,IP:192.0.2.1,IP:2001:db8::1",
                    "-keyout", key, "-out", chain], check=True, capture_output=True)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(chain, key)
    server.minimum_version = server.maximum_version = VERSIONS[version]
    server.set_alpn_protocols(["imap"])
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    client.set_alpn_protocols(["imap", "pop3"])
    return client, server


def step(end):
    try:
        end.do_handshake()
        return True
    except ssl.SSLWantReadError:
        return False


def handshake(client_context, server_context, session):
    """What each side sent, and the session that the client may resume."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(to_client, to_server, server_hostname="mail.example", session=session)
    sent = [b"", b""]
    from_client, from_server = to_server, ssl.MemoryBIO()
    heard = ssl.MemoryBIO()
    server = server_context.wrap_bio(heard, from_server, server_side=True)
    done = [False, False]
    for _ in range(8):
        done[0] = done[0] or step(client)
        octets = from_client.read()
        sent[0] += octets
        heard.write(octets)
        done[1] = done[1] or step(server)
        octets = from_server.read()
        sent[1] += octets
        to_client.write(octets)
    assert all(done)
    server.write(b"* OK\r\n")
    octets = from_server.read()
    sent[1] += octets
    to_client.write(octets)
    client.read(6)  # tickets of TLS 1.3 come ahead of it
    return sent, client.session


def write(name, client, server):
    (HERE / name).write_bytes(len(client).to_bytes(2, "big") + client + server)


def main():
    HERE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for kind in KINDS:
            for version in VERSIONS:
                ends = contexts(folder, kind, version)
                first, session = handshake(*ends, None)
                write(f"{kind}-{version}", *first)
                write(f"{kind}-{version}-resumed", *handshake(*ends, session)[0])
    write("alerts", b"\x15\x03\x01\0\x02\x02\x28", b"\x15\x03\x03\0\x02\x01\0")
    write("no-tls", b"NOOP\r\n", b"220 ready\r\n")
    write("empty-records", b"\x16\x03\x01\0\0" * 20, b"\x16\x03\x03\0\0\x14\x03\x03\0\x01\x01")


main()
