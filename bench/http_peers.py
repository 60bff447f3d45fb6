"""The peers of bench/http.sh.

  http_peers.py train DIR CSV     a scikit-learn pipeline of the same shape as the recipe's model (scaler, MLP 16-8),
                                  as joblib and as an MLflow model
  http_peers:app                  FastAPI: one JSON object of columns in, label and probability out
  http_peers.py start AIMASS BODY milliseconds from starting `aimass serve` to its first predicted answer
"""
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time


def train(out, path):
    import joblib
    import mlflow.sklearn
    import pandas as pd
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    data = pd.read_csv(path)
    target = data.columns[-1]
    x, y = data.drop(columns=target), data[target]
    model = make_pipeline(StandardScaler(), MLPClassifier((16, 8), batch_size=32, max_iter=50, random_state=42))
    model.fit(x.to_numpy(), y)
    out = pathlib.Path(out)
    out.mkdir(parents=True, exist_ok=True)
    joblib.dump(model, out / "model.joblib")
    mlflow.sklearn.save_model(model, out / "mlflow", pip_requirements=["scikit-learn"],
                              serialization_format="cloudpickle")


def start(program, body):
    """As root the server changes its user: the workspace of AIMASS_WORKSPACE is read by its loader."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    text = pathlib.Path(body).read_bytes()
    request = (f"POST /api/v1/models/breast-cancer/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(text)}\r\n\r\n"
               .encode() + text)
    begin = time.perf_counter()
    server = subprocess.Popen([program, "serve", "--port", str(port)], stdout=subprocess.DEVNULL)
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=10) as s:
                s.sendall(request)
                answer = s.recv(65536)
            break
        except ConnectionRefusedError:
            time.sleep(0.0005)
    ms = (time.perf_counter() - begin) * 1000
    server.send_signal(signal.SIGTERM)
    server.wait(30)
    assert answer.startswith(b"HTTP/1.1 200"), answer
    print(f"{ms:.1f}")


if __name__ == "__main__":
    if sys.argv[1] == "train":
        train(sys.argv[2], sys.argv[3])
    else:
        start(sys.argv[2], sys.argv[3])
else:
    import joblib
    import numpy as np
    from fastapi import FastAPI

    app = FastAPI()
    model = joblib.load(os.environ["PEER_MODEL"])

    @app.get("/healthz")
    def healthz():
        return {"status": "ok"}

    @app.post("/predict")
    def predict(row: dict[str, float]):
        p = model.predict_proba(np.array([list(row.values())]))[0]
        return {"label": str(model.classes_[p.argmax()]), "probability": dict(zip(map(str, model.classes_), map(float, p)))}
