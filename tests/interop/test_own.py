"""/api/v1, /metrics, the OpenAPI document, and the probes of raw bytes."""
import json
import re
import socket

import pytest


def test_all_rows_as_the_command_line_predicts_them(server, rows, predicted):
    for name, some in rows.items():
        answer = server.curl(f"/api/v1/models/{name}/predict", "-d", json.dumps({"rows": some[:60]}))
        assert answer["model"] == name and answer["version"] == 1
        for got, want in zip(answer["predictions"], predicted[name][:60], strict=True):
            text = json.dumps(want)
            if "value" in got:
                assert any(isinstance(v, float) and abs(v - got["value"]) <= 1e-6 * abs(v) for v in want.values()), text
            else:
                assert got["label"] in want.values(), text
                assert abs(sum(got["probability"].values()) - 1) < 1e-6


def test_aliases_and_versions(server, rows):
    body = json.dumps({"rows": rows["breast-cancer"][:3]})
    paths = ["/api/v1/models/breast-cancer/predict", "/api/v1/models/breast-cancer@champion/predict",
             "/api/v1/models/breast-cancer@1/predict", "/api/v1/models/breast-cancer/versions/1/predict"]
    answers = [server.curl(p, "-d", body) for p in paths]
    assert all(a == answers[0] for a in answers)
    assert server.curl("/api/v1/models/breast-cancer@9/predict", "-d", body, status=404)["status"] == 404
    assert "breast-cancer" in [m["model"] for m in server.curl("/api/v1/models")["models"]]
    detail = server.curl("/api/v1/models/breast-cancer")
    assert detail["list"][0]["state"] == "ready" and len(detail["list"][0]["columns"]) == 30
    assert "path" not in json.dumps(detail)


def test_bad_rows_name_the_column(server, rows):
    row = dict(rows["breast-cancer"][0])
    value = row.pop("mean_radius", None)
    if value is None:
        value = row.pop(next(iter(row)))
    answer = server.curl("/api/v1/models/breast-cancer/predict", "-d", json.dumps({"rows": [row]}), status=400)
    assert "is absent" in answer["detail"] and answer["request_id"]
    answer = server.curl("/api/v1/models/two-columns/predict", "-d",
                         '{"rows":[{"petal_width":1,"petal_lenght":2}]}', status=400)
    assert answer["hint"] == 'Did you mean "petal_length"?'


def test_openapi_names_every_path(server):
    doc = server.curl("/openapi.json")
    assert doc == server.curl("/api/v1/openapi.json")
    assert doc["openapi"].startswith("3.1")
    for path, methods in doc["paths"].items():
        for method, operation in methods.items():
            names = set(re.findall(r"{(\w+)}", path))
            assert names == {p["name"] for p in operation["parameters"]}
            for ref in re.findall(r'"#/components/schemas/(\w+)"', json.dumps(operation)):
                assert ref in doc["components"]["schemas"]
            concrete = path.replace("{model}", "diabetes").replace("{selector}", "1")
            args = ["-X", method.upper()] + (["-d", "{}"] if method == "post" else [])
            data, _ = server.raw(f"{method.upper()} {concrete} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
                                 f"Content-Length: {2 if args[2:] else 0}\r\n\r\n{'{}' if args[2:] else ''}".encode())
            assert b"no such path" not in data and b" 405 " not in data, path


def test_prometheus_text(server):
    data, _ = server.raw(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    text = data.partition(b"\r\n\r\n")[2].decode()
    typed, seen = {}, set()
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split()
            assert name not in typed
            typed[name] = kind
        elif not line.startswith("#"):
            m = re.fullmatch(r'([a-zA-Z_:][\w:]*)(\{(?:\w+="[^"\\]*",?)*\})? (\S+)', line)
            assert m, line
            float(m[3])
            assert (m[1], m[2]) not in seen, line
            seen.add((m[1], m[2]))
            assert m[1] in typed or re.sub(r"_(bucket|sum|count)$", "", m[1]) in typed, line
    assert 'nv_inference_request_success{model="breast-cancer",version="1"}' in text


BODY = b"{" + b"x" * 198 + b"}"
HEAD = b"POST /v2/models/diabetes/infer HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 200\r\n\r\n"


def status(data):
    return [int(s) for s in re.findall(rb"HTTP/1\.1 (\d+)", data)]


@pytest.mark.parametrize("sent, want, closes", [
    ((HEAD + BODY) * 8, [400] * 8, False),
    (b"POST /v2/models/diabetes/infer HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n64\r\n" + BODY[:100]
     + b"\r\n64\r\n" + BODY[100:] + b"\r\n0\r\n\r\n", [400], False),
    (HEAD.replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n") + b"0\r\n\r\n" + BODY, [400], True),
    (HEAD.replace(b"200\r\n\r\n", b"200\r\nContent-Length: 20\r\n\r\n") + BODY, [400], True),
    (HEAD.replace(b": 200", b": +200") + BODY, [400], True),
    (HEAD.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n"), [100], False),
    (HEAD.replace(b": 200", b": 104857600") + BODY, [413], True),
], ids=["8 pipelined", "chunked", "CL+TE", "two CLs", "CL:+200", "Expect", "100 MB"])
def test_probes(server, sent, want, closes):
    got, _ = server.raw(sent, timeout=2)
    assert status(got)[0] == want[0]
    if closes:
        assert len(status(got)) == 1


def test_eight_pipelined_come_in_order(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=5) as s:
        s.sendall((HEAD + BODY) * 8)
        got = b""
        while got.count(b"HTTP/1.1 400") < 8:
            chunk = s.recv(65536)
            assert chunk
            got += chunk
