# The Keras program that examples/two_authors.yaml stands beside: Melville or Shakespeare, read word by word.
import numpy as np
import keras
from keras import layers

rows = [line.rstrip("\n").split("\t") for line in open("two_authors.tsv", encoding="utf-8")][1:]
x = np.array([r[1] for r in rows], dtype=object)
y = np.array([r[0] == rows[0][0] for r in rows], dtype="float32")
order = np.random.default_rng(42).permutation(len(rows))
test, validation, train = np.split(order, [len(rows) // 5, 3 * len(rows) // 10])

ids = layers.TextVectorization(split="whitespace", output_sequence_length=16)
ids.adapt(x[train])
model = keras.Sequential([
    layers.Embedding(ids.vocabulary_size(), 32, mask_zero=True),
    layers.Bidirectional(layers.LSTM(64, return_sequences=True)),
    layers.GlobalMaxPooling1D(),
    layers.Dropout(0.4),
    layers.Dense(1, activation="sigmoid"),
])
model.compile(optimizer=keras.optimizers.Adam(0.003), loss="binary_crossentropy", metrics=["accuracy"])
model.fit(ids(x[train]), y[train], validation_data=(ids(x[validation]), y[validation]), epochs=15, batch_size=32)
print("test accuracy", model.evaluate(ids(x[test]), y[test])[1])
