"""tritonclient.http from PyPI, as it comes."""
import json

import numpy as np
import pytest
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException


@pytest.fixture(scope="module")
def client(server):
    with triton.InferenceServerClient(server.address, concurrency=4) as c:
        yield c


def inputs_of(columns, binary=True):
    out = []
    for name, values in columns.items():
        text = isinstance(values[0], str)
        i = triton.InferInput(name, [len(values), 1], "BYTES" if text else "FP64")
        i.set_data_from_numpy(np.array(values, dtype=object if text else np.float64).reshape(-1, 1), binary_data=binary)
        out.append(i)
    return out


def columns_of(rows):
    return {k: [r[k] for r in rows] for k in rows[0]}


def test_health_and_metadata(client):
    assert client.is_server_live() and client.is_server_ready()
    assert client.is_model_ready("breast-cancer") and client.is_model_ready("breast-cancer", "1")
    assert "binary_tensor_data" in client.get_server_metadata()["extensions"]
    meta = client.get_model_metadata("breast-cancer")
    assert len(meta["inputs"]) == 30 and [o["name"] for o in meta["outputs"]] == ["probabilities", "label"]
    assert {"name": "breast-cancer", "version": "1", "state": "READY"} in client.get_model_repository_index()
    assert not client.is_model_ready("nothing")


@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False])
def test_infer_classes(client, server, rows, binary_in, binary_out):
    some = rows["breast-cancer"][:20]
    outputs = [triton.InferRequestedOutput("label", binary_data=binary_out),
               triton.InferRequestedOutput("probabilities", binary_data=binary_out)]
    result = client.infer("breast-cancer", inputs_of(columns_of(some), binary=binary_in), request_id="7", outputs=outputs)
    want = server.curl("/api/v1/models/breast-cancer/predict", "-d", json.dumps({"rows": some}))["predictions"]
    labels = [v.decode() if isinstance(v, bytes) else v for v in result.as_numpy("label").tolist()]
    assert labels == [p["label"] for p in want]
    got = result.as_numpy("probabilities")
    assert got.dtype == np.float32 and got.shape == (20, 2)
    exact = np.array([list(p["probability"].values()) for p in want], dtype=np.float32)
    assert np.array_equal(got, exact)
    assert result.get_response()["id"] == "7"


@pytest.mark.parametrize("binary", [True, False])
def test_infer_outputs_of_a_model_without_a_target(client, server, binary):
    some = np.array([[0, 43.8, 30.2], [0, 90, 55], [1, 44, 25]])
    i = triton.InferInput("input", list(some.shape), "FP64")
    i.set_data_from_numpy(some, binary_data=binary)
    meta = {o["name"]: o for o in client.get_model_metadata("sensor-anomaly")["outputs"]}
    assert list(meta) == ["anomaly_score", "is_anomaly", "embedding", "reconstruction"]
    plain = client.infer("sensor-anomaly", [i])
    assert [o["name"] for o in plain.get_response()["outputs"]] == ["anomaly_score", "is_anomaly"]
    wanted = [triton.InferRequestedOutput(name, binary_data=binary) for name in ("reconstruction", "embedding", "is_anomaly")]
    result = client.infer("sensor-anomaly", [i], outputs=wanted)
    back, code, flags = (result.as_numpy(o.name()) for o in wanted)
    assert back.dtype == np.float64 and back.shape == (3, 3) and code.dtype == np.float32 and code.shape == (3, 1)
    assert flags.dtype == bool and flags.tolist() == plain.as_numpy("is_anomaly").tolist() and flags[1] and not flags[0]
    assert result.as_numpy("anomaly_score") is None
    want = server.curl("/api/v1/models/sensor-anomaly/predict", "-d", json.dumps(
        {"outputs": ["reconstruction", "embedding"], "rows": some.tolist()}))["predictions"]
    assert back.tolist() == [list(p["reconstruction"].values()) for p in want]
    assert np.array_equal(code, np.array([p["embedding"] for p in want], dtype=np.float32))


def test_infer_matrix_without_outputs(client, rows):
    some = np.array([list(r.values()) for r in rows["breast-cancer"][:5]])
    i = triton.InferInput("input", list(some.shape), "FP64")
    i.set_data_from_numpy(some)
    matrix = client.infer("breast-cancer", [i]).as_numpy("probabilities")
    columns = client.infer("breast-cancer", inputs_of(columns_of(rows["breast-cancer"][:5]))).as_numpy("probabilities")
    assert matrix.shape == (5, 2) and np.array_equal(matrix, columns)


def test_regression_with_a_text_column(client, server, rows):
    values = client.infer("diabetes", inputs_of(columns_of(rows["diabetes"][:5]))).as_numpy("value")
    assert values.dtype == np.float64 and values.shape == (5, 1)
    as_numbers = [{**r, "sex": float(r["sex"])} for r in rows["diabetes"][:5]]  # 2.0 is the category 2
    for some in (rows["diabetes"][:5], as_numbers):
        answer = server.curl("/api/v1/models/diabetes/predict", "-d", json.dumps({"rows": some}))
        assert [p["value"] for p in answer["predictions"]] == values[:, 0].tolist()


def test_classification_extension(client, rows):
    out = [triton.InferRequestedOutput("probabilities", class_count=1)]
    result = client.infer("breast-cancer", inputs_of(columns_of(rows["breast-cancer"][:1])), outputs=out)
    value, index, label = result.as_numpy("probabilities")[0, 0].decode().split(":")
    assert 0.5 <= float(value) <= 1 and label == ["benign", "malignant"][int(index)]


def test_async_100(client, rows):
    data = inputs_of(columns_of(rows["diabetes"][:3]))
    waiting = [client.async_infer("diabetes", data) for _ in range(100)]
    answers = [w.get_result().as_numpy("value") for w in waiting]
    assert all(np.array_equal(a, answers[0]) for a in answers)


def test_statistics(client):
    stats = client.get_inference_statistics("diabetes")["model_stats"][0]
    assert stats["name"] == "diabetes" and stats["inference_stats"]["success"]["count"] >= 1


@pytest.mark.parametrize("change, message", [
    (lambda i: i[:-1], "is absent"),
    (lambda i: i + [i[0]], "given twice"),
])
def test_errors(client, rows, change, message):
    with pytest.raises(InferenceServerException, match=message):
        client.infer("diabetes", change(inputs_of(columns_of(rows["diabetes"][:1]))))


def test_unknown_model(client, rows):
    with pytest.raises(InferenceServerException, match="not known"):
        client.infer("nothing", inputs_of(columns_of(rows["diabetes"][:1])))
