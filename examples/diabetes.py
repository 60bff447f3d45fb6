"""The scikit-learn program that people write today for what diabetes.yaml says."""
from pathlib import Path

import pandas as pd
from sklearn.linear_model import LinearRegression
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

table = pd.read_csv(Path(__file__).with_name("diabetes.csv"))
y = table.pop("progression")
x_train, x_test, y_train, y_test = train_test_split(table, y, test_size=0.2, random_state=42)

model = make_pipeline(StandardScaler(), LinearRegression()).fit(x_train, y_train)

predicted = model.predict(x_test)
print("r2  ", r2_score(y_test, predicted))
print("rmse", mean_squared_error(y_test, predicted) ** 0.5)
print("mae ", mean_absolute_error(y_test, predicted))
if r2_score(y_test, predicted) < 0.35:
    raise SystemExit("the model is not good enough")
