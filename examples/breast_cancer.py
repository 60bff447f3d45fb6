"""The program that people write today for what breast_cancer.yaml says: pandas, scikit-learn and Keras.

Beside the recipe it lacks: a check of the columns, a record of run and data, a package that holds the scaler
together with the network, confidence intervals, a report, and the server that applies the same scaling.
"""
from pathlib import Path

import joblib
import pandas as pd
from keras import layers, models, optimizers, utils
from sklearn.metrics import accuracy_score, precision_score, recall_score, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import LabelEncoder, StandardScaler

utils.set_random_seed(42)
table = pd.read_csv(Path(__file__).with_name("breast_cancer.csv"))
labels = LabelEncoder()
y = labels.fit_transform(table.pop("diagnosis"))

x_rest, x_test, y_rest, y_test = train_test_split(table, y, test_size=0.2, stratify=y, random_state=42)
x_train, x_val, y_train, y_val = train_test_split(x_rest, y_rest, test_size=0.25, stratify=y_rest, random_state=42)
scaler = StandardScaler().fit(x_train)

model = models.Sequential([
    layers.Input((x_train.shape[1],)),
    layers.Dense(16, activation="relu"),
    layers.Dropout(0.1),
    layers.Dense(8, activation="relu"),
    layers.Dropout(0.1),
    layers.Dense(1, activation="sigmoid"),
])
model.compile(optimizer=optimizers.Adam(0.001), loss="binary_crossentropy", metrics=["accuracy"])
model.fit(scaler.transform(x_train), y_train, epochs=50, batch_size=32,
          validation_data=(scaler.transform(x_val), y_val), verbose=0)

probability = model.predict(scaler.transform(x_test), verbose=0)[:, 0]
predicted = (probability >= 0.5).astype(int)
print("accuracy ", accuracy_score(y_test, predicted))
print("precision", precision_score(y_test, predicted))
print("recall   ", recall_score(y_test, predicted))
print("roc_auc  ", roc_auc_score(y_test, probability))

model.save("breast_cancer.keras")
joblib.dump((scaler, labels), "breast_cancer.joblib")
