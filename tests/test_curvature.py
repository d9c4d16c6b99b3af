"""L and lambda_max(alpha_eff*H) against known spectra, dense Hessians, Lanczos in float64, and Adam itself on quadratics."""

import argparse
import re

import numpy as np
import pytest

from test_mathematics import arguments

N = 300
Q, _ = np.linalg.qr(np.random.default_rng(11).standard_normal((N, N)))
BASE = np.linspace(-3, 3, N - 2)


@pytest.fixture
def rng():
    return np.random.default_rng(5)


def product_of(eigenvalues, scale=1.0):
    """v -> A v for a symmetric matrix with these eigenvalues, as accurate as float32."""
    A = (Q * eigenvalues) @ Q.T
    return lambda v: scale * (A @ v.astype(np.float32)).astype(np.float32).astype(np.float64)


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
    pair = nst.eigenpair(product, rng.standard_normal(N), tol, 1000)
    assert pair.converged and pair.residual <= tol * abs(pair.value)
    assert np.linalg.norm(pair.vector) == pytest.approx(1, abs=1e-5)
    assert abs(abs(pair.value) / 10 - 1) <= 2.5 * tol  # the residual tells nothing apart that lies within it
    assert min(abs(eigenvalues - pair.value)) <= pair.residual + 1e-5, "the residual bounds the error"
    assert pair.residual == pytest.approx(np.linalg.norm(product(pair.vector) - pair.value * pair.vector), rel=0.02, abs=1e-5)
    by_value = nst.eigenpair(product, rng.standard_normal(N), tol, 1000, np.positive)
    assert by_value.value == pytest.approx(eigenvalues.max(), rel=2.5 * tol)
    assert pair.value < 0 or name != "negative"


@pytest.mark.parametrize("scale", [1e-30, 1e-24, 1.0, 1e18, 1e30])
def test_the_scale_changes_nothing_but_the_scale(nst, scale):
    plain, scaled = (nst.eigenpair(product_of(np.r_[10, 4, BASE], s), np.random.default_rng(1).standard_normal(N), 1e-3, 100)
                     for s in (1.0, scale))
    assert scaled.converged and scaled.products == plain.products
    assert scaled.value / scale == pytest.approx(plain.value, rel=1e-6)


@pytest.mark.parametrize("diagonal", [[1.0, 2.0, 3.0], [-1.0, -1.0, -1.0], [0.0, 0.0, 0.0], [1e8, 1e8, 1.0]])
def test_an_invariant_span(nst, rng, diagonal):
    """Three eigenvectors are all there is: rounding must not be taken for a fourth."""
    calls = []

    def product(v):
        calls.append(v)
        return np.float32(diagonal) * v.astype(np.float32)

    pair = nst.eigenpair(product, rng.standard_normal(3), 1e-12, 100)
    assert len(calls) == pair.products <= 3
    assert pair.value == pytest.approx(max(diagonal, key=abs), rel=1e-6)


def test_products_that_are_not_finite(nst):
    pair = nst.eigenpair(lambda v: v * np.inf, np.ones(9), 1e-2, 100)
    assert np.isnan(pair.value) and not pair.converged and pair.products == 1


def test_too_few_products_are_not_passed_off_as_converged(nst, rng):
    pair = nst.eigenpair(product_of(SPECTRA["dense to the top"]), rng.standard_normal(N), 1e-6, 5)
    assert not pair.converged and pair.products == 5 and pair.residual > 1e-6 * abs(pair.value)


def test_fewer_products_than_plain_power_iteration(nst, rng):
    product, v, plain = product_of(SPECTRA["opposite"]), rng.standard_normal(N), 0
    v /= np.linalg.norm(v)
    while np.linalg.norm(product(v) - (v @ product(v)) * v) > 1e-2 * abs(v @ product(v)):
        v = product(v) / np.linalg.norm(product(v))
        plain += 1
    assert nst.eigenpair(product, rng.standard_normal(N), 1e-2, 100).products * 3 <= plain


# -------------------------------------------------------------- followed from step to step


def steps_of(remark: str) -> set:
    """The steps that a remark speaks of."""
    first, last = re.search(r"steps? (\d+)(?: to (\d+))?", remark).groups()
    return set(range(int(first), int(last or first) + 1))


def follow(nst, spectrum, steps, by=np.abs, followed=None, **flags):
    """(what follows, value by step, the steps that a remark speaks of, products) for a spectrum by step."""
    args = argparse.Namespace(**{"optim_tol": 1e-2, "optim_max_iters": 100, "optim_every": 1, **flags})
    followed, values, told, products = followed or nst.Followed("L", by, (1, N), args), {}, set(), []
    for t in steps:
        product = product_of(spectrum(t))
        for remark in followed.update(t, lambda v: products.append(1) or product(v)):
            told |= steps_of(remark)
        values[t] = float(followed.value.numpy())
    return followed, values, told, len(products)


def wrong(spectrum, values, by=np.abs):
    return {t for t, value in values.items() if abs(by(value) / by(spectrum(t)).max() - 1) > 0.02}


CROSSINGS = {
    "slow": lambda t: np.r_[10, 9 + 0.05 * t, BASE],
    "fast": lambda t: np.r_[10, 5 + 0.5 * t, BASE],
    "close": lambda t: np.r_[10, 9.7, BASE] if t < 20 else np.r_[9.7, 10, BASE],
    "to and fro": lambda t: np.r_[10, 5, BASE] if t % 2 else np.r_[5, 10, BASE],
    "negative": lambda t: np.r_[10, -9 - 0.1 * t, BASE],
}


@pytest.mark.parametrize("name", CROSSINGS)
def test_a_crossing_is_followed_or_told(nst, name):
    _, values, told, _ = follow(nst, CROSSINGS[name], range(1, 51))
    assert wrong(CROSSINGS[name], values) <= told and len(wrong(CROSSINGS[name], values)) <= 2


@pytest.mark.parametrize("at", [18, 25, 39])
def test_a_sudden_overtaking_is_told_at_the_next_check(nst, at):
    """A warm start cannot see it; from then on it is looked at more often."""
    def spectrum(t):
        return np.r_[10, 20.0 if t >= at else 4, BASE]

    followed, missed, told, t = None, set(), set(), 0
    while not told:
        t += 1
        followed, values, told, _ = follow(nst, spectrum, [t], followed=followed)
        missed |= wrong(spectrum, values)
    assert 0 < len(missed) < nst.LONGEST_INTERVAL and missed <= told and t not in missed
    assert followed.checks.numpy().tolist() == [t, 1]


def test_a_jump_and_a_close_runner_up_are_checked_at_once(nst):
    def jump(t):
        return np.r_[10, 4, BASE] if t != 25 else np.r_[7, 12, BASE]

    def close(t):
        return np.r_[10, 11.0 if t == 25 else 9, BASE]

    for spectrum in jump, close:
        assert 25 not in wrong(spectrum, follow(nst, spectrum, range(1, 41))[1])


def test_a_calm_eigenvalue_is_cheap(nst):
    followed, values, told, products = follow(nst, lambda t: np.r_[10, 4, BASE], range(1, 101))
    assert products <= 220 and not told and followed.checks.numpy()[1] == nst.LONGEST_INTERVAL


@pytest.mark.parametrize("every, checks", [(1, [1, 2, 4, 8, 16, 32, 48]), (10, [1, 10, 30, 70, 150, 310, 470])])
def test_when_a_calm_eigenvalue_is_checked(nst, every, checks):
    """After 1, 2, 4, 8, 16 and 16 estimates."""
    steps, followed, found = [1, *range(max(2, every), 50 * every, every)], None, []
    for t in steps:
        followed = follow(nst, lambda t: np.r_[10, 4, BASE], [t], followed=followed, optim_every=every)[0]
        found += [t] * bool(followed.checks.numpy()[0] == t)
    assert found == checks


def test_the_interval_counts_estimates(nst):
    steps = range(10, 500, 10)
    followed, _, _, products = follow(nst, lambda t: np.r_[10, 4, BASE], steps, optim_every=10)
    assert products <= 3 * len(steps) and followed.checks.numpy()[1] == nst.LONGEST_INTERVAL


def test_a_remark_names_no_step_that_carries_a_checked_value(nst):
    """Every estimate is checked, as each finds that another eigenvalue has overtaken: between them there are none."""
    def spectrum(t):
        return np.r_[10, 5, BASE] if t // 5 % 2 else np.r_[5, 10, BASE]

    args = argparse.Namespace(optim_tol=1e-2, optim_max_iters=100, optim_every=5)
    followed = nst.Followed("L", np.abs, (1, N), args)
    assert not any(followed.update(t, product_of(spectrum(t))) for t in range(5, 60, 5))
    assert float(followed.value.numpy()) == pytest.approx(10, rel=0.01)

    def later(t):
        return np.r_[10, 20.0 if t >= 60 else 4, BASE]

    told = follow(nst, later, range(5, 500, 5), optim_every=5)[2]
    assert told and min(told) % 5 == 0 and max(told) % 5 == 4, "from an estimate to the last step before the check"


def test_the_largest_by_value_where_most_are_negative(nst):
    def spectrum(t):
        return np.r_[-4, -2.0 if t >= 18 else -12, np.full(N - 2, -20)]

    _, values, told, _ = follow(nst, spectrum, range(1, 48), np.positive)
    assert wrong(spectrum, values, lambda v: v) <= told and values[17] == pytest.approx(-4, rel=0.01)


def test_what_has_not_converged_is_told(nst):
    followed, _, told, _ = follow(nst, lambda t: SPECTRA["dense to the top"], range(1, 12), optim_tol=1e-4, optim_max_iters=4)
    assert told == set(range(1, 12)) and followed.checks.numpy()[1] == 1


def test_a_restored_state_repeats_the_bits(nst):
    """Vector, value and schedule are all that the future hangs on; also in the middle of an interval."""
    def spectrum(t):
        return np.r_[10, 4 + 0.15 * t, BASE]

    whole = follow(nst, spectrum, range(1, 61))[1]
    first = follow(nst, spectrum, range(1, 24))[0]
    second = nst.Followed("L", np.abs, (1, N), first.args)
    for key in "vector", "value", "checks":
        getattr(second, key).assign(getattr(first, key))
    assert follow(nst, spectrum, range(24, 61), followed=second)[1] == {t: whole[t] for t in range(24, 61)}


# ------------------------------------------------------------------------------ the whole


def test_both_numbers_of_a_function_with_a_known_hessian(nst, rng):
    """x^T A x / 2 + sum x^4, at the image that is passed; alpha_eff spans eight orders of magnitude, as it does in a run."""
    tf, shape = nst.tf, (1, 4, 4, 3)
    A = (Q[:48, :48] + Q[:48, :48].T) * 8

    def objective(x):
        flat = tf.reshape(x, [-1, 1])
        return tf.reshape(tf.transpose(flat) @ tf.constant(A, tf.float32) @ flat / 2, [1]) + tf.reduce_sum(x**4)

    args = argparse.Namespace(optim_every=3, optim_tol=1e-3, optim_max_iters=100)
    curvature = nst.Curvature(shape, args)
    curvature.product = nst.make_hessian_vector_product(objective)
    assert curvature.due(5), "there is none yet"
    for t in 1, 3, 6:
        x, alpha_eff = rng.random(shape, np.float32), np.exp(4 * rng.standard_normal(shape)).astype(np.float32)
        assert curvature.update(t, tf.constant(x), alpha_eff) == []
        H, root = A + np.diag(12.0 * x.ravel() ** 2), np.sqrt(alpha_eff.ravel().astype(np.float64))
        columns = curvature.columns(2.0)
        L = np.abs(np.linalg.eigvalsh(H)).max()
        assert columns == {"alpha_eff_max*L": pytest.approx(2 * L, rel=2e-3), "L": pytest.approx(L, rel=2e-3),
                           nst.LAMBDA: pytest.approx(np.linalg.eigvalsh(root[:, None] * H * root).max(), rel=2e-3)}
    assert [t for t in range(1, 9) if curvature.due(t)] == [1, 3, 6]
    assert len(curvature.closing(8, 0.9)) == 1, "rows 7 and 8 carry what was checked at step 6"
    assert curvature.closing(9, 0.9)[:-1] == [f"{name} of step 9 is not checked yet" for name in ("L", nst.LAMBDA)]
    curvature.forget()
    assert curvature.due(5)


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
        curvature, x_t, step = state.curvature, tf.identity(state.x), nst.make_step(objective, state.x, state.optimizer)
        curvature.product = nst.make_hessian_vector_product(objective)
        sizes[side] = [float(np.abs(state.x.numpy() - 0.5).max()) for _ in range(600) if step() is not None]
        curvature.update(1, x_t, nst.effective_learning_rate(state.optimizer))
        assert curvature.columns(1.0)[nst.LAMBDA] == pytest.approx(spectrum[0], rel=5e-3)
    assert max(sizes[0.98][-50:]) < 0.3 * max(sizes[0.98][:50]), "below: it settles"
    assert max(sizes[1.02][-50:]) > 30 * sizes[1.02][0], "above: it swings ever wider, up to where x is clipped"


def test_the_verdict(nst):
    curvature = nst.Curvature((1, 4, 4, 3), argparse.Namespace(optim_every=1, optim_tol=1e-2, optim_max_iters=100))

    def verdict(values, beta_1):
        curvature.lambda_max.values = values
        return curvature.closing(0, beta_1)[-1]

    calm = {t: t / 10 for t in range(1, 101)}
    assert verdict(calm, 0.9).endswith("10 at step 100, at most 10, bound 38: below it so far; a larger learning rate may stay below it, too")
    near = {t: 35.0 if t == 50 else 1.0 for t in range(1, 101)}
    assert verdict(near, 0.9).endswith("1 at step 100, at most 35, bound 38: below it so far"), "too near for such advice"
    wild = {t: 50.0 if t < 11 else t + 0.5 for t in range(1, 61)}
    assert "60.5 at step 60, at most 60.5, bound 38: reached at step 38: losses may oscillate" in verdict(wild, 0.9)
    assert "bound 6: reached at step 60" in verdict(calm, 0.5)
    assert "bound 2: too few estimates to judge" in verdict({1: 60.0, 2: 3.0}, 0.0), "the first ten do not count"


def test_what_the_verdict_keeps_over_a_resume(nst):
    """Other cadences, or --optim off and on, change neither objective nor optimiser; other weights do."""
    args = argparse.Namespace(optim=True, optim_every=3, optim_tol=1e-2, optim_max_iters=100)
    about = {"step": 20, "lambda_max": {"11": 40.0, "20": 3.0}}
    for was in {"optim": True, "optim_every": 1}, {"optim": False, "optim_every": 3}, {"optim": True, "optim_every": 3}:
        curvature = nst.Curvature((1, 4, 4, 3), args)
        curvature.go_on({**about, "run": was}, args, [])
        assert "3 at step 20, at most 40, bound 38: reached at step 11" in curvature.closing(20, 0.9)[-1]
        curvature.go_on({**about, "run": was}, args, ["tv_weight: 300.0 in the checkpoint, 3.0 now"])
        assert "too few estimates" in curvature.closing(20, 0.9)[-1]


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


@pytest.fixture(scope="module")
def phi(nst):
    return nst.vgg_features(nst.find_weights("vgg16"))


def network_losses(nst, phi, x_c, x_s, reduction):
    """alpha L_content + beta L_style of a batch, one each."""
    tf = nst.tf
    reduce = {"mean": tf.reduce_mean, "sum": tf.reduce_sum}[reduction]

    def grams(maps):
        return [tf.einsum("bijc,bijd->bcd", F, F) / (F.shape[1] * F.shape[2]) for F in map(maps.get, nst.STYLE_LAYERS)]

    content_target, style_target = phi(x_c)["block5_conv2"], grams(phi(x_s))

    def losses(batch):
        maps = phi(batch)
        content = reduce((maps["block5_conv2"] - content_target) ** 2, axis=[1, 2, 3])
        style = sum(reduce((G - target) ** 2, axis=[1, 2]) for G, target in zip(grams(maps), style_target)) / 5
        return 1e4 * content + 0.01 * style

    return losses


def total_variations(nst):
    tf = nst.tf

    def total_variation(batch):
        dx = tf.pad(batch[:, 1:] - batch[:, :-1], [[0, 0], [0, 1], [0, 0], [0, 0]])
        dy = tf.pad(batch[:, :, 1:] - batch[:, :, :-1], [[0, 0], [0, 0], [0, 1], [0, 0]])
        return tf.reduce_sum(tf.sqrt(dx**2 + dy**2 + 1e-6), axis=[1, 2, 3])

    return total_variation


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_dense_hessian(nst, phi, rng, reduction):
    """The logged L is within 1% of eigvalsh, in both forms; at tau = 3e7 total variation has its say, too."""
    x_c, x_s = rng.random((1, 16, 16, 3), np.float32), rng.random((1, 20, 16, 3), np.float32)
    x = np.clip(x_c + 0.03 * rng.standard_normal(x_c.shape), 0, 1).astype(np.float32)
    network = dense_hessian(nst.tf, network_losses(nst, phi, x_c, x_s, reduction), x)
    variation = dense_hessian(nst.tf, total_variations(nst), x)
    for form, tv_weight in ("isotropic", 300.0), ("isotropic", 3e7), ("anisotropic", 3e7):
        # |dx| + |dy| has no curvature where it has a derivative
        H = network + (tv_weight * variation if form == "isotropic" else 0)
        args = arguments(loss_reduction=reduction, tv_form=form, tv_weight=tv_weight, optim_every=1, optim_tol=1e-2, optim_max_iters=100)
        curvature = nst.Curvature(x.shape, args)
        curvature.product = nst.make_hessian_vector_product(nst.make_objective(phi, x_c, x_s, args))
        assert not curvature.L.update(1, lambda v: curvature.product(x, v.astype(np.float32).reshape(x.shape)).numpy().ravel())
        assert abs(float(curvature.L.value.numpy())) == pytest.approx(np.abs(np.linalg.eigvalsh(H)).max(), rel=0.01)


def test_row_three_against_the_dense_hessian(nst, phi, rng):
    """Of a run with its own Adam: H at the image before update 3, alpha_eff of that update, both in the row of step 3."""
    x_c, x_s = rng.random((1, 16, 16, 3), np.float32), rng.random((1, 20, 16, 3), np.float32)
    args = nst.parse_arguments(["--content", "c", "--style", "s", "--output", "o", "--optim"])
    state = nst.State(x_c, args)
    objective = nst.make_objective(phi, x_c, x_s, args)
    state.curvature.product = nst.make_hessian_vector_product(objective)
    images = [x_c]
    for row in nst.optimise(nst.make_step(objective, state.x, state.optimizer), state, state.curvature, 0, 3):
        images.append(state.x.numpy())
    losses, variation = network_losses(nst, phi, x_c, x_s, "mean"), total_variations(nst)
    H = dense_hessian(nst.tf, lambda batch: losses(batch) + 300.0 * variation(batch), images[2])
    iteration, rate, _, v = (variable.numpy().astype(np.float64) for variable in state.optimizer.variables)
    root = np.sqrt(rate / (np.sqrt(v / (1 - 0.999**iteration)) + 1e-7)).ravel()
    assert row.step == iteration == 3 and row.finite
    assert row.numbers[nst.LAMBDA] == pytest.approx(np.linalg.eigvalsh(root[:, None] * H * root).max(), rel=0.01)
    assert row.numbers["L"] == pytest.approx(np.abs(np.linalg.eigvalsh(H)).max(), rel=0.01)
    assert row.numbers["alpha_eff_max*L"] == pytest.approx(root.max() ** 2 * row.numbers["L"], rel=1e-4)


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


@pytest.mark.parametrize("changed, checked", [({}, (2, 20)), ({"tv_weight": 3e6}, (8,))], ids=["default", "TV dominates"])
def test_along_a_run(nst, inputs, phi, changed, checked):
    """Both numbers within 2% of 60 Lanczos steps from a random start, or the log says that they may not be."""
    x_c, x_s = (nst.fit("", nst.read_picture("", inputs / name), 48) for name in ("c.png", "s.png"))
    words = [word for flag, value in changed.items() for word in (f"--{flag}", str(value))]
    args = nst.parse_arguments(["--content", "c", "--style", "s", "--output", "o", "--optim", *words])
    state, products = nst.State(x_c, args), [0]
    objective = nst.make_objective(phi, x_c, x_s, args)
    H = nst.make_hessian_vector_product(objective)

    def counted(x, v):
        products[-1] += 1
        return H(x, v)

    state.curvature.product = counted
    before, told = x_c, set()
    for row in nst.optimise(nst.make_step(objective, state.x, state.optimizer), state, state.curvature, 0, checked[-1]):
        for remark in row.remarks:
            told |= {(remark.split()[0], t) for t in steps_of(remark)}
        if row.step in checked:
            root = np.sqrt(nst.effective_learning_rate(state.optimizer).numpy().ravel().astype(np.float64))

            def product(v):
                return H(before, v.astype(np.float32).reshape(x_c.shape)).numpy().ravel().astype(np.float64)

            start = np.random.default_rng(100 + row.step).standard_normal(x_c.size)
            for name, column, value in (("L", "L", lanczos(product, start, 60, np.abs)),
                                        (nst.LAMBDA, nst.LAMBDA, lanczos(lambda v: root * product(root * v), start, 60, np.positive))):
                off = abs(row.numbers[column] / value - 1) > 0.02
                assert not off or (name, row.step) in told, (name, row.step, row.numbers[column], value)
        before = state.x.numpy()
        products.append(0)
    if not changed:
        assert np.mean(products[9:-1]) <= 12, products  # of both together, checks included
