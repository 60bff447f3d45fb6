"""The program that people write for sensor_anomaly.yaml: Keras and scikit-learn."""
import os

import numpy as np
import pandas as pd
from keras import Input, Model, layers, optimizers
from sklearn import metrics
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

here = os.path.dirname(os.path.abspath(__file__))
table = pd.read_csv(os.path.join(here, "sensor_anomaly.csv.gz"))
x, y = table[["indoor", "humidity", "temperature"]].to_numpy(float), table["label"].to_numpy()
x_rest, x_test, y_rest, y_test = train_test_split(x, y, test_size=0.2, stratify=y, random_state=42)
x_train, x_val, y_train, y_val = train_test_split(x_rest, y_rest, test_size=0.25, stratify=y_rest, random_state=42)
scaler = StandardScaler().fit(x_train[y_train == 0])
x_train, x_val, x_test = scaler.transform(x_train[y_train == 0]), scaler.transform(x_val[y_val == 0]), scaler.transform(x_test)

row = Input((3,))
code = layers.Dense(1)(layers.Dense(16, activation="tanh")(row))
back = layers.Dense(3)(layers.Dense(16, activation="tanh")(code))
model = Model(row, back)
model.compile(optimizers.Adam(0.005), loss="mse")
model.fit(x_train, x_train, batch_size=64, epochs=30, validation_data=(x_val, x_val), verbose=0)


def score(rows):
    return np.mean((rows - model.predict(rows, verbose=0)) ** 2, axis=1)


threshold = np.quantile(score(x_val), 1 - 0.003)
found = score(x_test) >= threshold
print("roc_auc", metrics.roc_auc_score(y_test, score(x_test)), "precision", metrics.precision_score(y_test, found),
      "recall", metrics.recall_score(y_test, found))
