"""The tutorial that everyone knows, in Keras: what fashion_mnist.yaml says.

Reads the IDX files of Debian's dataset-fashion-mnist, or of the folder given: pixels / 255, Flatten, Dense 128 relu,
Dense 10, sparse categorical cross-entropy from logits, Adam, 10 epochs, one line of test accuracy at the end.
"""
from keras import layers, losses, models, utils

from fashion_data import x_test, x_train, y_test, y_train

utils.set_random_seed(42)

model = models.Sequential([
    layers.Input((28, 28)),
    layers.Flatten(),
    layers.Dense(128, activation="relu"),
    layers.Dense(10),
])
model.compile(optimizer="adam", loss=losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
model.fit(x_train, y_train, epochs=10, validation_split=0.1, verbose=0)
loss, accuracy = model.evaluate(x_test, y_test, verbose=0)
print("test accuracy", accuracy)
