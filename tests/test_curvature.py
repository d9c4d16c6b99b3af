"""L and lambda_max(alpha_eff*H) against known spectra, dense Hessians, Lanczos in float64, and Adam itself on quadratics."""

import argparse
import functools
import re
from types import SimpleNamespace

import numpy as np
import pytest

from conftest import row_lines
from test_mathematics import arguments

N = 300
Q, _ = np.linalg.qr(np.random.default_rng(11).standard_normal((N, N)))
BASE = np.linspace(-3, 3, N - 2)
BY = np.abs, np.positive, np.abs


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def product_of(eigenvalues, scale=1.0):
    """v -> A v for a symmetric matrix with these eigenvalues, as accurate as float32."""
    return lambda v: scale * (Q @ (eigenvalues * (Q.T @ v.astype(np.float32)))).astype(np.float32).astype(np.float64)


def solve(nst, product, start, tol, max_iters, by):
    """What a search finds, alone."""
    return nst.side_by_side(lambda v: [product(v)], [nst.RayleighRitz(start, tol, max_iters, by)])[0]


def extreme(nst, product, t, last, by):
    """What is found from a random start or from the last eigenvector."""
    return nst.extreme_eigenpairs(lambda v: [product(v)], t, [last], 1e-3, 100, [by])[0]


# -------------------------------------------------------------------------- one eigenpair

SPECTRA = {
    "separated": np.r_[10.0, np.linspace(-3, 3, N - 1)],
    "negative": np.r_[-10.0, np.linspace(-3, 9, N - 1)],
    "close": np.r_[10.0, 9.9, 9.8, np.linspace(-5, 9, N - 3)],
    "opposite": np.r_[10.0, -9.9, np.linspace(-5, 5, N - 2)],
    "dense to the top": np.linspace(0, 10, N),
}


@pytest.mark.parametrize("name", SPECTRA)
@pytest.mark.parametrize("tol", [1e-2, 1e-4])
def test_known_spectrum(nst, rng, name, tol):
    eigenvalues, product = SPECTRA[name], product_of(SPECTRA[name])
    pair = solve(nst, product, rng.standard_normal(N), tol, 1000, np.abs)
    assert pair.converged and pair.residual <= tol * abs(pair.value)
    assert np.linalg.norm(pair.vector) == pytest.approx(1, abs=1e-5)
    assert abs(abs(pair.value) / 10 - 1) <= 2.5 * tol  # the residual tells nothing apart that lies within it
    assert min(abs(eigenvalues - pair.value)) <= pair.residual + 1e-5, "the residual bounds the error"
    assert pair.residual == pytest.approx(np.linalg.norm(product(pair.vector) - pair.value * pair.vector), rel=0.02, abs=1e-5)
    by_value = solve(nst, product, rng.standard_normal(N), tol, 1000, np.positive)
    assert by_value.value == pytest.approx(eigenvalues.max(), rel=2.5 * tol)
    assert pair.value < 0 or name != "negative"


@pytest.mark.parametrize("scale", [1e-30, 1e-24, 1.0, 1e18, 1e30])
def test_the_scale_changes_nothing_but_the_scale(nst, scale):
    start = np.random.default_rng(1).standard_normal(N)
    plain, scaled = (solve(nst, product_of(np.r_[10, 4, BASE], s), start, 1e-3, 100, np.abs) for s in (1.0, scale))
    assert scaled.converged and scaled.products == plain.products
    assert scaled.value / scale == pytest.approx(plain.value, rel=1e-6)


@pytest.mark.parametrize("diagonal", [[1.0, 2.0, 3.0], [-1.0, -1.0, -1.0], [0.0, 0.0, 0.0], [1e8, 1e8, 1.0]])
def test_an_invariant_span(nst, rng, diagonal):
    """Three eigenvectors are all there is: rounding must not be taken for a fourth."""
    calls = []

    def product(v):
        calls.append(v)
        return np.float32(diagonal) * v.astype(np.float32)

    pair = solve(nst, product, rng.standard_normal(3), 1e-12, 100, np.abs)
    assert len(calls) == pair.products <= 3
    assert pair.value == pytest.approx(max(diagonal, key=abs), rel=1e-6)


def test_products_that_are_not_finite(nst):
    pair = solve(nst, lambda v: v * np.inf, np.ones(9), 1e-2, 100, np.abs)
    assert np.isnan(pair.value) and not pair.converged and pair.products == 1


def test_too_few_products_are_not_passed_off_as_converged(nst, rng):
    pair = solve(nst, product_of(SPECTRA["dense to the top"]), rng.standard_normal(N), 1e-6, 5, np.abs)
    assert not pair.converged and pair.products == 5 and pair.residual > 1e-6 * abs(pair.value)


def test_fewer_products_than_plain_power_iteration(nst, rng):
    product, v, plain = product_of(SPECTRA["opposite"]), rng.standard_normal(N), 0
    v /= np.linalg.norm(v)
    while np.linalg.norm(product(v) - (v @ product(v)) * v) > 1e-2 * abs(v @ product(v)):
        v = product(v) / np.linalg.norm(product(v))
        plain += 1
    assert solve(nst, product, rng.standard_normal(N), 1e-2, 100, np.abs).products * 3 <= plain


def test_two_side_by_side_are_each_as_alone(nst, rng):
    """The one that ends first waits; products are shared out in the order of the iterations."""
    products, starts = [product_of(SPECTRA[name]) for name in ("separated", "close", "negative")], rng.standard_normal((3, N))
    alone = [solve(nst, product, start, 1e-4, 100, by) for product, start, by in zip(products, starts, BY)]
    asked = []

    def shared(*vectors):
        asked.append(len(vectors))
        return [product(v) for product, v in zip(products, vectors)]

    together = nst.side_by_side(shared, [nst.RayleighRitz(start, 1e-4, 100, by) for start, by in zip(starts, BY)])
    assert set(asked) == {3} and len(asked) == max(pair.products for pair in alone) > min(pair.products for pair in alone)
    for one, other in zip(together, alone):
        assert one._replace(vector=0) == other._replace(vector=0) and np.array_equal(one.vector, other.vector)


# ------------------------------------------------------------------ from step to step

SPECTRA_BY_STEP = {
    "calm": lambda t: np.r_[10, 4, BASE],
    "close": lambda t: np.r_[10, 9.7, BASE],
    "slow crossing": lambda t: np.r_[10, 9 + 0.05 * t, BASE],
    "to and fro": lambda t: np.r_[10, 5, BASE] if t % 2 else np.r_[5, 10, BASE],
    "sudden": lambda t: np.r_[10, 20.0 if t >= 25 else 4, BASE],
    "for one step": lambda t: np.r_[10, 20.0 if t == 25 else 4, BASE],
    "negative": lambda t: np.r_[10, -9 - 0.05 * t, BASE],
    "exchange of two that are close": lambda t: np.r_[10, 9.7, BASE] if t % 2 else np.r_[9.7, 10, BASE],
}


def follow(nst, spectrum, steps, by=np.abs):
    """The relative errors of the estimates at these steps of a spectrum, and products an estimate."""
    last, errors, products = np.random.default_rng(0).standard_normal(N), [], []
    for t in steps:
        product = product_of(spectrum(t))
        pair = extreme(nst, lambda v: products.append(1) or product(v), t, last, by)
        assert pair.converged
        last = pair.vector
        truth = by(spectrum(t)).max()
        errors.append((by(pair.value) - truth) / abs(truth))
    return np.array(errors), len(products) / len(errors)


@pytest.mark.parametrize("name", SPECTRA_BY_STEP)
def test_no_eigenvalue_is_missed(nst, name):
    """Of 1,000 estimates, each from another start: none, but of eigenvalues that lie close.

    A start settles on the second of 10 and 9.7 where its part of the first is below a thirtieth of its part of the second: in
    2 of 100. The last eigenvector mends that, unless there is none yet or the two have just changed places.
    """
    spectrum, begins = SPECTRA_BY_STEP[name], range(0, 20_000, 1000)
    errors = np.array([follow(nst, lambda t: spectrum(t - begin), range(begin + 1, begin + 51))[0] for begin in begins])
    missed = errors < -5e-3
    assert errors.max() < 1e-5
    assert missed.sum() <= {"close": 4, "exchange of two that are close": 40}.get(name, 0)
    assert name.startswith("exchange") or not (missed[:, 1:] > missed[:, :-1]).any(), "what was found is not lost again"


def test_the_largest_by_value_where_most_are_negative(nst):
    errors, _ = follow(nst, lambda t: np.r_[-4, -2.0 if t >= 18 else -12, np.full(N - 2, -20)], range(1, 48), np.positive)
    assert np.abs(errors).max() < 1e-4


def test_a_calm_eigenvalue_costs_one_product_more_than_a_cold_start(nst):
    product, cold = product_of(np.r_[10, 4, BASE]), np.random.default_rng(7).standard_normal(N)
    alone, calls = solve(nst, product, cold, 1e-3, 100, np.abs), []
    for last in Q[:, 0], Q[:, 1], Q[:, 200], cold, 1e-20 * cold.astype(np.float32):  # right; stale; of another image; none yet
        calls.clear()
        pair = extreme(nst, lambda v: calls.append(1) or product(v), 7, last + 1e-2 * Q[:, 5], np.abs)
        assert np.array_equal(pair.vector, alone.vector) and pair.value == alone.value
        assert len(calls) == alone.products + 1 and pair.products == alone.products


def test_every_step_has_a_start_of_its_own(nst):
    """The same at the same step, whatever the last vector was."""

    def first_vector(t, last, by):
        asked = []
        extreme(nst, lambda v: asked.append(v) or v, t, last, by)
        return asked[0]

    first = {t: first_vector(t, np.ones(N), np.abs) for t in (1, 2, 3, 1000)}
    for t, v in first.items():
        assert np.array_equal(v, first_vector(t, Q[:, 0], np.positive))
        assert all(abs(v @ other) < 0.3 for step, other in first.items() if step != t)


@pytest.mark.parametrize("by, eigenvalues", [(np.abs, [10, 9.7]), (np.abs, [-10, 9.7]), (np.positive, [10, 9.7]), (np.positive, [-2, -4])])
def test_the_last_eigenvector_mends_a_start_that_settles_on_the_second(nst, by, eigenvalues):
    spectrum = np.r_[eigenvalues, BASE if eigenvalues[1] > 0 else np.full(N - 2, -90)]
    product, mended = product_of(spectrum), 0
    for t in range(1, 401):
        cold = solve(nst, product, np.random.default_rng(t).standard_normal(N), 1e-3, 100, by)
        if abs(cold.value - eigenvalues[1]) < 0.1:
            mended += 1
            pair = extreme(nst, product, t, 0.9 * Q[:, 0] + 0.1 * Q[:, 2], by)
            assert pair.value == pytest.approx(eigenvalues[0], rel=1e-5) and pair.converged
    assert mended >= 1


# ------------------------------------------------------------------------------ the whole


def state_of(nst, shape):
    """As much of a State as an estimate needs."""
    vectors = np.random.default_rng(0).standard_normal((2, np.prod(shape)), np.float32)
    return SimpleNamespace(curvature=nst.tf.Variable([np.nan, np.nan], dtype=nst.tf.float64), eigenvectors=nst.tf.Variable(vectors))


def test_both_numbers_of_a_function_with_a_known_hessian(nst, rng):
    """x^T A x / 2 + sum x^4, at the image that is passed; alpha_eff spans eight orders of magnitude, as it does in a run.

    The largest in magnitude is negative, and the largest by value positive, for both matrices.
    """
    tf, shape = nst.tf, (1, 4, 4, 3)
    A = (Q[:48, :48] + Q[:48, :48].T) * 8 - 5 * np.eye(48)

    def objective(x):
        flat = tf.reshape(x, [-1, 1])
        return tf.reshape(tf.transpose(flat) @ tf.constant(A, tf.float32) @ flat / 2, [1]) + tf.reduce_sum(x**4)

    state = state_of(nst, shape)
    estimate, negative = nst.make_estimate(objective, state, argparse.Namespace(optim_tol=1e-3, optim_max_iters=100)), 0
    for t in 1, 3, 6:
        x, alpha_eff = rng.random(shape, np.float32), np.exp(4 * rng.standard_normal(shape)).astype(np.float32)
        assert all(pair.converged for pair in estimate(t, tf.constant(x), alpha_eff).values())
        H, root = A + np.diag(12.0 * x.ravel() ** 2), np.sqrt(alpha_eff.ravel().astype(np.float64))
        scaled_H = root[:, None] * H * root
        L, least, most = -np.linalg.eigvalsh(H)[0], *np.linalg.eigvalsh(scaled_H)[[0, -1]]
        assert L > np.linalg.eigvalsh(H)[-1] and most > 0
        negative += -least > most
        assert nst.curvature_columns(state, 2.0) == {"alpha_eff_max*L": pytest.approx(2 * L, rel=2e-3), "L": pytest.approx(L, rel=2e-3),
                                                     nst.LAMBDA: pytest.approx(most, rel=2e-3)}
        for matrix, value, vector in (H, -L, 0), (scaled_H, most, 1):  # kept for the next estimate
            v = state.eigenvectors.numpy()[vector].astype(np.float64)
            assert np.linalg.norm(matrix @ v - value * v) <= 2e-3 * abs(value) and np.linalg.norm(v) == pytest.approx(1)
    assert negative, "else the largest in magnitude would do"


def test_what_has_not_converged_is_told(nst, rng):
    """By name, and the eigenvalue that lies at the top of a dense spectrum has not."""
    shape, spectrum = (1, 10, 10, 3), np.linspace(0, 10, N)
    A = nst.tf.constant((Q * spectrum) @ Q.T, nst.tf.float32)

    def objective(x):
        return nst.tf.reshape(nst.tf.reshape(x, [1, -1]) @ A @ nst.tf.reshape(x, [-1, 1]) / 2, [1])

    state, x = state_of(nst, shape), nst.tf.zeros(shape)
    even, one = np.ones(shape), np.where(np.arange(N) == 7, 1, 1e-12).reshape(shape)  # alpha_eff; D H has one eigenvalue then
    for max_iters, alpha_eff, told in (3, even, ["L", nst.LAMBDA]), (3, one, ["L"]), (100, even, []):
        estimate = nst.make_estimate(objective, state, argparse.Namespace(optim_tol=1e-3, optim_max_iters=max_iters))
        remarks = nst.Row(7, {}, True, estimate(7, x, alpha_eff)).remarks
        assert [remark.split()[2] for remark in remarks] == told
        assert all(re.fullmatch(r"step 7: \S+ has not converged after 3 products, residual [\d.]+% of it", remark) for remark in remarks)


def test_when_it_is_estimated(nst):
    """At every `every`-th step and where there is none to carry on; in between the last one goes on."""
    state = state_of(nst, (1, 4, 4, 3))
    state.x, state.optimizer = nst.tf.Variable(np.full((1, 4, 4, 3), 0.5, np.float32)), nst.keras.optimizers.Adam(0.01)
    state.optimizer.build([state.x])
    step, asked = nst.make_step(lambda x: nst.tf.stack([0.0, 0.0, 0.0, nst.tf.reduce_sum(x**2)]), state.x, state.optimizer), []

    def estimate(t, x_t, alpha_eff):
        asked.append(t)
        assert not np.array_equal(x_t, state.x) and np.array_equal(alpha_eff, nst.effective_learning_rate(state.optimizer))
        state.curvature.assign([t, -t])
        return {"L": nst.Eigenpair(t, None, 0.1 * t, 7, converged=t != 3)}

    table = list(nst.optimise(step, state, estimate, 0, 8, 3))
    assert asked == [1, 3, 6] == [row.step for row in table if row.estimates]
    assert sum([row.remarks for row in table], []) == ["step 3: L has not converged after 7 products, residual 10.0% of it"]
    assert [row.numbers["L"] for row in table] == [1, 1, 3, 3, 3, 6, 6, 6] and table[-1].numbers[nst.LAMBDA] == -6
    state.curvature.assign([np.nan, np.nan])
    assert [row.numbers["L"] for row in nst.optimise(step, state, estimate, 10, 13, 3)] == [11, 12, 12]
    assert not any("L" in row.numbers for row in nst.optimise(step, state, None, 13, 15, 3))


@pytest.mark.parametrize("beta_1", [0.9, 0.5, 0.0])
def test_adam_is_stable_below_its_bound_and_not_above(nst, beta_1):
    """Adam's own steps on a quadratic around 0.5 whose lambda_max(D H) is 2% below and 2% above the bound.

    Adam's second moment is set beforehand, and beta_2 is next to 1, so that D stays what it is.
    """
    tf, shape, n = nst.tf, (1, 2, 2, 3), 12
    U, _ = np.linalg.qr(np.random.default_rng(2).standard_normal((n, n)))
    d = np.exp(np.random.default_rng(3).standard_normal(n))  # alpha_eff
    sizes = {}
    for side in 0.98, 1.02:
        spectrum = np.r_[1.0, np.linspace(0.01, 0.4, n - 1)] * side * 2 * (1 + beta_1) / (1 - beta_1)
        H = tf.constant((U * spectrum) @ U.T / np.sqrt(np.outer(d, d)), tf.float32)

        def objective(x):
            y = tf.reshape(x - 0.5, [-1])
            return tf.stack([0.0, 0.0, 0.0, tf.tensordot(y, tf.linalg.matvec(H, y), 1) / 2])

        args = argparse.Namespace(optim_every=1, optim_tol=1e-4, optim_max_iters=100, adam_learning_rate=1.0, adam_beta_1=beta_1,
                                  adam_beta_2=0.9999999, adam_epsilon=1e-7)
        state = nst.State((0.5 + 1e-4 * U[:, 0]).reshape(shape).astype(np.float32), args)
        iteration, _, _, v = state.optimizer.variables
        iteration.assign(10**9)
        v.assign((1 / d**2).reshape(shape))
        x_t, step, estimate = tf.identity(state.x), nst.make_step(objective, state.x, state.optimizer), nst.make_estimate(objective, state, args)
        sizes[side] = [float(np.abs(state.x.numpy() - 0.5).max()) for _ in range(600) if step() is not None]
        estimate(1, x_t, nst.effective_learning_rate(state.optimizer))
        assert nst.curvature_columns(state, 1.0)[nst.LAMBDA] == pytest.approx(spectrum[0], rel=5e-3)
    assert max(sizes[0.98][-50:]) < 0.3 * max(sizes[0.98][:50]), "below: it settles"
    assert max(sizes[1.02][-50:]) > 30 * sizes[1.02][0], "above: it swings ever wider, up to where x is clipped"


# --------------------------------------------------------- the dense Hessian of a 16 x 16 image
# 768 columns, forward over reverse where the script goes reverse over reverse, of an objective that is
# written anew here from the formulas.


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


def network_losses(nst, phi, x_c, x_s):
    """alpha L_content + beta L_style of a batch, one each."""
    tf = nst.tf

    def grams(maps):
        return [tf.einsum("bijc,bijd->bcd", F, F) / (F.shape[1] * F.shape[2]) for F in map(maps.get, nst.STYLE_LAYERS)]

    content_target, style_target = phi(x_c)["block5_conv2"], grams(phi(x_s))

    def losses(batch):
        maps = phi(batch)
        content = tf.reduce_mean((maps["block5_conv2"] - content_target) ** 2, axis=[1, 2, 3])
        style = sum(tf.reduce_mean((G - target) ** 2, axis=[1, 2]) for G, target in zip(grams(maps), style_target)) / 5
        return 1e4 * content + 0.01 * style

    return losses


def total_variations(nst):
    tf = nst.tf

    def total_variation(batch):
        dx = tf.pad(batch[:, 1:] - batch[:, :-1], [[0, 0], [0, 1], [0, 0], [0, 0]])
        dy = tf.pad(batch[:, :, 1:] - batch[:, :, :-1], [[0, 0], [0, 0], [0, 1], [0, 0]])
        return tf.reduce_sum(tf.sqrt(dx**2 + dy**2 + 1e-6), axis=[1, 2, 3])

    return total_variation


@pytest.fixture(scope="module")
def third(nst, phi):
    """A run of three steps with its own Adam: content, style, the image before update 3, row 3, Adam after it."""
    rng = np.random.default_rng(5)
    x_c, x_s = rng.random((1, 16, 16, 3), np.float32), rng.random((1, 20, 16, 3), np.float32)
    args = nst.parse_arguments(["--content", "c", "--style", "s", "--output", "o", "--optim"])
    state = nst.State(x_c, args)
    objective = nst.make_objective(phi, x_c, x_s, args)
    step, estimate, images = nst.make_step(objective, state.x, state.optimizer), nst.make_estimate(objective, state, args), [x_c]
    for row in nst.optimise(step, state, estimate, 0, 3):
        images.append(state.x.numpy())
    return SimpleNamespace(x_c=x_c, x_s=x_s, x=images[2], row=row, optimizer=state.optimizer)


@pytest.fixture(scope="module")
def hessian(nst, phi, third):
    """Its dense Hessians by name: of the network's losses, which takes 20 to 40 s, and of total variation."""
    losses = {"TV": total_variations(nst), "network": network_losses(nst, phi, third.x_c, third.x_s)}
    return functools.cache(lambda name: dense_hessian(nst.tf, losses[name], third.x))


def test_dense_hessian(nst, phi, third, hessian):
    """Both numbers are within 0.2% of eigvalsh, in both forms; at tau = 3e7 total variation has its say, too."""
    for form, tv_weight in ("isotropic", 300.0), ("isotropic", 3e7), ("anisotropic", 3e7):
        # |dx| + |dy| has no curvature where it has a derivative
        H = hessian("network") + (tv_weight * hessian("TV") if form == "isotropic" else 0)
        args = arguments(tv_form=form, tv_weight=tv_weight, optim_tol=1e-3, optim_max_iters=100)
        state = state_of(nst, third.x.shape)
        estimate = nst.make_estimate(nst.make_objective(phi, third.x_c, third.x_s, args), state, args)
        pairs = estimate(1, nst.tf.constant(third.x), np.full(third.x.shape, 0.25))
        assert all(pair.converged for pair in pairs.values())
        columns, eigenvalues = nst.curvature_columns(state, 1.0), np.linalg.eigvalsh(H)
        assert columns["L"] == pytest.approx(np.abs(eigenvalues).max(), rel=2e-3)
        assert columns[nst.LAMBDA] == pytest.approx(0.25 * eigenvalues.max(), rel=2e-3)


def test_row_three_against_the_dense_hessian(nst, third, hessian):
    """H at the image before update 3, alpha_eff of that update, both in the row of step 3."""
    row, H = third.row, hessian("network") + 300.0 * hessian("TV")
    iteration, rate, _, v = (variable.numpy().astype(np.float64) for variable in third.optimizer.variables)
    root = np.sqrt(rate / (np.sqrt(v / (1 - 0.999**iteration)) + 1e-7)).ravel()
    assert row.step == iteration == 3 and row.finite
    assert row.numbers[nst.LAMBDA] == pytest.approx(np.linalg.eigvalsh(root[:, None] * H * root).max(), rel=2e-3)
    assert row.numbers["L"] == pytest.approx(np.abs(np.linalg.eigvalsh(H)).max(), rel=2e-3)
    assert row.numbers["alpha_eff_max*L"] == pytest.approx(root.max() ** 2 * row.numbers["L"], rel=1e-4)


# ------------------------------------------------------------------- Adam's bound, at the end


def test_the_verdict(nst):
    said = f"{nst.LAMBDA}: 8.2 at step 150, at most 8.4 at step 131; Adam's bound is 38"
    assert nst.verdict({131: 8.4, 140: 8.3, 150: 8.2}, 0, 0.9) == said
    assert nst.verdict({131: 8.4, 140: 8.3, 150: 8.2}, 120, 0.9) == f"{said} (since the resume at step 120)"
    reached = f"{nst.LAMBDA}: 7 at step 99, at most 9 at step 80; Adam's bound is 6, reached at step 65"
    assert nst.verdict({40: 5.9, 65: 6.0, 80: 9.0, 99: 7.0}, 0, 0.5) == reached
    assert nst.verdict({}, 0, 0.9) == f"{nst.LAMBDA}: no estimate has converged since beta_1^t is below 0.04"


@pytest.mark.parametrize("beta_1, converged, every, found", [
    (0.9, True, 1, "70 at step 330, at most 369 at step 31; Adam's bound is 38, reached at step 31"),
    (0.9, True, 30, "70 at step 330, at most 340 at step 60; Adam's bound is 38, reached at step 60"),
    (0.99, True, 1, "70 at step 330, at most 79 at step 321; Adam's bound is 398"),
    (0.9, False, 1, None), (0.99, True, 32, None)])
def test_which_estimates_the_verdict_is_of(nst, tmp_path, capsys, beta_1, converged, every, found):
    """Converged ones, none that is carried on, and by the beta_1 from step 31 on, or from step 321; in rows that are made up."""
    words = ["--content", "c", "--style", "s", "--output", str(tmp_path / "r.png"), "--optim", "--adam_beta_1", str(beta_1), "--nsteps", "330"]
    args = nst.parse_arguments([*words, "--save_every", "0", "--ckpt_write_every", "0"])
    state = nst.State(np.zeros((1, 16, 16, 3), np.float32), args, {})
    state.optimizer.iterations.assign(20)

    def rows():
        for t in range(21, 331):
            estimates = {nst.LAMBDA: nst.Eigenpair(1.0, None, 0.1, 7, converged)} if t % every == 0 else {}
            numbers = {**dict.fromkeys((*nst.COLUMNS, *nst.CURVATURE_COLUMNS), 2.0), nst.LAMBDA: 400.0 - t}
            yield nst.Row(t, numbers, True, estimates)

    log = nst.Log(tmp_path / "log.txt", "")
    assert nst.transfer(args, nst.OutputFiles(args), rows(), state, log, nst.Stop()) == 0
    said = f"{nst.LAMBDA}: {found or 'no estimate has converged since beta_1^t is below 0.04'} (since the resume at step 20)\n"
    assert said in capsys.readouterr().out and log.path.read_text().count(f"# {said}") == 1


def test_what_a_run_says_of_adams_bound(flags, tmp_path, run, nst):
    """At its end, on the terminal and in the log."""
    status, out, _ = run(*flags("--optim", "--optim_every", 32, "--log_every", 5, "--save_every", 0, "--nsteps", 33, "--image_size", 32))
    log = tmp_path / "out" / "r_c_s_log.txt"
    value = f"{float(row_lines(log)[-1].split()[-1]):.3g}"
    said = f"{nst.LAMBDA}: {value} at step 32, at most {value} at step 32; Adam's bound is 38\n"
    assert status == 0 and said in out and f"# {said}" in log.read_text()


# ---------------------------------------------------------------- Lanczos along a real run


def lanczos(product, start, steps: int, by) -> float:
    """The extreme Ritz value of so many Lanczos steps in float64, fully reorthogonalised."""
    V, T = [start / np.linalg.norm(start)], np.zeros((steps, steps))
    for k in range(steps):
        w = product(V[k])
        T[:k + 1, k] = [w @ v for v in V]
        for _ in range(2):
            w = w - np.array(V).T @ (np.array(V) @ w)
        V.append(w / np.linalg.norm(w))
    return by(np.linalg.eigvalsh(T, UPLO="U")).max()


@pytest.mark.parametrize("changed, checked", [({}, (2, 11)), ({"tv_weight": 3e6}, (3,))], ids=["default", "TV dominates"])
def test_along_a_run(nst, inputs, phi, changed, checked):
    """Both numbers converge, and are within 0.2% of 60 Lanczos steps from a random start."""
    x_c, x_s = (nst.fit("", nst.read_picture("", inputs / name), 32) for name in ("c.png", "s.png"))
    words = [word for flag, value in changed.items() for word in (f"--{flag}", str(value))]
    args = nst.parse_arguments(["--content", "c", "--style", "s", "--output", "o", "--optim", *words])
    state = nst.State(x_c, args)
    objective = nst.make_objective(phi, x_c, x_s, args)
    step, H, before = nst.make_step(objective, state.x, state.optimizer), nst.make_hessian_vector_product(objective), x_c
    for row in nst.optimise(step, state, nst.make_estimate(objective, state, args), 0, checked[-1]):
        assert not row.remarks
        if row.step in checked:
            root = np.sqrt(nst.effective_learning_rate(state.optimizer).numpy().ravel().astype(np.float64))

            def product(v):
                return H(before, v.astype(np.float32).reshape(x_c.shape))[0].numpy().ravel().astype(np.float64)

            start = np.random.default_rng(100 + row.step).standard_normal(x_c.size)
            assert row.numbers["L"] == pytest.approx(lanczos(product, start, 60, np.abs), rel=2e-3)
            scaled = lanczos(lambda v: root * product(root * v), start, 60, np.positive)
            assert row.numbers[nst.LAMBDA] == pytest.approx(scaled, rel=2e-3)
        before = state.x.numpy()
