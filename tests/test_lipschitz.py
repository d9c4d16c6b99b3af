"""The Lipschitz estimate against known spectra, a dense Hessian and estimates run to convergence."""

import argparse

import numpy as np
import pytest

from test_mathematics import arguments

RNG = np.random.default_rng(11)


def symmetric(eigenvalues) -> np.ndarray:
    Q, _ = np.linalg.qr(RNG.standard_normal((len(eigenvalues),) * 2))
    return (Q * eigenvalues) @ Q.T


def dominant(nst, A, tol=1e-2, max_iters=100):
    start = RNG.standard_normal(len(A)).astype(np.float32)
    return nst.dominant_eigenpair(lambda v: (A @ v).astype(np.float32), start, tol, max_iters)


SPECTRA = {
    "separated": np.r_[10.0, np.linspace(-3, 3, 199)],
    "negative": np.r_[-10.0, np.linspace(-3, 9, 199)],
    "close": np.r_[10.0, 9.9, 9.8, np.linspace(-5, 9, 197)],
    "opposite": np.r_[10.0, -9.9, np.linspace(-5, 5, 198)],
    "dense to the top": np.linspace(0, 10, 200),
}


def test_products_that_are_not_finite(nst):
    pair = nst.dominant_eigenpair(lambda v: v * np.float32(np.inf), np.ones(9, np.float32), 1e-2, 100)
    assert np.isnan(pair.value) and not pair.converged and pair.products == 1


def test_an_invariant_span(nst):
    """Three eigenvectors are all there is: rounding must not be taken for a fourth."""
    for diagonal in [1.0, 2.0, 3.0], [-1.0, -1.0, -1.0]:
        assert dominant(nst, np.diag(diagonal), 1e-12).value == pytest.approx(max(diagonal, key=abs), rel=1e-6)


@pytest.mark.parametrize("name", SPECTRA)
@pytest.mark.parametrize("tol", [1e-2, 1e-4])
def test_known_spectrum(nst, name, tol):
    eigenvalues = SPECTRA[name]
    pair = dominant(nst, symmetric(eigenvalues), tol, 1000)
    assert pair.converged and pair.residual <= tol * abs(pair.value)
    assert np.linalg.norm(pair.vector) == pytest.approx(1, abs=1e-5)
    assert abs(abs(pair.value) / 10 - 1) <= 2 * tol  # the residual tells nothing apart that lies within it
    assert min(abs(eigenvalues - pair.value)) <= pair.residual + 1e-5, "the residual bounds the error"
    if name == "negative":
        assert pair.value < 0


def test_the_residual_is_the_true_one(nst):
    A = symmetric(SPECTRA["separated"])
    pair = dominant(nst, A, 1e-3)
    assert pair.residual == pytest.approx(np.linalg.norm(A @ pair.vector - pair.value * pair.vector), rel=0.01)


def test_too_few_products_are_not_passed_off_as_converged(nst):
    pair = dominant(nst, symmetric(SPECTRA["dense to the top"]), 1e-6, 5)
    assert not pair.converged and pair.products == 5 and pair.residual > 1e-6 * abs(pair.value)


def test_fewer_products_than_plain_power_iteration(nst):
    A = symmetric(SPECTRA["opposite"])
    v, plain = RNG.standard_normal(200), 0
    while np.linalg.norm(A @ v - (v @ A @ v) * v) > 1e-2 * abs(v @ A @ v):
        v = A @ v / np.linalg.norm(A @ v)
        plain += 1
    assert dominant(nst, A).products * 3 <= plain


def test_hessian_vector_product_of_a_quadratic(nst):
    """L = x^T A x / 2 has the Hessian A, whose spectrum is known; also the estimate as a whole."""
    tf = nst.tf
    eigenvalues = np.r_[-8.0, np.linspace(-2, 5, 47)]
    A = symmetric(eigenvalues)
    x = tf.Variable(RNG.random((1, 4, 4, 3), np.float32))

    def objective(x):
        flat = tf.reshape(x, [-1, 1])
        return tf.reshape(tf.transpose(flat) @ tf.constant(A, tf.float32) @ flat / 2, [1])

    v = RNG.standard_normal(48).astype(np.float32)
    product = nst.make_hessian_vector_product(objective, x)(v.reshape(x.shape))
    np.testing.assert_allclose(product.numpy().ravel(), A @ v, rtol=1e-3, atol=1e-4)
    estimate = nst.LipschitzEstimate(objective, x, argparse.Namespace(optim_every=3, optim_tol=1e-3, optim_max_iters=100))
    assert estimate.due(5), "there is none yet"
    assert estimate.update().value == pytest.approx(-8, rel=1e-3)
    assert float(estimate.value.numpy()) == pytest.approx(8, rel=1e-3)
    assert [t for t in range(1, 9) if estimate.due(t)] == [1, 3, 6]


# The dense Hessian of a 16 x 16 image: 768 columns, forward over reverse where the script goes
# reverse over reverse, of an objective that is written anew here from the formulas.


def dense_hessian(tf, losses, x) -> np.ndarray:
    """losses maps a batch of images to one loss each, so that 32 columns come at once."""

    @tf.function
    def columns(tangents):
        batch = tf.repeat(x, len(tangents), axis=0)
        with tf.autodiff.ForwardAccumulator(batch, tangents) as forward:
            with tf.GradientTape() as tape:
                tape.watch(batch)
                total = tf.reduce_sum(losses(batch))
            gradient = tape.gradient(total, batch)
        return forward.jvp(gradient)

    directions = np.eye(x.size, dtype=np.float32).reshape(-1, *x.shape[1:])
    H = np.concatenate([columns(tf.constant(part)) for part in np.split(directions, 24)])
    H = H.reshape(x.size, x.size).astype(np.float64)
    return (H + H.T) / 2


@pytest.fixture(scope="module")
def small(nst):
    x_c, x_s = RNG.random((1, 16, 16, 3), np.float32), RNG.random((1, 20, 16, 3), np.float32)
    x = np.clip(x_c + 0.03 * RNG.standard_normal(x_c.shape), 0, 1).astype(np.float32)
    return x_c, x_s, x


@pytest.fixture(scope="module", params=["mean", "sum"])
def network_hessian(request, nst, small):
    """(reduction, Hessian of alpha L_content + beta L_style)."""
    tf, reduction = nst.tf, request.param
    reduce = {"mean": tf.reduce_mean, "sum": tf.reduce_sum}[reduction]
    x_c, x_s, x = small
    phi = nst.vgg_features(nst.find_weights("vgg16"))

    def grams(maps):
        return [tf.einsum("bijc,bijd->bcd", F, F) / (F.shape[1] * F.shape[2]) for F in map(maps.get, nst.STYLE_LAYERS)]

    content_target, style_target = phi(x_c)["block5_conv2"], grams(phi(x_s))

    def losses(batch):
        maps = phi(batch)
        content = reduce((maps["block5_conv2"] - content_target) ** 2, axis=[1, 2, 3])
        style = sum(reduce((G - target) ** 2, axis=[1, 2]) for G, target in zip(grams(maps), style_target)) / 5
        return 1e4 * content + 0.01 * style

    return reduction, dense_hessian(tf, losses, x)


@pytest.mark.parametrize("form", ["isotropic", "anisotropic"])
@pytest.mark.parametrize("tv_weight", [300.0, 3e7])
def test_dense_hessian(nst, network_hessian, small, form, tv_weight):
    """The logged L is within 1% of eigvalsh; at tau = 3e7 total variation has its say, too."""
    tf = nst.tf
    reduction, H = network_hessian
    x_c, x_s, x = small
    if form == "isotropic":  # |dx| + |dy| has no curvature where it has a derivative
        def total_variation(batch):
            dx = tf.pad(batch[:, 1:] - batch[:, :-1], [[0, 0], [0, 1], [0, 0], [0, 0]])
            dy = tf.pad(batch[:, :, 1:] - batch[:, :, :-1], [[0, 0], [0, 0], [0, 1], [0, 0]])
            return tf.reduce_sum(tf.sqrt(dx**2 + dy**2 + 1e-6), axis=[1, 2, 3])

        H = H + tv_weight * dense_hessian(tf, total_variation, x)
    eigenvalues = np.linalg.eigvalsh(H)
    expected = np.abs(eigenvalues).max()

    args = arguments(loss_reduction=reduction, tv_form=form, tv_weight=tv_weight, optim_every=1, optim_tol=1e-2,
                     optim_max_iters=100)
    variable = tf.Variable(x)
    objective = nst.make_objective(nst.vgg_features(nst.find_weights("vgg16")), x_c, x_s, args)
    pair = nst.LipschitzEstimate(objective, variable, args).update()
    assert pair.converged
    assert abs(pair.value) == pytest.approx(expected, rel=0.01)


def test_successive_steps(nst, inputs):
    """From the very first step, where the Hessian changes most, within 2% of an estimate run to 1e-4."""
    tf = nst.tf
    x_c, x_s = (nst.to_array(nst.resize(nst.read_picture("", inputs / name).image, 96)) for name in ("c.png", "s.png"))
    args = arguments(optim_every=1, optim_tol=1e-2, optim_max_iters=100)
    x = tf.Variable(x_c)
    optimizer = nst.keras.optimizers.Adam(0.01)
    optimizer.build([x])
    objective = nst.make_objective(nst.vgg_features(nst.find_weights("vgg16")), x_c, x_s, args)
    lipschitz = nst.LipschitzEstimate(objective, x, args)
    step = nst.make_step(objective, x, optimizer)
    products = []
    for t in range(1, 31):
        pair = lipschitz.update()
        products.append(pair.products)
        assert pair.converged
        if t <= 3 or t % 6 == 0:  # from another start, so that a wrong eigenvector would show
            start = pair.vector + 0.05 * RNG.standard_normal(pair.vector.size).astype(np.float32) / np.float32(pair.vector.size**0.5)
            reference = nst.dominant_eigenpair(
                lambda v: lipschitz.product(v.reshape(x.shape)).numpy().ravel(), start, 1e-4, 100)
            assert reference.converged
            assert abs(pair.value) == pytest.approx(abs(reference.value), rel=0.02), t
        step()
    assert np.mean(products[9:]) <= 3, products
