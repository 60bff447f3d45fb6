"""A larger perceptron on Fashion-MNIST, in Keras: what fashion_mlp.yaml says."""
import math

from keras import callbacks, layers, losses, models, utils

from fashion_data import x_test, x_train, y_test, y_train

utils.set_random_seed(42)

model = models.Sequential([
    layers.Input((28, 28)),
    layers.Flatten(),
    layers.Dense(256, activation="relu"),
    layers.Dense(128, activation="relu"),
    layers.Dense(10),
])
rate = callbacks.LearningRateScheduler(lambda epoch: 0.0005 * (1 + math.cos(math.pi * epoch / 10)))
model.compile(optimizer="adam", loss=losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
model.fit(x_train, y_train, epochs=10, batch_size=64, validation_split=0.1, callbacks=[rate], verbose=0)
loss, accuracy = model.evaluate(x_test, y_test, verbose=0)
print("test accuracy", accuracy)
