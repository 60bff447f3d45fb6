"""The curl set of TF Serving's REST page."""
import json


def test_status_and_metadata(server):
    answer = server.curl("/v1/models/two-columns")
    assert answer == {"model_version_status": [{"version": "1", "state": "AVAILABLE",
                                                "status": {"error_code": "OK", "error_message": ""}}]}
    meta = server.curl("/v1/models/two-columns/metadata")
    assert meta["model_spec"] == {"name": "two-columns", "signature_name": "", "version": "1"}
    signature = meta["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert list(signature["inputs"]) == ["petal_width", "petal_length"]
    assert signature["method_name"] == "tensorflow/serving/predict"


def test_predict_positional_row_and_column(server):
    positional = server.curl("/v1/models/two-columns:predict", "-X", "POST", "-d", '{"instances": [[2.3, 4.5]]}')
    named = server.curl("/v1/models/two-columns/versions/1:predict", "-d",
                        '{"instances": [{"petal_length": 4.5, "petal_width": [2.3]}]}')
    columns = server.curl("/v1/models/two-columns:predict", "-d",
                          '{"signature_name": "serving_default", "inputs": {"petal_width": [2.3], "petal_length": [[4.5]]}}')
    assert positional == named
    assert columns["outputs"]["label"][0] == positional["predictions"][0]["label"]
    assert columns["outputs"]["probabilities"][0] == positional["predictions"][0]["probabilities"]


def test_classify_and_regress(server, rows, predicted):
    body = json.dumps({"examples": rows["breast-cancer"][:2]})
    answer = server.curl("/v1/models/breast-cancer/labels/champion:classify", "-d", body)
    assert len(answer["results"]) == 2
    assert [c[0] for c in answer["results"][0]] == ["benign", "malignant"]
    body = json.dumps({"signature_name": "serving_default", "examples": rows["diabetes"][:2]})
    answer = server.curl("/v1/models/diabetes:regress", "-d", body)
    for got, want in zip(answer["results"], predicted["diabetes"]):
        assert any(isinstance(v, float) and abs(v - got) <= 1e-6 * abs(v) for v in want.values())


def test_errors(server):
    assert "error" in server.curl("/v1/models/nothing", status=404)
    assert "error" in server.curl("/v1/models/nothing:predict", "-d", '{"instances": [1.0]}', status=404)
    assert "error" in server.curl("/v1/models/two-columns:predict", "-d", "{}", status=400)
    assert "error" in server.curl("/v1/models/two-columns:predict", "-d", '{"instances": [[1]]}', status=400)
