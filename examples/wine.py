"""The scikit-learn program that people write today for what wine.yaml says."""
from pathlib import Path

import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score, log_loss, roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

table = pd.read_csv(Path(__file__).with_name("wine.csv"))
y = table.pop("cultivar")
x_rest, x_test, y_rest, y_test = train_test_split(table, y, test_size=0.2, stratify=y, random_state=42)
x_train, x_val, y_train, y_val = train_test_split(x_rest, y_rest, test_size=0.25, stratify=y_rest, random_state=42)

model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000)).fit(x_train, y_train)

for part, x, truth in (("validation", x_val, y_val), ("test", x_test, y_test)):
    probability = model.predict_proba(x)
    predicted = model.predict(x)
    print(part)
    print("  accuracy", accuracy_score(truth, predicted))
    print("  f1      ", f1_score(truth, predicted, average="macro"))
    print("  log_loss", log_loss(truth, probability, labels=model.classes_))
    print("  roc_auc ", roc_auc_score(truth, probability, multi_class="ovr"))
