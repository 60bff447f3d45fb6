"""What people write today for bench/csv.sh: pandas + scikit-learn, from CSV to a trained logistic model."""
import sys

import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

frame = pd.read_csv(sys.argv[1])
x_train, x_test, y_train, y_test = train_test_split(
    frame.drop(columns="y"), frame.y, test_size=0.2, random_state=42)
model = make_pipeline(StandardScaler(), LogisticRegression()).fit(x_train, y_train)
print("accuracy", model.score(x_test, y_test), "roc_auc", roc_auc_score(y_test, model.predict_proba(x_test)[:, 1]))
