"""The formulas against independent computations: NumPy in float64, closed forms, finite differences."""

import numpy as np
import pytest

from conftest import arguments, set_up

RNG = np.random.default_rng(7)


def image(*shape) -> np.ndarray:
    return RNG.random(shape, np.float32)


@pytest.fixture(scope="module")
def weights(nst):
    return nst.find_weights("vgg16")


# Losses


def numpy_gram(phi_l: np.ndarray) -> np.ndarray:
    F = phi_l.astype(np.float64).reshape(-1, phi_l.shape[-1])
    return F.T @ F / len(F)


def numpy_style_loss(phi_x: dict, phi_s: dict, layers: tuple, reduction: str = "mean", w=None) -> float:
    """With shares w: S sum_l w_l r_l / sum_l w_l over the layers that have a style, S = 1/5 max_l m_l."""
    x, s = ([numpy_gram(np.asarray(phi[layer])) for layer in layers] for phi in (phi_x, phi_s))
    reduce = getattr(np, reduction)
    distances, m = [reduce((a - b) ** 2) for a, b in zip(x, s)], [reduce(G**2) for G in s]
    if w is None:
        return sum(distances) / 5
    parts = [(w_l, distance / m_l) for w_l, distance, m_l in zip(w, distances, m) if m_l > 0]
    weight = sum(w_l for w_l, _ in parts)
    return max(m) / 5 * sum(w_l * r_l for w_l, r_l in parts) / weight if weight else 0.0


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_content_and_style_loss(nst, reduction):
    """Without and with shares of the layers, one of which has no style."""
    layers = nst.STYLE_LAYERS + nst.CONTENT_LAYERS
    size, channels = [9, 1, 2, 30, 5, 1], [4, 8, 8, 6, 8, 8]
    a, b = ({layer: scale * image(1, 4, 3, C) for layer, scale, C in zip(layers, size, channels)}
            for _ in range(2))
    tensors = {layer: nst.tf.constant(value) for layer, value in a.items()}
    content = getattr(np, reduction)((a["block5_conv2"].astype(np.float64) - b["block5_conv2"]) ** 2)
    np.testing.assert_allclose(nst.content_loss(tensors, b, reduction), content, rtol=1e-5)
    b["block5_conv1"][:] = 0
    grams = {layer: numpy_gram(b[layer]).astype(np.float32) for layer in nst.STYLE_LAYERS}
    for w in None, [1, 0.5, 0, 3, 2], [0, 0, 0, 7, 0], [0, 0, 0, 0, 1]:
        expected = numpy_style_loss(a, b, nst.STYLE_LAYERS, reduction, w)
        np.testing.assert_allclose(nst.style_loss(tensors, grams, reduction, w), expected, rtol=1e-4)


def test_derivatives_of_a_gram_matrix(nst):
    """The first and the second are those of a plain product, also where dG is not symmetric."""
    tf, F, v, weights = nst.tf, *map(nst.tf.constant, (image(12, 5), image(12, 5), image(5, 5)))

    @tf.function
    def derivatives(gram):
        g = nst.gradient(tf.reduce_sum(weights * gram(F) ** 2), F)
        return g, nst.gradient(g, F, v)

    for found, expected in zip(derivatives(nst.gram_matrix), derivatives(lambda F: tf.transpose(F) @ F / 12)):
        np.testing.assert_allclose(found, expected, rtol=1e-4)


def numpy_total_variation(x: np.ndarray, form: str) -> float:
    x = x.astype(np.float64)
    dx, dy = np.zeros_like(x), np.zeros_like(x)
    dx[:, :-1], dy[:, :, :-1] = np.diff(x, axis=1), np.diff(x, axis=2)
    if form == "anisotropic":
        return np.abs(dx).sum() + np.abs(dy).sum()
    return (np.sqrt(dx**2 + dy**2 + 1e-6) - 1e-3).sum()


@pytest.mark.parametrize("form", ["isotropic", "anisotropic"])
def test_total_variation(nst, form):
    """Of a random image and of a ramp; of a flat one it is zero and, if isotropic, smooth."""
    tf, (i, j) = nst.tf, np.mgrid[:4, :4]
    ramp = np.repeat((0.1 * i + 0.2 * j)[None, ..., None], 3, axis=3).astype(np.float32)
    for x in image(1, 9, 6, 3), ramp:
        found = nst.total_variation_loss(tf.constant(x), form)
        np.testing.assert_allclose(found, numpy_total_variation(x, form), rtol=1e-5)
    x = tf.fill([1, 5, 5, 3], 0.25)
    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = nst.total_variation_loss(x, form)
    assert float(loss) == 0 and (form == "anisotropic" or not np.any(tape.gradient(loss, x)))


@pytest.mark.parametrize("alpha, beta, tau, w, reduction, form", [
    (300.0, 5e-6, 7.0, None, "mean", "isotropic"),
    (0.1, 2e-11, 5.0, [1, 2, 0.5, 0, 3], "sum", "anisotropic")])
def test_objective_is_the_weighted_sum(nst, phi, alpha, beta, tau, w, reduction, form):
    x_c, x_s, x = image(1, 32, 48, 3), image(1, 40, 32, 3), image(1, 32, 48, 3)
    args = arguments(nst, content_weight=alpha, style_weight=beta, tv_weight=tau, style_layer_weights=w,
                     loss_reduction=reduction, tv_form=form)
    losses = nst.make_objective(phi, x_c, x_s, args)(nst.tf.constant(x)).numpy()
    phi_x, phi_c, phi_s = (phi(image) for image in (x, x_c, x_s))
    squares = (phi_x["block5_conv2"].numpy().astype(np.float64) - phi_c["block5_conv2"]) ** 2
    style = numpy_style_loss(phi_x, phi_s, nst.STYLE_LAYERS, reduction, w)
    terms = [alpha * getattr(np, reduction)(squares), beta * style, tau * numpy_total_variation(x, form)]
    assert max(terms) < 100 * min(terms), "each has its say"
    np.testing.assert_allclose(losses, terms + [sum(terms)], rtol=1e-4)


@pytest.mark.parametrize("changed, precision", [(dict(style_layer_weights=[1] * 5), "float32"),
                                                ({"tv_form": "anisotropic"}, "bfloat16")])
def test_no_sum_of_three(nst, weights, changed, precision):
    """AddN begins with the input that is free first: with three the result depends on the threads.

    Seen in the graphs that really run, after all of TensorFlow's rewriting.
    """
    from tensorflow.python.eager import context

    x_c = image(1, 16, 16, 3)
    ours = set_up(nst, nst.vgg_features(weights, precision), x_c, x_c, **changed)
    with context.collect_graphs(optimized=True) as graphs:
        next(ours.rows(1))
        nst.make_hessian_vector_product(ours.objective)(ours.state.x, x_c)
    functions = [function for graph in graphs for function in graph.library.function]
    nodes = [node for graph in graphs for node in graph.node]
    nodes += [node for function in functions for node in function.node_def]
    inputs = [sum(not name.startswith("^") for name in node.input) for node in nodes if node.op == "AddN"]
    assert inputs and set(inputs) == {2}


# Features


def test_features_are_keras_vgg19(nst, tmp_path):
    """A weights file of any VGG19, in both of Keras' formats, gives that model's activations of an image."""
    keras = nst.keras
    vgg19 = keras.applications.VGG19(include_top=False, weights=None)
    vgg19.save_weights(tmp_path / "new.weights.h5")
    vgg19.save(tmp_path / "old.h5")
    x = image(1, 32, 32, 3)
    bgr = 255 * x[..., ::-1] - np.array([103.939, 116.779, 123.68], np.float32)
    names = list(nst.STYLE_LAYERS + nst.CONTENT_LAYERS)
    reference = keras.Model(vgg19.input, [vgg19.get_layer(name).output for name in names])(bgr)
    for file in "new.weights.h5", "old.h5":
        found = nst.vgg_features(nst.find_weights(str(tmp_path / file)))(x)
        for name, expected in zip(names, reference):
            np.testing.assert_allclose(found[name], expected, rtol=1e-4, atol=1e-4 * float(np.max(expected)))


# The first entry, in Caffe's order, of each layer's bias and of each kernel but the first, as printed in
# public from MatConvNet's imagenet-vgg-verydeep-16.
PUBLISHED_BIASES = [0.73429835, -0.30912212, -0.04577766, -0.06418542, -0.074358866, 0.019675018, 0.035415243,
                    0.013485669, 0.023680462, 0.03757768, 0.09722325, 0.21327873, 0.18837857]
PUBLISHED_KERNELS = [0.16621928, -0.008902963, -0.0023012366, 0.002486315, -0.0103266295, 0.0024918285,
                     -0.012453815, 0.007116542, -0.0041355654, -0.0006068934, -0.0011261065, 0.00040788297]


LAYERS = [f"block{block}_conv{i + 1}" for block, count in enumerate([2, 2, 3, 3, 3], 1) for i in range(count)]
CHANNELS = [3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512]


@pytest.fixture(scope="module")
def convolutions(nst, weights):
    """{layer: (kernel, bias)} of ImageNet's VGG-16."""
    data, channels = weights.read_bytes(), zip(CHANNELS, CHANNELS[1:])
    return {layer: nst.onnx_convolution(data, layer, *counts) for layer, counts in zip(LAYERS, channels)}


def test_vgg16_weights_are_the_published_ones(convolutions, weights):
    """ONNX has the nine numbers of two channels row by row."""
    (kernels, biases), data = zip(*convolutions.values()), weights.read_bytes()
    assert [bias[0] for bias in biases] == [np.float32(bias) for bias in PUBLISHED_BIASES]
    assert [kernel[0, 0, 0, 0] for kernel in kernels[1:]] == [np.float32(g) for g in PUBLISHED_KERNELS]
    assert all(kernel[:, :, 1, 2].tobytes() in data for kernel in kernels)


def numpy_vgg16(convolutions: dict, x: np.ndarray) -> tuple:
    """The activations of every layer in float64, by the definitions; x: (H, W, 3) in [0, 1].

    And back(layer, d): the gradient in x of the scalar whose gradient in that layer is d.
    """
    maps, found, tape = 255.0 * x.astype(np.float64)[..., ::-1] - [103.939, 116.779, 123.68], {}, []
    for layer in sorted(convolutions):
        if layer.endswith("conv1") and found:  # pooling: the largest of 2 x 2, or of as many as there are
            height, width, _ = maps.shape
            tiles = np.pad(maps, [(0, height % 2), (0, width % 2), (0, 0)], constant_values=-np.inf)
            tiles = tiles.reshape(-(-height // 2), 2, -(-width // 2), 2, -1)
            maps = tiles.max(axis=(1, 3))

            def back(d, where=tiles == maps[:, None, :, None], height=height, width=width):
                tiles = where * d[:, None, :, None]
                return tiles.reshape(2 * len(tiles), 2 * tiles.shape[2], -1)[:height, :width]

            tape.append((None, back))
        kernel, bias = (array.astype(np.float64) for array in convolutions[layer])
        padded = np.pad(maps, [(1, 1), (1, 1), (0, 0)])
        height, width, _ = maps.shape
        maps = bias + sum(padded[i:i + height, j:j + width] @ kernel[i, j]
                          for i in range(3) for j in range(3))
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


@pytest.fixture(scope="module")
def truth(convolutions):
    """An x at which every pooling rounds up, and its activations in VGG-16, in NumPy."""
    x = image(1, 21, 11, 3)
    return x, numpy_vgg16(convolutions, x[0])[0]


def test_vgg16_features_are_the_scaled_activations(phi, truth):
    """Each layer's activations are VGG-16's own times its scale."""
    x, activations = truth
    found = phi(x)
    assert set(found) == set(SCALES)
    for layer, scale in SCALES.items():
        expected = scale * activations[layer]
        np.testing.assert_allclose(found[layer][0], expected, rtol=1e-3, atol=1e-4 * expected.max())


def test_gradient_and_hessian_vector_product_at_odd_sizes(nst, weights, convolutions, truth, monkeypatch):
    """Of the mean square of the deepest layer, with Winograd's convolutions, against NumPy's.

    Few kinks lie within float32's rounding. At the last row and column, too, which pooling drops where it
    rounds down.
    """
    monkeypatch.setattr(nst, "winograd_pays", lambda x_shape, kernel_shape: None not in x_shape[1:3])
    x, phi = truth[0], nst.vgg_features(weights)
    layer, v = "block5_conv2", RNG.standard_normal(x.shape).astype(np.float32)

    def numpy_gradient(x):
        activations, back = numpy_vgg16(convolutions, x)
        return back(layer, SCALES[layer] ** 2 * 2 * activations[layer] / activations[layer].size)

    def mean_square(x):
        return nst.tf.reduce_mean(phi(x)[layer] ** 2)

    gradient = nst.tf.function(lambda x: nst.gradient(mean_square(x), x))(nst.tf.constant(x))
    [product] = nst.make_hessian_vector_product(lambda x: [mean_square(x)])(nst.tf.constant(x), v)
    step = 1e-9 * v[0].astype(np.float64)  # within it there is no kink
    curved = (numpy_gradient(x[0] + step) - numpy_gradient(x[0] - step)) / 2e-9
    for found, expected in (gradient.numpy()[0], numpy_gradient(x[0])), (product.numpy()[0], curved):
        assert np.linalg.norm(found - expected) < 0.01 * np.linalg.norm(expected)
        for edge, true in (found[-1], expected[-1]), (found[:, -1], expected[:, -1]):
            assert np.linalg.norm(edge - true) < 0.03 * np.linalg.norm(true)


# The Adam step


def test_adam_step_clipping_and_effective_learning_rate(nst):
    """Half the squared distance from a target: its gradient is x - target."""
    target, start = image(1, 6, 5, 3) * 3 - 1, image(1, 6, 5, 3)
    alpha, beta_1, beta_2, epsilon = 0.03, 0.8, 0.95, 1e-4
    state = nst.State(start, arguments(nst, adam_learning_rate=alpha, adam_beta_1=beta_1, adam_beta_2=beta_2,
                                       adam_epsilon=epsilon))

    def objective(x):
        return nst.tf.stack([0.0, 0.0, 0.0, 0.5 * nst.tf.reduce_sum((x - target) ** 2)])

    step = nst.make_step(objective, state.x, state.optimizer)
    expected, m, v = start.astype(np.float64), 0.0, 0.0
    for t, row in enumerate(nst.optimise(step, state, None, 0, 60), 1):
        gradient = expected - target
        assert row.step == t and list(row.numbers) == list(nst.COLUMNS)
        loss = 0.5 * np.sum(gradient**2)
        assert row.numbers["Total Loss"] == pytest.approx(loss, rel=1e-4), "that before the update"
        m = beta_1 * m + (1 - beta_1) * gradient
        v = beta_2 * v + (1 - beta_2) * gradient**2
        m_hat, v_hat = m / (1 - beta_1**t), v / (1 - beta_2**t)
        # Keras adds epsilon to sqrt(v), not to sqrt(v_hat): the "epsilon hat" of Kingma & Ba, section 2.
        epsilon_hat = epsilon / np.sqrt(1 - beta_2**t)
        expected = np.clip(expected - alpha * m_hat / (np.sqrt(v_hat) + epsilon_hat), 0, 1)
        alpha_eff = alpha / (np.sqrt(v_hat) + epsilon)
        summary = [row.numbers[f"alpha_eff_{what}"] for what in ("min", "mean", "max")]
        np.testing.assert_allclose(summary, (alpha_eff.min(), alpha_eff.mean(), alpha_eff.max()), rtol=1e-3)
        np.testing.assert_allclose(state.x.numpy(), expected, atol=2e-5)
        assert row.finite
    assert expected.min() == 0 and expected.max() == 1, "the targets lie outside, so clipping was tested"


@pytest.mark.parametrize("poison", ["loss", "gradient", "moment"])
def test_a_step_that_is_not_finite_is_told(nst, poison):
    tf, state = nst.tf, nst.State(image(1, 4, 4, 3), arguments(nst))
    total = {"loss": lambda x: np.inf * tf.reduce_sum(x), "moment": lambda x: 1e30 * tf.reduce_sum(x),
             "gradient": lambda x: tf.reduce_sum(tf.sqrt(x - tf.stop_gradient(x)))}[poison]

    def objective(x):
        return tf.stack([0.0, 0.0, 0.0, total(x)])

    step = nst.make_step(objective, state.x, state.optimizer)
    assert not next(nst.optimise(step, state, None, 0, 1)).finite


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_row_one_has_content_loss_zero(nst, weights, precision):
    """The targets are the very bits that the compiled step computes."""
    x_c, phi = image(1, 32, 48, 3), nst.vgg_features(weights, precision)
    assert phi(x_c)["block5_conv2"].dtype.name == precision
    first, second = (row.numbers for row in set_up(nst, phi, x_c, image(1, 32, 32, 3)).rows(2))
    assert first["Content Loss"] == 0 and second["Content Loss"] > 0
    assert first["Total Loss"] == pytest.approx(first["Style loss"] + first["Total Variation"])
