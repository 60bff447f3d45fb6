"""The server's life: another user when started as root, new versions while it runs, an orderly end."""
import json
import os
import pathlib
import signal
import subprocess

from conftest import AIMASS, Server, aimass


def ids(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    lines = dict(line.split(":", 1) for line in text.splitlines())
    return [int(x) for x in lines["Uid"].split()], int(lines["NoNewPrivs"])


def test_root_is_given_up_and_new_versions_still_load(tmp_path, rows):
    ws = tmp_path / "ws"
    aimass(ws, "train", "diabetes.yaml", "--quiet")
    assert ws.stat().st_mode & 0o777 == 0o700
    s = Server(ws)
    try:
        uids, no_new_privs = ids(s.process.pid)
        if os.geteuid() == 0:
            assert all(u != 0 for u in uids) and no_new_privs == 1
        else:
            assert all(u == os.geteuid() for u in uids)
        body = json.dumps({"rows": rows["diabetes"][:1]})
        assert s.curl("/api/v1/models/diabetes/predict", "-d", body)["version"] == 1
        aimass(ws, "train", "diabetes.yaml", "--quiet", "--set", "data.split.seed=7")
        assert s.curl("/api/v1/models/diabetes@2/predict", "-d", body)["version"] == 2
        assert s.curl("/api/v1/models/diabetes@1/predict", "-d", body)["version"] == 1
        aimass(ws, "model", "alias", "diabetes@1", "stable")
        assert s.curl("/api/v1/models/diabetes@stable/predict", "-d", body)["version"] == 1
    finally:
        s.process.send_signal(signal.SIGINT)
        assert s.process.wait(timeout=30) == 0


def test_a_second_server_of_the_workspace_is_refused(server):
    done = subprocess.run([AIMASS, "serve", "--port", "0", "--workspace", str(server.workspace)], capture_output=True,
                          text=True, timeout=30)
    assert done.returncode == 1 and done.stderr.count("\n") <= 3 and done.stdout == ""


def test_a_taken_port_is_refused(server, tmp_path):
    done = subprocess.run([AIMASS, "serve", "--port", str(server.port), "--workspace", str(tmp_path / "other")],
                          capture_output=True, text=True, timeout=30)
    assert done.returncode == 1 and "in use" in done.stderr


def test_not_loopback_is_refused(tmp_path):
    done = subprocess.run([AIMASS, "serve", "--host", "0.0.0.0", "--port", "0", "--workspace", str(tmp_path / "o")],
                          capture_output=True, text=True, timeout=30)
    assert done.returncode == 2 and "loopback" in done.stderr


def test_says_loopback_only(tmp_path):
    p = subprocess.Popen([AIMASS, "serve", "--port", "0", "--workspace", str(tmp_path / "ws")], stdout=subprocess.PIPE,
                         text=True)
    try:
        assert "loopback" in p.stdout.readline()
    finally:
        p.terminate()
        assert p.wait(timeout=30) == 0
