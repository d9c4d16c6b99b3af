"""Winograd's convolutions against direct ones in float64: values, gradients, and where they pay."""

import numpy as np
import pytest


@pytest.fixture
def always(nst, monkeypatch):
    """Winograd's algorithm wherever the shape is known, also where it does not pay."""
    monkeypatch.setattr(nst, "winograd_pays", lambda x_shape, kernel_shape: None not in x_shape[1:3])


@pytest.mark.parametrize("height, width", [(1, 1), (5, 3), (16, 16), (45, 37), (70, 66)])
def test_a_convolution_and_its_gradient(nst, always, height, width):
    """And the gradient's gradient, which is the convolution of its direction."""
    tf, rng = nst.tf, np.random.default_rng(height)
    kernel, shape = rng.standard_normal((3, 3, 24, 40)), (1, height, width)
    x, direction, dy = (rng.standard_normal((*shape, channels)) for channels in (24, 24, 40))
    layer = nst.keras.layers.Conv2D(40, 3, use_bias=False)
    layer.build((None, None, None, 24))
    layer.set_weights([kernel])
    x_t, dy_t, direction_t = (tf.constant(array, tf.float32) for array in (x, dy, direction))
    with tf.GradientTape() as outer:
        outer.watch(dy_t)
        with tf.GradientTape() as inner:
            inner.watch(x_t)
            y = nst.winograd_op(layer)(x_t, layer.kernel)
        dx = inner.gradient(y, x_t, dy_t)
    second = outer.gradient(dx, dy_t, direction_t)

    def direct(x):
        padded = np.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)])
        return sum(padded[:, i:i + height, j:j + width] @ kernel[i, j] for i in range(3) for j in range(3))

    gradient = np.zeros((1, height + 2, width + 2, 24))
    for i in range(3):
        for j in range(3):
            gradient[:, i:i + height, j:j + width] += dy @ kernel[i, j].T
    for found, truth in (y, direct(x)), (dx, gradient[:, 1:-1, 1:-1]), (second, direct(direction)):
        assert found.dtype == tf.float32
        assert np.abs(found.numpy() - truth).max() < 5e-5 * np.abs(truth).max()


def used(nst, monkeypatch, precision: str, size: int) -> list:
    """The channels of the convolutions that are Winograd's in a network's features at so many pixels."""
    calls, original = [], nst.winograd_convolution

    def noted(x, U, turned=False):
        calls.append((x.shape[-1], U.shape[-1]))
        return original(x, U, turned)

    with monkeypatch.context() as patch:
        patch.setattr(nst, "winograd_convolution", noted)
        phi = nst.tf.function(nst.vgg_features(nst.find_weights("vgg16"), precision))
        phi.get_concrete_function(nst.tf.TensorSpec((1, size, size, 3)))
    return calls


def test_where_it_pays(nst, monkeypatch):
    """Not in small pictures, in bfloat16 or on GPUs."""
    large = [(128, 128), (128, 256), (256, 256), (256, 256), (256, 512)] + 4 * [(512, 512)]
    assert used(nst, monkeypatch, "float32", 64) == []
    assert used(nst, monkeypatch, "float32", 128) == [(128, 128), (256, 256), (256, 256)]
    assert used(nst, monkeypatch, "float32", 512) == large
    assert used(nst, monkeypatch, "bfloat16", 512) == []
    monkeypatch.setattr(nst.tf.config, "list_physical_devices", lambda kind=None: ["a GPU"])
    assert used(nst, monkeypatch, "float32", 512) == []
