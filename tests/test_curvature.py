"""L and lambda_max(alpha_eff*H) against known spectra, dense Hessians, Lanczos in float64, and Adam."""

import numpy as np
import pytest

from conftest import arguments, set_up

N = 300
Q, _ = np.linalg.qr(np.random.default_rng(11).standard_normal((N, N)))
BASE = np.linspace(-3, 3, N - 2)


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def product_of(eigenvalues, scale=1.0):
    """v -> A v for a symmetric matrix with these eigenvalues, as accurate as float32."""
    def product(v):
        return scale * np.float32(Q @ (eigenvalues * (Q.T @ np.float32(v)))).astype(np.float64)

    return product


def solve(nst, product, start, tol=1e-3, max_iters=100, by=np.abs):
    """The eigenpair from this start."""
    return nst.side_by_side(lambda v: [product(v)], [nst.RayleighRitz(start, tol, max_iters, by)])[0]


def solve_at(nst, t, product, last, by=np.abs):
    """The eigenpair of step t, after `last` at the step before."""
    return nst.extreme_eigenpairs(lambda v: [product(v)], t, [last], 1e-3, 100, [by])[0]


# -------------------------------------------------------------------------- one eigenpair

SPECTRA = {  # and how many products are enough at a tolerance of 1e-2; "opposite" takes power iteration 450
    "separated": (np.r_[10.0, np.linspace(-3, 3, N - 1)], 10),
    "negative": (np.r_[-10.0, np.linspace(-3, 9, N - 1)], 40),
    "close": (np.r_[10.0, 9.9, 9.8, np.linspace(-5, 9, N - 3)], 60),
    "opposite": (np.r_[10.0, -9.9, np.linspace(-5, 5, N - 2)], 20),
    "dense to the top": (np.linspace(0, 10, N), 60),
}


@pytest.mark.parametrize("name", SPECTRA)
def test_known_spectrum(nst, rng, name):
    """Value, vector, residual and what the residual says of the error, by magnitude and by value."""
    eigenvalues, enough = SPECTRA[name]
    product = product_of(eigenvalues)
    for tol in 1e-2, 1e-4:
        pair = solve(nst, product, rng.standard_normal(N), tol, 1000)
        assert pair.converged and pair.residual <= tol * abs(pair.value)
        assert tol < 1e-2 or pair.products <= enough
        assert np.linalg.norm(pair.vector) == pytest.approx(1, abs=1e-5)
        assert abs(abs(pair.value) / 10 - 1) <= 2.5 * tol  # what lies closer it cannot tell apart
        assert min(abs(eigenvalues - pair.value)) <= pair.residual + 1e-5, "the residual bounds the error"
        residual = np.linalg.norm(product(pair.vector) - pair.value * pair.vector)
        assert pair.residual == pytest.approx(residual, rel=0.02, abs=1e-5)
        scaled = solve(nst, product_of(eigenvalues, 1e30), rng.standard_normal(N), tol, 1000)
        assert scaled.converged and scaled.value / 1e30 == pytest.approx(pair.value, rel=2.5 * tol)
        by_value = solve(nst, product, rng.standard_normal(N), tol, 1000, np.positive)
        assert by_value.value == pytest.approx(eigenvalues.max(), rel=2.5 * tol)


@pytest.mark.parametrize("diagonal", [[1.0, 2.0, 3.0], [-1.0, -1.0, -1.0], [0.0, 0.0, 0.0], [1e8, 1e8, 1.0]])
def test_an_invariant_span(nst, rng, diagonal):
    """Three eigenvectors are all there is: rounding must not be taken for a fourth."""
    pair = solve(nst, lambda v: np.float32(diagonal) * np.float32(v), rng.standard_normal(3), 1e-12)
    assert pair.products <= 3 and pair.value == pytest.approx(max(diagonal, key=abs), rel=1e-6)


def test_what_is_not_finite_or_has_not_converged_says_so(nst, rng):
    pair = solve(nst, lambda v: v * np.inf, np.ones(9))
    assert np.isnan(pair.value) and not pair.converged and pair.products == 1
    pair = solve(nst, product_of(SPECTRA["dense to the top"][0]), rng.standard_normal(N), 1e-6, 5)
    assert not pair.converged and pair.products == 5 and pair.residual > 1e-6 * abs(pair.value)


# ------------------------------------------------------------------ from step to step

SPECTRA_BY_STEP = {  # and how many of 250 estimates may be of the second eigenvalue
    "to and fro": (lambda t: np.r_[10, 5, BASE] if t % 2 else np.r_[5, 10, BASE], 0),
    "for one step": (lambda t: np.r_[10, -20.0 if t == 25 else 4, BASE], 0),
    "exchange": (lambda t: np.r_[10, 9.7, BASE] if t % 2 else np.r_[9.7, 10, BASE], 10),
}


@pytest.mark.parametrize("name", SPECTRA_BY_STEP)
def test_no_eigenvalue_is_missed(nst, name):
    """Of 250 estimates, each from another start: none, but of eigenvalues that lie close.

    A start settles on the second of 10 and 9.7 where its part of the first is below a thirtieth of its part
    of the second: in 2 of 100. The last eigenvector mends that, unless there is none yet or the two have just
    changed places.
    """
    (spectrum, allowed), missed = SPECTRA_BY_STEP[name], 0
    for begin in range(0, 5000, 1000):
        last = np.random.default_rng(0).standard_normal(N)
        for t in range(1, 51):
            pair = solve_at(nst, begin + t, product_of(spectrum(t)), last)
            error = abs(pair.value) / np.abs(spectrum(t)).max() - 1
            assert pair.converged and error < 1e-5
            missed, last = missed + (error < -5e-3), pair.vector
    assert missed <= allowed


def test_every_step_has_a_start_of_its_own(nst):
    """The same at the same step, whatever the last vector was, so that a resume repeats it."""
    def first(t, last):
        seen = []
        solve_at(nst, t, lambda v: seen.append(v) or v, last)
        return seen[0]

    assert np.array_equal(first(2, np.ones(N)), first(2, Q[:, 0]))
    assert abs(first(1, Q[:, 0]) @ first(2, Q[:, 0])) < 0.3


@pytest.mark.parametrize("by, first, second", [(np.abs, -10, 9.7), (np.positive, -2, -4)])
def test_the_last_eigenvector_mends_a_start_that_settles_on_the_second(nst, by, first, second):
    product, mended = product_of(np.r_[first, second, BASE if second > 0 else np.full(N - 2, -90)]), 0
    for t in range(1, 401):
        cold = solve(nst, product, np.random.default_rng(t).standard_normal(N), by=by)
        if abs(cold.value - second) < 0.1:
            mended += 1
            pair = solve_at(nst, t, product, 0.9 * Q[:, 0] + 0.1 * Q[:, 2], by)
            assert pair.value == pytest.approx(first, rel=1e-5) and pair.converged
    assert mended >= 1


# ------------------------------------------------------------------------------ the whole


def test_both_numbers_of_a_function_with_a_known_hessian(nst, rng):
    """x^T A x / 2 + sum x^4, at the image that is passed; alpha_eff spans eight orders of magnitude.

    The largest in magnitude is negative, and the largest by value positive, for both matrices.
    """
    tf, shape = nst.tf, (1, 4, 4, 3)
    A = (Q[:48, :48] + Q[:48, :48].T) * 8 - 5 * np.eye(48)

    def objective(x):
        quadratic = tf.reshape(x, [1, -1]) @ tf.constant(A, tf.float32) @ tf.reshape(x, [-1, 1]) / 2
        return tf.reshape(quadratic, [1]) + tf.reduce_sum(x**4)

    state, negative = nst.State(np.zeros(shape, np.float32), arguments(nst)), 0
    estimate = nst.make_estimate(objective, state, arguments(nst))
    for t in 1, 3, 6:
        x = rng.random(shape, np.float32)
        alpha_eff = np.exp(4 * rng.standard_normal(shape)).astype(np.float32)
        assert all(pair.converged for pair in estimate(t, tf.constant(x), alpha_eff).values())
        H, root = A + np.diag(12.0 * x.ravel() ** 2), np.sqrt(alpha_eff.ravel().astype(np.float64))
        scaled_H = root[:, None] * H * root
        L, least, most = -np.linalg.eigvalsh(H)[0], *np.linalg.eigvalsh(scaled_H)[[0, -1]]
        assert L > np.linalg.eigvalsh(H)[-1] and most > 0
        negative += -least > most
        assert state.curvature.numpy() == pytest.approx([L, most], rel=2e-3)
        for matrix, value, vector in (H, -L, 0), (scaled_H, most, 1):  # kept for the next estimate
            v = state.eigenvectors.numpy()[vector].astype(np.float64)
            assert np.linalg.norm(matrix @ v - value * v) <= 2e-3 * abs(value)
            assert np.linalg.norm(v) == pytest.approx(1)
    assert negative, "else the largest in magnitude would do"


def test_when_it_is_estimated(nst):
    """At every third step and where there is none to carry on. One that is not finite makes the row so."""
    tf, state = nst.tf, nst.State(np.full((1, 4, 4, 3), 0.5, np.float32), arguments(nst))
    step = nst.make_step(lambda x: tf.stack([0.0, 0.0, 0.0, tf.reduce_sum(x**2)]), state.x, state.optimizer)

    def estimate(t, x_t, alpha_eff):
        assert not np.array_equal(x_t, state.x)
        assert np.array_equal(alpha_eff, nst.effective_learning_rate(state.optimizer))
        state.curvature.assign([np.nan if t == 14 else t, -t])
        return {"L": nst.Eigenpair(t, None, 0.1 * t, 7, converged=t != 3)}

    table = list(nst.optimise(step, state, estimate, 0, 8, 3))
    assert [row.step for row in table if row.estimates] == [1, 3, 6]
    assert [row.numbers["L"] for row in table] == [1, 1, 3, 3, 3, 6, 6, 6]
    assert table[-1].numbers[nst.LAMBDA] == -6
    assert [row.numbers["alpha_eff_max*L"] / row.numbers["alpha_eff_max"] for row in table] == pytest.approx(
        [1, 1, 3, 3, 3, 6, 6, 6])
    state.curvature.assign([np.nan, np.nan])
    assert [row.numbers["L"] for row in nst.optimise(step, state, estimate, 10, 13, 3)] == [11, 12, 12]
    assert [row.finite for row in nst.optimise(step, state, estimate, 13, 15, 14)] == [False, True]
    assert not any("L" in row.numbers for row in nst.optimise(step, state, None, 15, 16, 3))


@pytest.mark.parametrize("beta_1", [0.9, 0.5])
def test_adam_is_stable_below_its_bound_and_not_above(nst, beta_1):
    """Adam's own steps on a quadratic around 0.5 whose lambda_max(D H) is 2% below and 2% above the bound.

    Adam's second moment is set beforehand, and beta_2 is next to 1, so that D stays what it is.
    """
    tf, shape, n = nst.tf, (1, 2, 2, 3), 12
    U, _ = np.linalg.qr(np.random.default_rng(2).standard_normal((n, n)))
    d = np.exp(np.random.default_rng(3).standard_normal(n))  # alpha_eff
    sizes = {}
    for side in 0.98, 1.02:
        spectrum = np.r_[1.0, np.linspace(0.01, 0.4, n - 1)] * side * nst.adam_bound(beta_1)
        H = tf.constant((U * spectrum) @ U.T / np.sqrt(np.outer(d, d)), tf.float32)

        def objective(x):
            y = tf.reshape(x - 0.5, [-1])
            return tf.stack([0.0, 0.0, 0.0, tf.tensordot(y, tf.linalg.matvec(H, y), 1) / 2])

        args = arguments(nst, adam_learning_rate=1.0, adam_beta_1=beta_1, adam_beta_2=0.9999999)
        state = nst.State((0.5 + 1e-4 * U[:, 0]).reshape(shape).astype(np.float32), args)
        iteration, _, _, v = state.optimizer.variables
        iteration.assign(10**9)
        v.assign((1 / d**2).reshape(shape))
        step = nst.make_step(objective, state.x, state.optimizer)
        sizes[side] = [np.abs(state.x.numpy() - 0.5).max() for _ in range(400) if step() is not None]
    assert max(sizes[0.98][-50:]) < 0.3 * max(sizes[0.98][:50]), "below: it settles"
    assert max(sizes[1.02][-50:]) > 30 * sizes[1.02][0], "above: it swings ever wider, until x is clipped"


# ------------------------------------------------------------- along a run of the network


def test_dense_hessian(nst, phi, rng):
    """Row 3 of a run, at a tau where total variation has its say, within 0.2% of eigvalsh.

    H is that of the image before update 3, alpha_eff that of the update. TensorFlow makes H row by row.
    """
    tf, x_c, x_s = nst.tf, rng.random((1, 4, 8, 3), np.float32), rng.random((1, 20, 16, 3), np.float32)
    ours, images = set_up(nst, phi, x_c, x_s, optim=True, tv_weight=5e6), [x_c]
    for row in ours.rows(3):
        images.append(ours.state.x.numpy())

    @tf.function
    def hessians(x):
        x = tf.identity(x)
        content, style, tv, _ = tf.unstack(ours.objective(x))
        return [tf.reshape(tf.hessians(part, x)[0], [x_c.size, -1]) for part in (content + style, tv)]

    network, variation = (H.numpy().astype(np.float64) for H in hessians(images[2]))
    iteration, rate, _, v = (variable.numpy() for variable in ours.state.optimizer.variables)
    root = np.sqrt(rate / (np.sqrt(v.astype(np.float64) / (1 - 0.999**iteration)) + 1e-7)).ravel()

    def largest(H):
        return np.abs(np.linalg.eigvalsh(H)).max(), np.linalg.eigvalsh(root[:, None] * H * root).max()

    L, lambda_max = largest(network + variation)
    assert max(largest(network)[0], largest(variation)[0]) < 0.98 * L
    assert row.step == iteration == 3 and row.finite
    assert all(pair.converged for pair in row.estimates.values())
    found = [row.numbers[name] for name in ("alpha_eff_max*L", "L", nst.LAMBDA)]
    assert found == pytest.approx([root.max() ** 2 * L, L, lambda_max], rel=2e-3)


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


def test_lanczos(nst, phi, rng):
    """Both numbers at a larger image, within 0.2% of 30 Lanczos steps from a random start."""
    x_c, x_s = rng.random((1, 24, 20, 3), np.float32), rng.random((1, 16, 24, 3), np.float32)
    ours = set_up(nst, phi, x_c, x_s, optim=True)
    H, root = nst.make_hessian_vector_product(ours.objective), np.exp(rng.standard_normal(x_c.size))
    pairs = ours.estimate(1, nst.tf.constant(x_c), np.float32(root**2).reshape(x_c.shape))

    def product(v):
        return H(x_c, np.float32(v).reshape(x_c.shape))[0].numpy().ravel().astype(np.float64)

    start = rng.standard_normal(x_c.size)
    assert abs(pairs["L"].value) == pytest.approx(lanczos(product, start, 30, np.abs), rel=2e-3)
    scaled = lanczos(lambda v: root * product(root * v), start, 30, np.positive)
    assert pairs[nst.LAMBDA].value == pytest.approx(scaled, rel=2e-3)


@pytest.mark.parametrize("beta_1, converged, every, found", [
    (0.9, True, 1, "170 at step 330, at most 400 at step 100; Adam's bound is 38, reached at step 31"),
    (0.9, True, 30, "170 at step 330, at most 390 at step 90; Adam's bound is 38, reached at step 60"),
    (0.99, True, 1, "170 at step 330, at most 179 at step 321; Adam's bound is 398"),
    (0.9, False, 1, "no estimate has converged since beta_1^t fell below 0.04"),
    (0.99, True, 32, "no estimate has been made since beta_1^t fell below 0.04")])
def test_which_estimates_the_verdict_is_of(nst, tmp_path, capsys, beta_1, converged, every, found):
    """Converged ones, none that is carried on, from the step on that beta_1 says; on made-up rows.

    It is said on the terminal and stands in the log.
    """
    args = arguments(nst, output=str(tmp_path / "r.png"), optim=True, adam_beta_1=beta_1, nsteps=330,
                     save_every=0, ckpt_write_every=0)
    state = nst.State(np.zeros((1, 16, 16, 3), np.float32), args, {})
    state.optimizer.iterations.assign(20)

    def rows():
        for t in range(21, 331):
            estimates = {nst.LAMBDA: nst.Eigenpair(1.0, None, 0.1, 7, converged)} if t % every == 0 else {}
            numbers = dict.fromkeys((*nst.COLUMNS, *nst.CURVATURE_COLUMNS), 2.0)
            yield nst.Row(t, {**numbers, nst.LAMBDA: 400.0 - abs(t - 100)}, True, estimates)

    log = nst.Log(tmp_path / "log.txt", "")
    assert nst.record(args, nst.OutputFiles(args), rows(), state, log, nst.Stop()) == 0
    said = f"{nst.LAMBDA}: {found} (since the resume at step 20)\n"
    assert said in capsys.readouterr().out and log.path.read_text().count(f"# {said}") == 1
