"""
Real FTP clients: curl, lftp, tnftp, inetutils-ftp, ncftp and Python's ftplib, each told to work in
one of the ways that it has.
"""

import ftplib
import os

import lab as L
from ftp_servers import PASSWORD, USER


class Way:
    """How data connections are made. classic: PORT and PASV where EPRT and EPSV would do."""

    def __init__(self, active, v6=False, classic=False):
        self.active, self.v6, self.classic = active, v6, classic

    def __str__(self):
        return "-".join(["active" if self.active else "passive", *["v6"] * self.v6,
                         *["classic"] * self.classic])


ACTIVE, PASSIVE = Way(True), Way(False)
ACTIVE6, PASSIVE6 = Way(True, True), Way(False, True)
ACTIVE_CLASSIC, PASSIVE_CLASSIC = Way(True, classic=True), Way(False, classic=True)


def host(address):
    return f"[{address}]" if ":" in address else address


class Program:
    """
    One client program. run() fetches "down" into the file "got" of folder, brings "up" from there,
    and gives what it printed, a listing with it.
    """

    ways = (ACTIVE, PASSIVE, ACTIVE6, PASSIVE6)

    def __init__(self):
        self.name = type(self).__name__.lower()

    def commands(self, address, way):
        """[(argv, standard input)]"""
        raise NotImplementedError

    def run(self, lab, address, way, folder, namespace=None, timeout=60):
        text = ""
        for argv, stdin in self.commands(address, way):
            done = (namespace or lab.client).run(
                *argv, input=stdin, cwd=folder, timeout=timeout,
                env={**os.environ, "HOME": str(folder), "TERM": "dumb"})
            text += done.stdout + done.stderr
        return text


class Curl(Program):
    ways = (ACTIVE, PASSIVE, ACTIVE6, PASSIVE6, ACTIVE_CLASSIC, PASSIVE_CLASSIC)

    def options(self, way):
        chosen = ["-P", "-"] if way.active else ["--ftp-pasv"]
        if way.classic:
            chosen += ["--disable-eprt"] if way.active else ["--disable-epsv", "--ftp-skip-pasv-ip"]
        return ["-sS", "--noproxy", "*", "--connect-timeout", "10", "--ftp-create-dirs", *chosen]

    def commands(self, address, way):
        url = f"ftp://{USER}:{PASSWORD}@{host(address)}/"
        own = self.options(way)
        return [(["curl", *own, url + "down", "-o", "got", "--next", *own, "-T", "up", url,
                  "--next", *own, url], "")]


class Lftp(Program):
    def commands(self, address, way):
        script = f"""set net:max-retries 1; set net:timeout 10; set ftp:ssl-allow no
            set ftp:passive-mode {'no' if way.active else 'yes'}; set cmd:fail-exit yes
            open -u {USER},{PASSWORD} ftp://{host(address)}
            get down -o got; put up; cls -1"""
        return [(["lftp", "-c", script], "")]


class Tnftp(Program):
    def commands(self, address, way):
        script = f"user {USER} {PASSWORD}\nbinary\nget down got\nput up\nls\nquit\n"
        return [(["tnftp", "-n", "-v", "-A" if way.active else "-p", address], script)]


class Inetutils(Program):
    def commands(self, address, way):
        script = f"user {USER} {PASSWORD}\nbinary\nget down got\nput up\nls\nquit\n"
        return [(["inetutils-ftp", "-n", "-v", *([] if way.active else ["-p"]), address], script)]


class Ncftp(Program):
    ways = (ACTIVE, PASSIVE)

    def commands(self, address, way):
        own = ["-E" if way.active else "-F", "-t", "10", "-u", USER, "-p", PASSWORD]
        fetch = ["ncftpget", "-V", "-r", "1", "-c", *own, address, "/down"]
        return [(["sh", "-c", 'exec "$@" >got', "sh", *fetch], ""),
                (["ncftpput", "-V", "-r", "1", *own, address, "/", "up"], ""),
                (["ncftpls", "-l", "-r", "1", *own, f"ftp://{address}/"], "")]


class Ftplib(Program):
    def run(self, lab, address, way, folder, namespace=None, timeout=60):
        def work():
            with ftplib.FTP(timeout=10) as ftp:
                ftp.connect(address, 21)
                ftp.login(USER, PASSWORD)
                ftp.set_pasv(not way.active)
                with open(folder / "got", "wb") as got:
                    ftp.retrbinary("RETR down", got.write)
                with open(folder / "up", "rb") as up:
                    ftp.storbinary("STOR up", up)
                return "\n".join(ftp.nlst())

        return (namespace or lab.client).call(work)


CLIENTS = [Curl(), Lftp(), Tnftp(), Inetutils(), Ncftp(), Ftplib()]
PAIRS = [(program, way) for program in CLIENTS for way in program.ways]


def pair_name(pair):
    return f"{pair[0].name}-{pair[1]}"
