"""Pictures and sounds through stock clients: tritonclient.http, and TF Serving's REST bodies as its page has them."""
import base64
import json
import pathlib
import struct
import zlib

import numpy as np
import pytest
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

from conftest import Server, aimass

PROMPTS = pathlib.Path("/usr/share/asterisk/sounds")  # Debian asterisk-core-sounds-{en,ru}-wav
PICTURES = """version: 1
name: pictures
data: {source: %s, target: label}
model: {type: cnn, filters: [8], dense: [16]}
train: {epochs: 12, batch_size: 8, learning_rate: 0.01}
evaluate: {bootstrap: 0, importance: false}
"""
VOICES = """version: 1
name: voices
data:
  source: %s
  pattern: "{language}_*_*_*/digits/{word}.wav"
  target: language
  split: {by: group, group: word}
  clean: {where: "language in ('en', 'ru')"}
features: {audio: {sample_rate: 8000, seconds: 1}}
model: {type: cnn, filters: [16, 32], dense: [32]}
train: {epochs: 8}
evaluate: {bootstrap: 0, importance: false}
"""


def png(pixels):
    """[height, width, 3] bytes as a PNG file."""
    h, w, _ = pixels.shape
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, 8, 2, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def picture(i):
    """A horizontal (even) or vertical (odd) edge, with noise."""
    y, x = np.mgrid[0:16, 0:20]
    light = np.where((x if i % 2 else y) < 8, 60, 190)[:, :, None] + np.random.default_rng(i).integers(-50, 50, (16, 20, 3))
    return light.clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def media(tmp_path_factory):
    path = tmp_path_factory.mktemp("media")
    for i in range(120):
        folder = path / "pics" / ("across" if i % 2 else "down")
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{i}.png").write_bytes(png(picture(i)))
    (path / "pictures.yaml").write_text(PICTURES % (path / "pics"))
    (path / "voices.yaml").write_text(VOICES % PROMPTS)
    for name in ("pictures", "voices"):
        aimass(path / "ws", "train", str(path / f"{name}.yaml"), "--quiet")
    s = Server(path / "ws")
    yield s
    assert s.stop() == 0


@pytest.fixture(scope="module")
def client(media):
    with triton.InferenceServerClient(media.address, concurrency=2) as c:
        yield c


SOME = [picture(i) for i in range(1000, 1010)]
WANT = ["across" if i % 2 else "down" for i in range(10)]


def native(media, model, column, files):
    body = json.dumps({"rows": [{column: base64.b64encode(f).decode()} for f in files]})
    path = media.workspace.parent / "body.json"
    path.write_text(body)
    return media.curl(f"/api/v1/models/{model}/predict", "-d", f"@{path}")["predictions"]


def post(media, path, body):
    file = media.workspace.parent / "body.json"
    file.write_text(json.dumps(body))
    return media.curl(path, "-X", "POST", "-d", f"@{file}")


def labels_of(result):
    return [v.decode() if isinstance(v, bytes) else v for v in result.as_numpy("label").reshape(-1).tolist()]


def infer(client, model, name, array, datatype, binary):
    i = triton.InferInput(name, list(array.shape), datatype)
    i.set_data_from_numpy(array, binary_data=binary)
    return client.infer(model, [i])


def test_metadata_says_bytes(client):
    for model, column in (("pictures", "image"), ("voices", "audio")):
        assert [(t["name"], t["datatype"]) for t in client.get_model_metadata(model)["inputs"]] == [(column, "BYTES")]


def test_pictures_as_bytes_of_files(client, media):
    files = np.array([png(p) for p in SOME], dtype=object).reshape(-1, 1)
    result = infer(client, "pictures", "image", files, "BYTES", True)
    want = native(media, "pictures", "image", files[:, 0])
    assert labels_of(result) == [p["label"] for p in want] == WANT
    exact = np.array([list(p["probability"].values()) for p in want], dtype=np.float32)
    assert np.array_equal(result.as_numpy("probabilities"), exact)
    with pytest.raises(InferenceServerException, match="image"):
        infer(client, "pictures", "image", np.array([[b"no picture"]], dtype=object), "BYTES", True)


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("dtype, datatype", [(np.uint8, "UINT8"), (np.float32, "FP32")])
def test_raw_pixels(client, media, dtype, datatype, binary):
    result = infer(client, "pictures", "image", np.stack(SOME).astype(dtype), datatype, binary)
    want = native(media, "pictures", "image", [png(p) for p in SOME])
    assert labels_of(result) == WANT
    exact = np.array([list(p["probability"].values()) for p in want], dtype=np.float32)
    assert np.array_equal(result.as_numpy("probabilities"), exact)


def test_tf_serving_pictures(media):
    """b64 objects and nested lists, row and column form: TF Serving's "Encoding binary values" and Keras' tolist()."""
    b64 = [{"b64": base64.b64encode(png(p)).decode()} for p in SOME]
    want = post(media, "/v1/models/pictures:predict", {"instances": b64})["predictions"]
    assert [p["label"] for p in want] == WANT
    lists = np.stack(SOME).tolist()
    for body in ({"instances": lists}, {"instances": [{"image": x} for x in lists]}, {"instances": [{"image": x} for x in b64]},
                 {"signature_name": "serving_default", "instances": np.stack(SOME).astype(np.float32).tolist()}):
        assert post(media, "/v1/models/pictures:predict", body)["predictions"] == want
    for body in ({"inputs": b64}, {"inputs": lists}, {"inputs": {"image": lists}}, {"inputs": {"image": b64}}):
        answer = post(media, "/v1/models/pictures/versions/1:predict", body)["outputs"]
        assert answer["label"] == WANT
        assert answer["probabilities"] == [p["probabilities"] for p in want]
    results = post(media, "/v1/models/pictures:classify", {"examples": [{"image": x} for x in b64]})["results"]
    assert [max(r, key=lambda pair: pair[1])[0] for r in results] == WANT


def test_sounds(client, media):
    files = [(PROMPTS / voice / "digits" / f"{n}.wav").read_bytes() for n in range(1, 8)
             for voice in ("en_US_f_Allison", "ru_RU_f_IvrvoiceRU")]
    result = infer(client, "voices", "audio", np.array(files, dtype=object).reshape(-1, 1), "BYTES", True)
    want = native(media, "voices", "audio", files)
    got = labels_of(result)
    assert got == [p["label"] for p in want]
    assert sum(a == b for a, b in zip(got, ["en", "ru"] * 7)) >= 12
    b64 = [{"b64": base64.b64encode(f).decode()} for f in files]
    assert [p["label"] for p in post(media, "/v1/models/voices:predict", {"instances": b64})["predictions"]] == got
    done = media.curl("/api/v1/models/voices/predict", "-H", "Content-Type: audio/wav", "--data-binary",
                      f"@{PROMPTS}/en_US_f_Allison/digits/3.wav")
    assert done["predictions"][0] == want[4]
