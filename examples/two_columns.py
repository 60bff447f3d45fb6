"""The Keras program that people write today for what two_columns.yaml says.

Mind two meanings that the recipe spells out: `validation_split=0.2` takes the LAST 20 % of the training rows,
unshuffled (`validation: {share: 0.2, of: train, take: last}`), and `Dropout(0.1)` is the rate that is dropped.
"""
from pathlib import Path

import numpy as np
import pandas as pd
from keras import layers, models, optimizers, utils
from sklearn.metrics import accuracy_score, precision_score, recall_score, roc_auc_score, roc_curve
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import LabelEncoder, StandardScaler

utils.set_random_seed(42)
table = pd.read_csv(Path(__file__).with_name("two_columns.csv"))
x = table[["petal_width", "petal_length"]]
labels = LabelEncoder()
y = labels.fit_transform(table["species"])

x_train, x_test, y_train, y_test = train_test_split(x, y, test_size=0.2, random_state=42)
scaler = StandardScaler().fit(x_train)

model = models.Sequential([
    layers.Input((2,)),
    layers.Dense(16, activation="relu"),
    layers.Dropout(0.1),
    layers.Dense(8, activation="relu"),
    layers.Dropout(0.1),
    layers.Dense(1, activation="sigmoid"),
])
model.compile(optimizer=optimizers.Adam(0.001), loss="binary_crossentropy", metrics=["accuracy"])
model.fit(scaler.transform(x_train), y_train, epochs=50, batch_size=32, validation_split=0.2, verbose=0)

probability = model.predict(scaler.transform(x_test), verbose=0)[:, 0]
predicted = (probability >= 0.5).astype(int)
print("accuracy ", accuracy_score(y_test, predicted))
print("precision", precision_score(y_test, predicted))
print("recall   ", recall_score(y_test, predicted))
print("roc_auc  ", roc_auc_score(y_test, probability))
false_positives, true_positives, thresholds = roc_curve(y_test, probability)

new = pd.DataFrame(np.array([[2.3, 4.5]]), columns=x.columns)
p = float(model.predict(scaler.transform(new), verbose=0)[0, 0])
print("[[2.3, 4.5]] ->", labels.inverse_transform([int(p >= 0.5)])[0], p)
