# The scikit-learn program that examples/two_authors_terms.yaml stands beside: Melville or Shakespeare by pieces of words.
import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

rows = pd.read_csv("two_authors.tsv", sep="\t", quoting=3)
x, x_test, y, y_test = train_test_split(rows["line"], rows["author"], test_size=0.3, stratify=rows["author"], random_state=42)
model = make_pipeline(TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True, max_features=60000),
                      LogisticRegression(C=10, max_iter=1000))
model.fit(x, y)
print("test accuracy", model.score(x_test, y_test))
