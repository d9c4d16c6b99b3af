"""The formulas against independent computations: NumPy in float64, closed forms, finite differences."""

import argparse
from types import SimpleNamespace

import numpy as np
import pytest

RNG = np.random.default_rng(7)
DEFAULTS = dict(content_weight=1e4, style_weight=0.01, tv_weight=300.0, loss_reduction="mean", tv_form="isotropic")


def arguments(**changed) -> argparse.Namespace:
    return argparse.Namespace(**{**DEFAULTS, **changed})


def image(*shape) -> np.ndarray:
    return RNG.random(shape, np.float32)


@pytest.fixture(scope="module")
def weights(nst):
    return nst.find_weights("vgg16")


# Losses


def numpy_gram(phi_l: np.ndarray) -> np.ndarray:
    F = phi_l.astype(np.float64).reshape(-1, phi_l.shape[-1])
    return F.T @ F / len(F)


def test_gram_matrix(nst):
    phi_l = image(1, 5, 7, 6)
    np.testing.assert_allclose(nst.gram_matrix(nst.tf.constant(phi_l)), numpy_gram(phi_l), rtol=1e-5)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_content_and_style_loss(nst, reduction):
    tf = nst.tf
    a, b = ({layer: image(1, 4, 3, 8) for layer in nst.STYLE_LAYERS + nst.CONTENT_LAYERS} for _ in range(2))
    reduce = getattr(np, reduction)
    tensors = {layer: tf.constant(value) for layer, value in a.items()}
    content = reduce((a["block5_conv2"].astype(np.float64) - b["block5_conv2"]) ** 2)
    np.testing.assert_allclose(nst.content_loss(tensors, b, reduction), content, rtol=1e-5)
    grams = {layer: numpy_gram(b[layer]).astype(np.float32) for layer in nst.STYLE_LAYERS}
    style = sum(reduce((numpy_gram(a[layer]) - grams[layer]) ** 2) for layer in nst.STYLE_LAYERS) / 5
    np.testing.assert_allclose(nst.style_loss(tensors, grams, reduction), style, rtol=1e-4)


def numpy_total_variation(x: np.ndarray, form: str) -> float:
    x = x.astype(np.float64)
    dx, dy = np.zeros_like(x), np.zeros_like(x)
    dx[:, :-1], dy[:, :, :-1] = np.diff(x, axis=1), np.diff(x, axis=2)
    if form == "anisotropic":
        return np.abs(dx).sum() + np.abs(dy).sum()
    return (np.sqrt(dx**2 + dy**2 + 1e-6) - 1e-3).sum()


@pytest.mark.parametrize("form", ["isotropic", "anisotropic"])
def test_total_variation(nst, form):
    x = image(1, 9, 6, 3)
    found = nst.total_variation_loss(nst.tf.constant(x), form)
    np.testing.assert_allclose(found, numpy_total_variation(x, form), rtol=1e-5)


def test_total_variation_of_a_flat_image_is_zero_and_smooth(nst):
    tf = nst.tf
    x = tf.fill([1, 5, 5, 3], 0.25)
    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = nst.total_variation_loss(x, "isotropic")
    assert float(loss) == 0 and not np.any(tape.gradient(loss, x))


def test_isotropic_total_variation_is_the_formula_on_a_ramp(nst):
    """With steps of 0.1 down and 0.2 right, far above the smoothing, each position adds sqrt(0.05)."""
    i, j = np.mgrid[:4, :4]
    x = np.repeat((0.1 * i + 0.2 * j)[None, ..., None], 3, axis=3).astype(np.float32)
    expected = 3 * (9 * np.sqrt(0.05) + 3 * 0.1 + 3 * 0.2)
    assert float(nst.total_variation_loss(nst.tf.constant(x), "isotropic")) == pytest.approx(expected, rel=0.01)


def test_objective_is_the_weighted_sum(nst, phi):
    x_c, x_s, x = image(1, 32, 48, 3), image(1, 40, 32, 3), image(1, 32, 48, 3)
    args = arguments(content_weight=3.0, style_weight=5.0, tv_weight=7.0)
    losses = nst.make_objective(phi, x_c, x_s, args)(nst.tf.constant(x)).numpy()
    phi_x, phi_c, phi_s = ({layer: value.numpy() for layer, value in phi(image).items()} for image in (x, x_c, x_s))
    content = np.mean((phi_x["block5_conv2"].astype(np.float64) - phi_c["block5_conv2"]) ** 2)
    style = np.mean([np.mean((numpy_gram(phi_x[layer]) - numpy_gram(phi_s[layer])) ** 2) for layer in nst.STYLE_LAYERS])
    terms = [3 * content, 5 * style, 7 * numpy_total_variation(x, "isotropic")]
    np.testing.assert_allclose(losses, terms + [sum(terms)], rtol=1e-4)


@pytest.mark.parametrize("tv_form, precision", [("isotropic", "float32"), ("anisotropic", "bfloat16")])
def test_no_sum_of_three(nst, weights, tv_form, precision):
    """TensorFlow's AddN begins with whichever input is free first, so with three the result depends on the threads.

    Seen in the graphs that really run, after all of TensorFlow's rewriting.
    """
    from tensorflow.python.eager import context

    args = nst.parse_arguments(["--content", "c", "--style", "s", "--output", "o", "--tv_form", tv_form])
    x_c = image(1, 16, 16, 3)
    state = nst.State(x_c, args)
    objective = nst.make_objective(nst.vgg_features(weights, precision), x_c, x_c, args)
    with context.collect_graphs(optimized=True) as graphs:
        nst.make_step(objective, state.x, state.optimizer)()
        nst.make_hessian_vector_product(objective)(state.x, x_c)
    nodes = [node for graph in graphs for part in (graph.node, *(function.node_def for function in graph.library.function))
             for node in part]
    inputs = [sum(not name.startswith("^") for name in node.input) for node in nodes if node.op == "AddN"]
    assert inputs and set(inputs) == {2}


# Features


def test_features_are_keras_vgg19(nst, weights, tmp_path):
    """A weights file of any VGG19 gives that model's activations of the preprocessed image."""
    keras = nst.keras
    vgg19 = keras.applications.VGG19(include_top=False, weights=None)
    vgg19.save_weights(tmp_path / "random.weights.h5")
    features = nst.vgg_features(nst.find_weights(str(tmp_path / "random.weights.h5")))
    x = image(1, 32, 32, 3)
    bgr = 255 * x[..., ::-1] - np.array([103.939, 116.779, 123.68], np.float32)
    names = list(nst.STYLE_LAYERS + nst.CONTENT_LAYERS)
    reference = keras.Model(vgg19.input, [vgg19.get_layer(name).output for name in names])(bgr)
    found = features(x)
    for name, expected in zip(names, reference):
        np.testing.assert_allclose(found[name], expected, rtol=1e-4, atol=1e-4 * float(np.max(expected)))


LAYERS = [f"block{block}_conv{i}" for block, count in enumerate([2, 2, 3, 3, 3], 1) for i in range(1, count + 1)]
CHANNELS = [3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512]


@pytest.fixture(scope="module")
def convolutions(nst, weights):
    """{layer: (kernel, bias)} of ImageNet's VGG-16."""
    data = weights.read_bytes()
    return {layer: nst.onnx_convolution(data, layer, *channels) for layer, *channels in zip(LAYERS, CHANNELS, CHANNELS[1:])}


# The first entry, in Caffe's order, of each layer's bias and of each kernel but the first, as printed in public from
# MatConvNet's imagenet-vgg-verydeep-16.
PUBLISHED_BIASES = [0.73429835, -0.30912212, -0.04577766, -0.06418542, -0.074358866, 0.019675018, 0.035415243, 0.013485669,
                    0.023680462, 0.03757768, 0.09722325, 0.21327873, 0.18837857]
PUBLISHED_KERNELS = [0.16621928, -0.008902963, -0.0023012366, 0.002486315, -0.0103266295, 0.0024918285, -0.012453815,
                     0.007116542, -0.0041355654, -0.0006068934, -0.0011261065, 0.00040788297]


def test_vgg16_weights_are_the_published_ones(convolutions):
    kernels, biases = zip(*convolutions.values())
    assert [bias[0] for bias in biases] == [np.float32(bias) for bias in PUBLISHED_BIASES]
    assert [kernel[0, 0, 0, 0] for kernel in kernels[1:]] == [np.float32(kernel) for kernel in PUBLISHED_KERNELS]
    assert all(kernel.transpose(3, 2, 0, 1).flags.c_contiguous for kernel in kernels), "(out, in, height, width) in the file"


def numpy_vgg16(convolutions: dict, x: np.ndarray) -> tuple:
    """The activations of every layer in float64, by the definitions; x: (H, W, 3) in [0, 1].

    And back(layer, d): the gradient with respect to x of the scalar whose gradient with respect to that layer is d.
    """
    maps, found, tape = 255.0 * x.astype(np.float64)[..., ::-1] - [103.939, 116.779, 123.68], {}, []
    for layer in sorted(convolutions):
        if layer.endswith("conv1") and found:  # pooling: the largest of 2 x 2, or of as many as there are
            height, width, _ = maps.shape
            tiles = np.pad(maps, [(0, height % 2), (0, width % 2), (0, 0)], constant_values=-np.inf)
            tiles = tiles.reshape(-(-height // 2), 2, -(-width // 2), 2, -1)
            maps = tiles.max(axis=(1, 3))
            where = tiles == maps[:, None, :, None]
            tape.append((None, lambda d, where=where, height=height, width=width: (
                where * d[:, None, :, None]).reshape(2 * where.shape[0], 2 * where.shape[2], -1)[:height, :width]))
        kernel, bias = (array.astype(np.float64) for array in convolutions[layer])
        padded = np.pad(maps, [(1, 1), (1, 1), (0, 0)])
        height, width, _ = maps.shape
        maps = sum(padded[i:i + height, j:j + width] @ kernel[i, j] for i in range(3) for j in range(3)) + bias
        active = maps > 0

        def back(d, kernel=kernel, active=active, shape=padded.shape, height=height, width=width):
            grad = np.zeros(shape)
            for i in range(3):
                for j in range(3):
                    grad[i:i + height, j:j + width] += (active * d) @ kernel[i, j].T
            return grad[1:-1, 1:-1]

        maps = maps * active
        found[layer] = maps
        tape.append((layer, back))

    def back_to_x(layer, d):
        for _, back in reversed(tape[:[name for name, _ in tape].index(layer) + 1]):
            d = back(d)
        return 255 * d[..., ::-1]

    return found, back_to_x


SCALES = {"block1_conv1": 0.650, "block2_conv1": 0.497, "block3_conv1": 0.326,
          "block4_conv1": 2.458, "block5_conv1": 1.840, "block5_conv2": 1.744}


@pytest.mark.parametrize("height, width", [(32, 32), (45, 37)])
def test_vgg16_features_are_the_scaled_activations(nst, convolutions, phi, height, width):
    """Each layer's activations are VGG-16's own times the scale that gives them VGG-19's magnitude; pooling rounds up."""
    x = image(1, height, width, 3)
    activations, _ = numpy_vgg16(convolutions, x[0])
    found = phi(x)
    assert set(found) == set(SCALES)
    for layer, scale in SCALES.items():
        expected = scale * activations[layer]
        np.testing.assert_allclose(found[layer][0], expected, rtol=1e-3, atol=1e-4 * expected.max())


@pytest.mark.parametrize("way", ["Winograd's", "direct"])
def test_gradient_and_hessian_vector_product_at_odd_sizes(nst, weights, convolutions, monkeypatch, way):
    """Of the mean square of the deepest layer, against NumPy's; few of the kinks lie within float32's rounding."""
    monkeypatch.setattr(nst, "winograd_pays", lambda x_shape, kernel_shape: way == "Winograd's" and None not in x_shape[1:3])
    phi, layer, x = nst.vgg_features(weights), "block5_conv2", image(1, 45, 37, 3)
    v = RNG.standard_normal(x.shape).astype(np.float32)

    def numpy_gradient(x):
        activations, back = numpy_vgg16(convolutions, x)
        return back(layer, SCALES[layer] ** 2 * 2 * activations[layer] / activations[layer].size)

    @nst.tf.function
    def gradient(x):
        return nst.gradient(nst.tf.reduce_mean(phi(x)[layer] ** 2), x)

    truth, h = numpy_gradient(x[0]), 1e-9  # in between there is no kink
    curved = (numpy_gradient(x[0] + h * v[0].astype(np.float64)) - numpy_gradient(x[0] - h * v[0].astype(np.float64))) / (2 * h)
    product = nst.make_hessian_vector_product(lambda x: [nst.tf.reduce_mean(phi(x)[layer] ** 2)])(nst.tf.constant(x), v)[0]
    for found, expected in (gradient(nst.tf.constant(x)), truth), (product, curved):
        assert np.linalg.norm(found[0] - expected) < 0.01 * np.linalg.norm(expected)
        edges = np.asarray(found[0])[-1], np.asarray(found[0])[:, -1]
        for edge, true in zip(edges, (expected[-1], expected[:, -1])):
            assert np.linalg.norm(edge - true) < 0.03 * np.linalg.norm(true)


def test_every_pixel_has_a_way_to_every_layer(nst, phi):
    """At each remainder of 16: the gradients of deep terms reach the last row and column as the first, which lie as well
    beside zeros, and not much less than the inside.
    """
    tf, strength = nst.tf, {}
    for r in range(1, 16):
        x = tf.constant(image(1, 48 + r, 64 - r, 3))
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(x)
            features = phi(x)
            terms = {layer: tf.reduce_mean(value**2) for layer, value in features.items() if layer > "block2"}
        assert features["block5_conv2"].shape == (1, -(-(48 + r) // 16), -(-(64 - r) // 16), 512)
        for layer, term in terms.items():
            g = np.square(tape.gradient(term, x)[0])
            inside = g[16:-16, 16:-16].mean()
            first, last = ([edges[0].mean(), edges[1].mean()] for edges in ((g[0], g[:, 0]), (g[-1], g[:, -1])))
            strength[layer, r] = np.sqrt([np.divide(last, inside), np.divide(last, first)])
    for layer in terms:
        to_inside, to_first = np.swapaxes([strength[layer, r] for r in range(1, 16)], 0, 1)
        assert to_inside.min() > 0.2 and 0.8 < np.median(to_first) < 1.25


def test_at_multiples_of_16_no_bit_depends_on_the_rounding(nst, phi, monkeypatch):
    """Three steps with Keras' pooling and with this one."""
    x_c, x_s = image(1, 48, 64, 3), image(1, 32, 48, 3)
    args = nst.parse_arguments(["--content", "c", "--style", "s", "--output", "o"])

    def steps():
        state = nst.State(x_c, args)
        step = nst.make_step(nst.make_objective(phi, x_c, x_s, args), state.x, state.optimizer)
        return [list(row.numbers.values()) for row in nst.optimise(step, state, None, 0, 3)], state.x.numpy()

    ours = steps()
    with monkeypatch.context() as patch:
        patch.setattr(nst.keras.layers.MaxPooling2D, "call", lambda self, x: nst.tf.nn.max_pool2d(x, 2, 2, "VALID"))
        keras = steps()
        assert phi(image(1, 47, 64, 3))["block5_conv2"].shape[1] == 2, "Keras' rounds down"
    assert ours[0] == keras[0] and np.array_equal(ours[1], keras[1])


# The Adam step


def quadratic(tf, target):
    """Half the squared distance from a target: its gradient is x - target."""
    return lambda x: tf.stack([0.0, 0.0, 0.0, 0.5 * tf.reduce_sum((x - target) ** 2)])


def test_adam_step_clipping_and_effective_learning_rate(nst):
    tf = nst.tf
    target, start = image(1, 6, 5, 3) * 3 - 1, image(1, 6, 5, 3)
    alpha, beta_1, beta_2, epsilon = 0.03, 0.8, 0.95, 1e-4
    x = tf.Variable(start)
    optimizer = nst.keras.optimizers.Adam(alpha, beta_1, beta_2, epsilon)
    optimizer.build([x])
    step = nst.make_step(quadratic(tf, target), x, optimizer)

    expected, m, v = start.astype(np.float64), 0.0, 0.0
    for t, row in enumerate(nst.optimise(step, SimpleNamespace(x=x, optimizer=optimizer), None, 0, 60), 1):
        gradient = expected - target
        assert row.step == t and list(row.numbers) == list(nst.COLUMNS)
        loss = 0.5 * np.sum(gradient**2)
        assert row.numbers["Total Loss"] == pytest.approx(loss, rel=1e-4), "the losses are those before the update"
        m = beta_1 * m + (1 - beta_1) * gradient
        v = beta_2 * v + (1 - beta_2) * gradient**2
        m_hat, v_hat = m / (1 - beta_1**t), v / (1 - beta_2**t)
        # Keras adds epsilon to sqrt(v), not to sqrt(v_hat): the "epsilon hat" of Kingma & Ba, section 2.
        expected = np.clip(expected - alpha * m_hat / (np.sqrt(v_hat) + epsilon / np.sqrt(1 - beta_2**t)), 0, 1)
        alpha_eff = alpha / (np.sqrt(v_hat) + epsilon)
        summary = [row.numbers[f"alpha_eff_{what}"] for what in ("min", "mean", "max")]
        np.testing.assert_allclose(summary, (alpha_eff.min(), alpha_eff.mean(), alpha_eff.max()), rtol=1e-3)
        np.testing.assert_allclose(x.numpy(), expected, atol=2e-5)
        assert row.finite
    assert expected.min() == 0 and expected.max() == 1, "the targets lie outside, so clipping was tested"


@pytest.mark.parametrize("poison", ["loss", "gradient", "moment"])
def test_a_step_that_is_not_finite_is_told(nst, poison):
    tf = nst.tf
    x = tf.Variable(image(1, 4, 4, 3))
    optimizer = nst.keras.optimizers.Adam(0.01)
    optimizer.build([x])
    objective = {"loss": lambda x: tf.stack([0.0, 0.0, 0.0, tf.reduce_sum(x)]) * np.inf,
                 "gradient": lambda x: tf.stack([0.0, 0.0, 0.0, tf.reduce_sum(tf.sqrt(x - tf.stop_gradient(x)))]),
                 "moment": lambda x: tf.stack([0.0, 0.0, 0.0, 1e30 * tf.reduce_sum(x)])}[poison]
    state = SimpleNamespace(x=x, optimizer=optimizer)
    assert not next(nst.optimise(nst.make_step(objective, x, optimizer), state, None, 0, 1)).finite


def test_row_one_has_content_loss_zero(nst, weights):
    """In both precisions: the targets are the very bits that the compiled step computes."""
    x_c, x_s = image(1, 64, 48, 3), image(1, 32, 32, 3)
    for precision in ("float32", "bfloat16"):
        x = nst.tf.Variable(x_c)
        optimizer = nst.keras.optimizers.Adam(0.01)
        optimizer.build([x])
        objective = nst.make_objective(nst.vgg_features(weights, precision), x_c, x_s, arguments())
        step, state = nst.make_step(objective, x, optimizer), SimpleNamespace(x=x, optimizer=optimizer)
        first, second = (row.numbers for row in nst.optimise(step, state, None, 0, 2))
        assert first["Content Loss"] == 0 and second["Content Loss"] > 0
        assert first["Total Loss"] == pytest.approx(first["Style loss"] + first["Total Variation"])
