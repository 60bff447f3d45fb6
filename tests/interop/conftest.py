"""One workspace with four trained examples and one server for all tests."""
import csv
import json
import os
import pathlib
import shutil
import socket
import subprocess

import pytest

AIMASS = os.environ["AIMASS"]
ENV = {**os.environ, "LC_ALL": "C.UTF-8"}
EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples"


def aimass(workspace, *args, stdin=None):
    done = subprocess.run([AIMASS, *args, "--workspace", str(workspace)], input=stdin, capture_output=True, text=True,
                          cwd=EXAMPLES, timeout=120, env=ENV)
    assert done.returncode == 0, done.stderr
    return done.stdout


class Server:
    """`aimass serve` on a free port; its first line of output says where."""

    def __init__(self, workspace, *args):
        self.workspace = workspace
        self.process = subprocess.Popen([AIMASS, "serve", "--port", "0", "--json", "--workspace", str(workspace), *args],
                                        stdout=subprocess.PIPE, text=True, env=ENV)
        self.ready = json.loads(self.process.stdout.readline())
        self.port = self.ready["port"]
        self.address = f"127.0.0.1:{self.port}"
        self.url = f"http://{self.address}"

    def stop(self):
        self.process.terminate()
        return self.process.wait(timeout=30)

    def curl(self, path, *args, status=200):
        """The documented way to ask; gives the parsed body."""
        done = subprocess.run(["curl", "-sS", "-m", "20", "-w", "\n%{http_code}", *args, self.url + path],
                              capture_output=True, text=True, check=True)
        body, _, code = done.stdout.rpartition("\n")
        assert int(code) == status, done.stdout
        return json.loads(body) if body else None

    def raw(self, data, timeout=5):
        """Bytes on a new connection; everything that comes until the peer closes or is silent."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=timeout) as s:
            s.sendall(data)
            got = b""
            try:
                while chunk := s.recv(65536):
                    got += chunk
                    if b"\r\n\r\n" in got and complete(got):
                        return got, False
            except TimeoutError:
                return got, False
            return got, True


def complete(data):
    """Do the answers in data end with a whole one?"""
    while data:
        head, sep, rest = data.partition(b"\r\n\r\n")
        if not sep:
            return False
        lengths = [line.split(b":")[1] for line in head.split(b"\r\n")[1:] if line.lower().startswith(b"content-length:")]
        n = int(lengths[0]) if lengths else 0
        if len(rest) < n:
            return False
        data = rest[n:]
    return True


@pytest.fixture(scope="session")
def workspace(tmp_path_factory):
    path = tmp_path_factory.mktemp("interop") / "ws"
    for name in ("breast_cancer", "diabetes", "two_columns", "sensor_anomaly"):
        aimass(path, "train", f"{name}.yaml", "--quiet")
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def server(workspace):
    s = Server(workspace)
    yield s
    assert s.stop() == 0


@pytest.fixture(scope="session")
def rows():
    """example name -> rows of its file without what the model does not take, numbers as float."""
    def read(name, unused, *texts):
        with open(EXAMPLES / f"{name}.csv", newline="", encoding="utf-8") as f:
            return [{k: v if k in texts else float(v) for k, v in row.items() if k not in unused}
                    for row in csv.DictReader(f)]
    return {"breast-cancer": read("breast_cancer", ["diagnosis"]), "diabetes": read("diabetes", ["progression"], "sex"),
            "two-columns": read("two_columns", ["species", "sepal_width", "sepal_length"], "flower")}


@pytest.fixture(scope="session")
def predicted(workspace, rows):
    """example name -> what `aimass predict` says of the same rows."""
    return {name: json.loads(aimass(workspace, "predict", name, "-", "--format", "json", stdin=json.dumps(some)))
            for name, some in rows.items()}
