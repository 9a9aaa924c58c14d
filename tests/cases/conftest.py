"""The folder of foreign cases comes from CASES, the gateways under test from POSTERN."""

import os
import pathlib

import pytest

from gate import Gateway
from dialogue import Client, Server

GATEWAYS = os.environ.get("POSTERN", "build/postern build/san/postern").split()


def cases_folder():
    """Tests over a folder that is not there would look like tests that passed."""
    folder = os.environ.get("CASES", "")
    if not folder or not os.path.isdir(folder):
        raise pytest.UsageError(f"CASES={folder!r} is no folder: make test-cases CASES=folder")
    return pathlib.Path(folder).resolve()


class Lab:
    """Server, gateway and clients of one test; all of them end with it."""

    def __init__(self, binary, folder):
        self.binary, self.folder = binary, folder
        self.server = self.gateway = None
        self.clients = []

    def start(self, server=None, **gateway):
        self.server = server or Server()
        self.gateway = Gateway(self.binary, self.folder, self.server.port, **gateway)
        return self

    def client(self):
        self.clients.append(Client(self.gateway.address))
        return self.clients[-1]

    def stop(self):
        for client in self.clients:
            client.close()
        try:
            if self.gateway:
                self.gateway.stop()
        finally:
            if self.server:
                self.server.close()


@pytest.fixture(params=GATEWAYS)
def lab(request, tmp_path):
    here = Lab(request.param, tmp_path)
    yield here
    here.stop()
