"""
Real FTP servers in the server namespace: vsftpd, Pure-FTPd, ProFTPD, each on both families, each with
AUTH TLS for those who ask for it; vsftpd speaks TLS from the first octet on too, on port 990.
"""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import lab as L
from lab import ROOT, Daemon, LabError, can_connect
from tls_peers import Certificate

UNPACKED = ROOT / "build/lab/ftp"  # not installed: each package would replace the others
UID = 61021                        # of both users below, on no system
USER, PASSWORD = "anna", "secret-of-anna"
PASSWD = """\
root:x:0:0::/root:/bin/sh
nobody:x:65534:65534::/nonexistent:/usr/sbin/nologin
ftp:x:{uid}:{uid}::{home}:/bin/sh
{user}:x:{uid}:{uid}::{home}:/bin/sh
"""
GROUP = "root:x:0:\nnogroup:x:65534:\nftp:x:{uid}:\n"

VSFTPD = """\
listen={v4}
listen_ipv6={v6}
{listen}
background=NO
seccomp_sandbox=NO
isolate=NO
isolate_network=NO
anonymous_enable=YES
local_enable=YES
anon_root={dir}/anon
chroot_local_user=YES
allow_writeable_chroot=YES
write_enable=YES
anon_upload_enable=YES
anon_mkdir_write_enable=YES
anon_other_write_enable=YES
anon_world_readable_only=NO
no_anon_password=YES
local_umask=022
anon_umask=022
ascii_upload_enable=YES
ascii_download_enable=YES
ls_recurse_enable=YES
connect_from_port_20=YES
nopriv_user=nobody
secure_chroot_dir={dir}/empty
pam_service_name=other
max_per_ip=0
max_clients=0
max_login_fails=10
delay_failed_login=0
ssl_enable=YES
allow_anon_ssl=YES
force_local_data_ssl=NO
force_local_logins_ssl=NO
require_ssl_reuse=YES
ssl_ciphers=HIGH
rsa_cert_file={pem}
{tls}
{more}
"""

PROFTPD = """\
ServerName "files"
ServerType standalone
DefaultServer on
DefaultAddress {address} {address6}
SocketBindTight on
Port 21
UseIPv6 on
User nobody
Group nogroup
UseReverseDNS off
RequireValidShell off
AuthPAM off
AuthOrder mod_auth_unix.c
DefaultRoot ~
Umask 022
MaxInstances none
TimesGMT on
ScoreboardFile {dir}/scoreboard
PidFile {dir}/pid
DelayEngine off
SystemLog {dir}/system.log
TransferLog {dir}/xferlog
WtmpLog off
AllowOverwrite on
AllowStoreRestart on
AllowRetrieveRestart on
UseSendfile on
ModulePath {modules}
LoadModule mod_tls.c
TLSEngine on
TLSRequired off
TLSLog {dir}/tls.log
TLSProtocol TLSv1.2 TLSv1.3
TLSRSACertificateFile {pem}
TLSRSACertificateKeyFile {pem}
<Anonymous ~ftp>
  User ftp
  Group ftp
  UserAlias anonymous ftp
  RequireValidShell off
</Anonymous>
{more}
"""


def sha256(octets):
    return hashlib.sha256(octets).hexdigest()


class FtpServer:
    """
    One real server. USER and anonymous both see "home" as their root; they are known to it alone.

    name       "vsftpd", "pureftpd", "proftpd"
    lab        its "server" namespace must have the server's addresses
    more       lines, or for Pure-FTPd arguments, beside the ordinary ones
    anonymous  where anonymous finds "home": vsftpd lets him write anywhere but into his root
    """

    protocol = "ftp"
    ADDRESSES = {"vsftpd": (L.VSFTPD, L.VSFTPD6), "pureftpd": (L.PUREFTPD, L.PUREFTPD6),
                 "proftpd": (L.PROFTPD, L.PROFTPD6)}

    def __init__(self, lab, name, more=()):
        self.lab, self.name, self.more = lab, name, list(more)
        self.address, self.address6 = self.ADDRESSES[name]
        if not (UNPACKED / "usr/sbin/proftpd").exists():
            raise LabError(f"{UNPACKED} is not there; run: make deps-lab")
        self.dir = lab.folder(name)
        self.home = self.dir / "home"
        self.resumes = name != "pureftpd"  # which gives no tickets
        self.anonymous = "/pub" if name == "vsftpd" else ""
        (self.dir / "empty").mkdir()
        (self.dir / "anon/pub").mkdir(parents=True)
        self.certificate = Certificate(lab, "files.campus.example", rsa=True)
        self.pem = self.dir / "tls.pem"
        self.pem.write_text(self.certificate.key.read_text() + self.certificate.chain.read_text())
        self.pem.chmod(0o600)
        self._accounts()
        self.clear()
        self.daemons = [Daemon(lab.server, argv, self.dir / "stderr", before=self._own_accounts())
                        for argv in getattr(self, "_" + name)()]
        for daemon in self.daemons:
            lab.at_end(daemon.stop)
        for address in (self.address, self.address6):
            self.daemons[-1].wait_ready(lambda a=address: can_connect(lab.server, a, 21), name)

    def _accounts(self):
        hashed = subprocess.run(["openssl", "passwd", "-5", "-salt", "lab", PASSWORD], check=True,
                                capture_output=True, text=True).stdout.strip()
        (self.dir / "passwd").write_text(PASSWD.format(uid=UID, user=USER, home=self.home))
        (self.dir / "group").write_text(GROUP.format(uid=UID))
        shadow = f"{USER}:{hashed}:19000:0:99999:7:::\nftp:*:19000:0:99999:7:::\n"
        (self.dir / "shadow").write_text(shadow)
        (self.dir / "shadow").chmod(0o600)

    def _own_accounts(self):
        mounts = [f"mount --bind {self.dir}/{name} /etc/{name}"
                  for name in ("passwd", "group", "shadow")]
        return "\n".join([*mounts, f"mount --bind {self.home} {self.dir}/anon/pub"])

    def _vsftpd(self):
        """One listens on one address only, and speaks TLS from the first octet on or not."""
        implicit = "implicit_ssl=YES\nlisten_port=990"
        for name, listen, tls in (("v4-tls", f"listen_address={self.address}", implicit),
                                  ("v4", f"listen_address={self.address}", ""),
                                  ("v6", f"listen_address6={self.address6}", "")):
            path = self.dir / f"{name}.conf"
            path.write_text(VSFTPD.format(
                v4="NO" if name == "v6" else "YES", v6="YES" if name == "v6" else "NO",
                listen=listen, dir=self.dir, pem=self.pem, tls=tls, more="\n".join(self.more)))
            yield [UNPACKED / "usr/sbin/vsftpd", path]

    def _pureftpd(self):
        for address in (self.address, self.address6):
            yield [UNPACKED / "usr/sbin/pure-ftpd", "-S", f"{address},21", "-A", "-H", "-c", "1000",
                   "-C", "1000", "-u", "1", "-U", "022:022", "-l", "unix", "-g",
                   self.dir / f"{address}.pid", "-O", f"clf:{self.dir}/transfers", "-Y", "1", "-2", self.pem,
                   *self.more]

    def _proftpd(self):
        path = self.dir / "proftpd.conf"
        path.write_text(PROFTPD.format(address=self.address, address6=self.address6, dir=self.dir,
                                       pem=self.pem, modules=UNPACKED / "usr/lib/proftpd",
                                       more="\n".join(self.more)))
        yield [UNPACKED / "usr/sbin/proftpd", "-n", "-c", path]

    def clear(self):
        """As on the first day: nothing but an empty folder that everybody may write to."""
        self.home.mkdir(exist_ok=True)
        for path in self.home.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        os.chown(self.home, UID, UID)
        (self.home / "incoming").mkdir()
        os.chown(self.home / "incoming", UID, UID)

    def put(self, name, octets):
        """A file that is there."""
        path = self.home / name
        path.write_bytes(octets)
        os.chown(path, UID, UID)
        return octets

    def path(self, name):
        return Path(self.home / name)

    def read(self, name):
        return self.path(name).read_bytes()

    def names(self):
        return sorted(p.name for p in self.home.iterdir() if p.name != "incoming")

    def log(self):
        return (self.dir / "stderr").read_text(errors="replace")
