"""Winograd's convolutions against direct ones in float64: values, gradients, Hessian-vector products, and where they pay."""

import numpy as np
import pytest
from conftest import ROOT

LARGEST_ERROR = 5e-5  # of the largest value


def error(found, truth) -> float:
    return np.abs(np.asarray(found) - truth).max() / np.abs(truth).max()


@pytest.fixture
def always(nst, monkeypatch):
    """Winograd's algorithm wherever the shape is known, also where it does not pay."""
    monkeypatch.setattr(nst, "winograd_pays", lambda x_shape, kernel_shape: None not in x_shape[1:3])


@pytest.mark.parametrize("height, width", [(1, 1), (4, 4), (5, 3), (17, 22), (30, 21), (16, 16), (45, 37), (70, 66)])
def test_a_convolution_and_its_gradient(nst, height, width):
    tf, rng = nst.tf, np.random.default_rng(height)
    kernel = rng.standard_normal((3, 3, 24, 40))
    x, dy = rng.standard_normal((1, height, width, 24)), rng.standard_normal((1, height, width, 40))
    U = nst.transformed_kernels(kernel.astype(np.float32))
    found = nst.winograd_convolution(tf.constant(x, tf.float32), U)
    turned = nst.winograd_convolution(tf.constant(dy, tf.float32), U, turned=True)
    padded, truth = np.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)]), 0
    gradient = np.zeros_like(padded)
    for i in range(3):
        for j in range(3):
            truth = truth + padded[:, i:i + height, j:j + width] @ kernel[i, j]
            gradient[:, i:i + height, j:j + width] += dy @ kernel[i, j].T
    assert found.dtype == turned.dtype == nst.tf.float32
    assert error(found, truth) < LARGEST_ERROR
    assert error(turned, gradient[:, 1:-1, 1:-1]) < LARGEST_ERROR


def vgg16(nst, dtype: str):
    """Keras' own VGG-16 of this dtype, with the script's weights, and pooling that rounds up."""
    nst.keras.config.set_dtype_policy(dtype)
    try:
        vgg = nst.keras.applications.VGG16(include_top=False, weights=None)
    finally:
        nst.keras.config.set_dtype_policy("float32")
    nst.set_vgg16_weights(vgg, nst.find_weights("vgg16"))
    for layer in vgg.layers:
        if isinstance(layer, nst.keras.layers.MaxPooling2D):
            layer.padding = "same"
    return vgg


def smooth_vgg16(nst, dtype: str):
    """VGG-16 with softplus and average pooling, which have no kinks for rounding to fall to either side of."""
    keras, vgg = nst.keras, vgg16(nst, dtype)
    for layer in vgg.layers:
        if isinstance(layer, keras.layers.MaxPooling2D):
            layer.call = lambda x: nst.tf.nn.avg_pool2d(x, 2, 2, "SAME")
        if isinstance(layer, keras.layers.Conv2D):
            layer.activation = lambda y: 100 * nst.tf.nn.softplus(y / 100)  # as wide as the activations are
            if dtype == "float32":
                layer.convolution_op = nst.winograd_op(layer)
    return keras.Model(vgg.input, {name: vgg.get_layer(name).output for name in nst.STYLE_LAYERS + nst.CONTENT_LAYERS})


def test_every_layer_its_gradient_and_a_hessian_vector_product(nst, always):
    tf, rng, height, width = nst.tf, np.random.default_rng(37), 45, 37
    x, v = 255 * rng.random((1, height, width, 3)) - 110, rng.standard_normal((1, height, width, 3))

    def results(dtype):
        model, x_t, v_t = smooth_vgg16(nst, dtype), tf.constant(x, dtype), tf.constant(v, dtype)

        @tf.function
        def compute(x):
            features = model(x)
            last = features["block5_conv2"]
            loss = tf.reduce_mean(last * last)
            gradients = {name: nst.gradient(tf.reduce_mean(value * value), x) for name, value in features.items()}
            return features, gradients, nst.gradient(nst.gradient(loss, x), x, v_t)

        return compute(x_t)

    (features, gradients, product), truth = results("float32"), results("float64")
    for name in features:
        assert error(features[name], truth[0][name]) < LARGEST_ERROR, name
        assert error(gradients[name], truth[1][name]) < LARGEST_ERROR, name
    assert error(product, truth[2]) < LARGEST_ERROR


def test_features_of_the_network_as_it_is_used(nst, always):
    x = np.random.default_rng(3).random((1, 45, 37, 3), np.float32)
    found = nst.vgg_features(nst.find_weights("vgg16"))(nst.tf.constant(x))
    vgg = vgg16(nst, "float64")
    model = nst.keras.Model(vgg.input, {layer: vgg.get_layer(layer).output for layer in found})
    truth = model((255 * x.astype(np.float64))[..., ::-1] - [103.939, 116.779, 123.68])
    for layer in found:
        assert error(found[layer], truth[layer]) < LARGEST_ERROR, layer


def test_the_first_rows_are_those_of_direct_convolutions(nst, monkeypatch):
    """c1 in the style of s1, 128 pixels: losses, and roughly the mean of alpha_eff, which small gradients carry.

    Adam's first steps are signs, so rounding grows: 1.4e-4 in row 3 was seen on a CPU without AVX-512.
    """
    args = nst.parse_arguments(["--content", "c", "--style", "s", "--output", "o"])
    x_c, x_s = (nst.fit("", nst.read_picture("", ROOT / name), 128) for name in ("content_files/c1.png", "style_files/s1.png"))
    rows = {}
    for way in "Winograd's", "direct":
        state = nst.State(x_c, args)
        step = nst.make_step(nst.make_objective(nst.vgg_features(nst.find_weights("vgg16")), x_c, x_s, args), state.x, state.optimizer)
        rows[way] = [list(row.numbers.values()) for row in nst.optimise(step, state, None, 0, 3)]
        monkeypatch.setattr(nst, "winograd_pays", lambda x_shape, kernel_shape: False)
    ours, direct = np.array(rows["Winograd's"]), np.array(rows["direct"])
    assert ours[0, 0] == 0 and not np.array_equal(ours, direct)
    np.testing.assert_allclose(ours[0, :4], direct[0, :4], rtol=1e-4)
    np.testing.assert_allclose(ours[:, :4], direct[:, :4], rtol=5e-4)
    np.testing.assert_allclose(ours[:, 5], direct[:, 5], rtol=1e-2)


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
    assert used(nst, monkeypatch, "float32", 64) == []
    small, large = (used(nst, monkeypatch, "float32", size) for size in (128, 512))
    assert small == [(128, 128), (256, 256), (256, 256)]
    assert large == [(128, 128), (128, 256), (256, 256), (256, 256), (256, 512)] + 4 * [(512, 512)]
    assert used(nst, monkeypatch, "bfloat16", 512) == []


def test_not_on_gpus(nst, monkeypatch):
    monkeypatch.setattr(nst.tf.config, "list_physical_devices", lambda kind=None: ["a GPU"])
    assert used(nst, monkeypatch, "float32", 512) == []
