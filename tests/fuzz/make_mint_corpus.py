#!/usr/bin/python3
"""Writes the inputs of fuzz_mint to tests/fuzz/corpus/mint: certificates that OpenSSL makes, and questions."""

import pathlib
import ssl
import struct
import subprocess
import tempfile

HERE = pathlib.Path(__file__).parent / "corpus" / "mint"
EC = ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
CERTIFICATES = {
    "ecdsa": (EC, "/C=DE/ST=NRW/L=K\u00f6ln/O=B\u00e4r/OU=IT/CN=mail.example",
              "DNS:mail.example,DNS:*.mail.example,IP:192.0.2.1,IP:2001:db8::1,email:a@mail.example"),
    "rsa": (["rsa:2048"], "/CN=mail.example", None),
    "no_subject": (EC, "/", "DNS:mail.example"),
    "odd_names": (EC, "/CN=*.*", "DNS:*.*,DNS:a b,DNS:*,URI:x:y,IP:192.0.2.255"),
    "many_names": (EC, "/CN=x", ",".join(f"DNS:{i}.x" for i in range(300))),
}


def certificate(kind, subject, names):
    with tempfile.TemporaryDirectory() as folder:
        more = ["-addext", f"subjectAltName={names}"] if names else []
        subprocess.run(["openssl", "req", "-x509", "-newkey", *kind, "-nodes", "-days", "3650", "-utf8",
                        "-subj", subject, *more, "-keyout", "key", "-out", "chain"], cwd=folder, check=True,
                       capture_output=True)
        return ssl.PEM_cert_to_DER_cert((pathlib.Path(folder) / "chain").read_text())


def main():
    HERE.mkdir(parents=True, exist_ok=True)
    for name, how in CERTIFICATES.items():
        (HERE / name).write_bytes(b"\0" + certificate(*how))
    for name, dates in {"question": (1795000000, 1796000000), "dates": (5, 5)}.items():
        (HERE / name).write_bytes(b"\1" + struct.pack("<qq", *dates))


main()
