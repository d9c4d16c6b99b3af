#!/usr/bin/env python3
"""Measure the figures of the READMEs, side by side on this machine.

    python tests/tools/benchmark.py               the table of steps: 256, 512 and 1024 pixels
    python tests/tools/benchmark.py --optim       what --optim adds to a step, in steps
    python tests/tools/benchmark.py --memory      what a run holds, by the pixels of content and style
    python tests/tools/benchmark.py --lipschitz " --tv_weight 3e5" ...   errors, products of L and lambda_max
    python tests/tools/benchmark.py --kinks       how far L speaks for a step, across kinks
    python tests/tools/benchmark.py --rate PAIR   steps to the default run's loss at other learning rates
    python tests/tools/benchmark.py --networks VGG19.h5   the scaled VGG-16's activations beside VGG-19's

The contenders make steps in turn, each in a process of its own, so that a drift of the machine's
speed meets all of them alike. A turn is two steps, of which the second counts: PyTorch takes longer
for the first one after a pause. Figures are medians over the rounds. The arithmetic of a
step is counted once for all, as direct convolutions need it, so that Winograd's may pass 100% of the
limit: VGG-19 up to block5_conv2 forward and backward to the pixels, and one product each way for every
Gram matrix.
"""

import argparse
import importlib.metadata
import importlib.util
import os
import platform
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))
import neural_style_transfer as nst  # noqa: E402

CONTENDERS = {
    "ours": "this tool, float32",
    "direct": "direct convolutions in their place",
    "tutorial": "TensorFlow tutorial's loop",
    "torch": "PyTorch loop, channels_last",
    "bfloat16": "this tool, bfloat16",
    "product": "one Hessian-vector product",
    "products": "two of them at one image",
    "vgg16": "this tool with --weights vgg16",
    "matmul": "float32 matrix product",
    "matmul_bfloat16": "bfloat16 matrix product",
}
MATRIX = 4096  # rows and columns of the matrix products


def pictures(size: int, content: str = "c1", style: str = "s1"):
    """x_c and x_s of the main example, float32 (1, H, W, 3)."""
    paths = (ROOT / "content_files" / f"{content}.png", ROOT / "style_files" / f"{style}.png")
    return [nst.fit("", nst.read_picture("", path), size) for path in paths]


class Run:
    """What a run with these flags is made of, without its files."""

    def __init__(self, size: int, *words: str, pair: tuple = ("c1", "s1"), weights=None):
        nst.start_tensorflow()
        self.args = nst.parse_arguments(["--content", "c", "--style", "s", "--output", "o", *words])
        self.x_c, self.x_s = pictures(size, *pair)
        self.state = nst.State(self.x_c, self.args)
        phi = nst.vgg_features(weights or nst.find_weights("vgg16"), self.args.precision)
        self.objective = nst.make_objective(phi, self.x_c, self.x_s, self.args)
        self.step = nst.make_step(self.objective, self.state.x, self.state.optimizer)
        self.hessian_vector_product = nst.make_hessian_vector_product(self.objective)


def random_vgg19(folder: Path) -> None:
    """Weights for all contenders: VGG-19's arrays in shape, random in value, which no speed depends on."""
    nst.start_tensorflow()
    vgg19 = nst.keras.applications.VGG19(include_top=False, weights=None)
    rng, arrays = np.random.default_rng(0), {}
    for layer in vgg19.layers:
        if layer.weights:
            kernel, bias = (np.zeros(array.shape, np.float32) for array in layer.weights)
            size = np.float32((2 / kernel[..., 0].size) ** 0.5)
            kernel = size * rng.standard_normal(kernel.shape, np.float32)
            layer.set_weights([kernel, bias])
            arrays[f"{layer.name}/kernel"], arrays[f"{layer.name}/bias"] = kernel, bias
    vgg19.save_weights(folder / "vgg19.weights.h5")
    np.savez(folder / "vgg19.npz", **arrays)  # for a contender that cannot have TensorFlow beside it


def flops_of_step(height: int, width: int) -> float:
    """Multiplications and additions of one step; see the module's text."""
    convolutions = grams = 0
    channels = 3
    for block, count in enumerate((2, 2, 4, 4, 2), 1):
        filters = min(512, 32 * 2**block)
        positions = (height >> block - 1) * (width >> block - 1)
        for _ in range(count):
            convolutions += 2 * positions * 9 * channels * filters
            channels = filters
        grams += 2 * positions * filters**2
    return 2 * convolutions + 2 * grams


# The contenders: each function sets up and returns one step to be timed.


def ours(size: int, folder: Path, precision: str = "float32", product: int = 0, network: str = "VGG-19"):
    """The step as the command runs it: losses, alpha_eff and the check for finiteness, all read."""
    weights = folder / "vgg19.weights.h5" if network == "VGG-19" else None
    run = Run(size, "--precision", precision, weights=weights)
    if product:
        v = nst.tf.random.stateless_normal(run.state.x.shape, (1, 2))
        vectors = [v] * product
        return lambda: [Hv.numpy() for Hv in run.hessian_vector_product(run.state.x, *vectors)]
    return lambda: run.step().numpy()


def tutorial(size: int, folder: Path):
    """The loop that TensorFlow's tutorial on style transfer teaches: same layers and weights."""
    nst.start_tensorflow()
    tf, keras = nst.tf, nst.keras
    vgg = keras.applications.VGG19(include_top=False, weights=None)
    vgg.load_weights(folder / "vgg19.weights.h5")
    vgg.trainable = False
    layers = nst.STYLE_LAYERS + nst.CONTENT_LAYERS
    extractor = keras.Model(vgg.input, [vgg.get_layer(name).output for name in layers])

    def gram(maps):
        summed = tf.linalg.einsum("bijc,bijd->bcd", maps, maps)
        return summed / tf.cast(tf.shape(maps)[1] * tf.shape(maps)[2], tf.float32)

    def features(image):
        *styles, content = extractor(keras.applications.vgg19.preprocess_input(image * 255.0))
        return [gram(maps) for maps in styles], content

    x_c, x_s = pictures(size)
    style_targets, content_target = features(x_s)[0], features(x_c)[1]
    image = tf.Variable(x_c)
    optimizer = keras.optimizers.Adam(learning_rate=0.01)

    @tf.function()
    def train_step(image):
        with tf.GradientTape() as tape:
            styles, content = features(image)
            terms = [tf.reduce_mean((a - b) ** 2) for a, b in zip(styles, style_targets)]
            loss = tf.add_n(terms) * (0.01 / 5) + 1e4 * tf.reduce_mean((content - content_target) ** 2)
            loss += 300.0 * tf.reduce_sum(tf.image.total_variation(image))
        optimizer.apply_gradients([(tape.gradient(loss, image), image)])
        image.assign(tf.clip_by_value(image, 0.0, 1.0))

    return lambda: train_step(image)


def torch(size: int, folder: Path):
    """The same objective as a plain PyTorch loop on the CPU, without TensorFlow: the two clash."""
    import torch
    from torch.nn import functional as F

    arrays, kernels = np.load(folder / "vgg19.npz"), {}
    for layer in {name.partition("/")[0] for name in arrays}:
        kernel = torch.from_numpy(arrays[f"{layer}/kernel"].transpose(3, 2, 0, 1).copy())
        bias = torch.from_numpy(arrays[f"{layer}/bias"])
        kernels[layer] = kernel.contiguous(memory_format=torch.channels_last), bias
    mean = torch.tensor([103.939, 116.779, 123.68]).view(1, 3, 1, 1)

    def features(x):
        x, grams = 255 * x.flip(1) - mean, []
        for block, count in enumerate((2, 2, 4, 4, 2), 1):
            for i in range(1, count + 1):
                x = F.relu(F.conv2d(x, *kernels[f"block{block}_conv{i}"], padding=1))
                if i == 1:
                    flat = x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])
                    grams.append(flat.T @ flat / len(flat))
            if block < 5:
                x = F.max_pool2d(x, 2)
        return grams, x

    x_c, x_s = (torch.from_numpy(x.transpose(0, 3, 1, 2)).contiguous(memory_format=torch.channels_last)
                for x in pictures(size))
    with torch.no_grad():
        style_targets, content_target = features(x_s)[0], features(x_c)[1]
    x = x_c.clone(memory_format=torch.channels_last).requires_grad_()
    optimizer = torch.optim.Adam([x], lr=0.01, eps=1e-7)

    def step():
        optimizer.zero_grad()
        grams, content = features(x)
        loss = 1e4 * F.mse_loss(content, content_target)
        loss = loss + 0.01 / 5 * sum(F.mse_loss(a, b) for a, b in zip(grams, style_targets))
        dx, dy = F.pad(x.diff(dim=2), (0, 0, 0, 1)), F.pad(x.diff(dim=3), (0, 1))
        loss = loss + 300 * (torch.sqrt(dx**2 + dy**2 + 1e-6) - 1e-3).sum()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            x.clamp_(0, 1)

    return step


def matmul(size: int, folder: Path, dtype: str = "float32"):
    nst.start_tensorflow()
    tf = nst.tf
    a, b = (tf.cast(tf.random.stateless_normal((MATRIX, MATRIX), (seed, 0)), dtype) for seed in (1, 2))
    product = tf.function(lambda: tf.reduce_max(a @ b))
    return lambda: product().numpy()


def direct(size: int, folder: Path):
    """The same step with Keras' own convolutions in place of Winograd's."""
    nst.winograd_pays = lambda x_shape, kernel_shape: False
    return ours(size, folder)


SET_UP = {"ours": ours, "direct": direct, "tutorial": tutorial, "torch": torch, "matmul": matmul,
          "bfloat16": lambda *where: ours(*where, "bfloat16"),
          "product": lambda *where: ours(*where, product=1),
          "products": lambda *where: ours(*where, product=2),
          "vgg16": lambda *where: ours(*where, network="VGG-16"),
          "matmul_bfloat16": lambda *where: matmul(*where, "bfloat16")}


def work(name: str, size: int, folder: Path) -> None:
    """A contender's process: for every line on stdin a step to wake up and a timed one."""
    step = SET_UP[name](size, folder)
    step()
    print("ready", flush=True)
    for _ in sys.stdin:
        step()
        began = time.perf_counter()
        step()
        print(time.perf_counter() - began, flush=True)
    unit = 2**30 if sys.platform == "darwin" else 2**20  # bytes there, KiB elsewhere
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit, flush=True)


class Worker:
    def __init__(self, name: str, size: int, folder: Path):
        self.process = subprocess.Popen([sys.executable, __file__, "--work", name, str(size), str(folder)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.seconds = []
        self.ready = self.process.stdout.readline() == "ready\n"  # else it has said on stderr why not

    def step(self) -> None:
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        self.seconds.append(float(self.process.stdout.readline()))

    def finish(self) -> float:
        """Peak memory in GiB."""
        self.process.stdin.close()
        memory = float(self.process.stdout.readline())
        self.process.wait()
        return memory


def table_of_steps(sizes: list, rounds: int, without: list) -> None:
    absent = [*without, *["torch"] * (importlib.util.find_spec("torch") is None)]
    names = [name for name in CONTENDERS if name not in absent]
    print(f"{machine()}; medians of {rounds} rounds.\n")
    print("| pixels | contender | s | relative to ours | GFLOP/s | of the limit of direct convolutions "
          "| peak memory, GiB |\n|---|---|---|---|---|---|---|")
    per_pixel = {}
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            random_vgg19(Path(folder))
            workers = {name: Worker(name, size, Path(folder)) for name in names}
        failed = [name for name, worker in workers.items() if not worker.ready]
        workers = {name: worker for name, worker in workers.items() if worker.ready}
        for _ in range(rounds):
            for worker in workers.values():
                worker.step()
        memory = {name: worker.finish() for name, worker in workers.items()}
        seconds = {name: statistics.median(worker.seconds) for name, worker in workers.items()}
        x_c, _ = pictures(size)
        flops = flops_of_step(*x_c.shape[1:3])
        limit = {dtype: 2 * MATRIX**3 / min(workers[name].seconds) for dtype, name in
                 (("float32", "matmul"), ("bfloat16", "matmul_bfloat16")) if name in workers}
        per_pixel[size] = seconds["ours"] / (x_c.shape[1] * x_c.shape[2])
        for name in workers:
            row = [size, CONTENDERS[name], f"{seconds[name]:.3f}", f"{seconds[name] / seconds['ours']:.2f}"]
            row += ["", "", f"{memory[name]:.2f}"]
            if name.startswith("matmul"):
                best = 2 * MATRIX**3 / min(workers[name].seconds)
                row[3], row[4], row[6] = "", f"{best / 1e9:.0f} (best)", ""
            elif name not in ("product", "products", "vgg16"):  # whose arithmetic is not this count
                rate = flops / seconds[name]
                row[4] = f"{rate / 1e9:.0f}"
                row[5] = f"{rate / limit['bfloat16' if name == 'bfloat16' else 'float32']:.0%}"
            print("| " + " | ".join(map(str, row)) + " |", flush=True)
        for name in failed:
            print(f"| {size} | {CONTENDERS[name]} | failed | | | | |", flush=True)
    if 512 in per_pixel:
        relative = [f"{size}: {value / per_pixel[512]:.2f}" for size, value in per_pixel.items()]
        print("\nTime per pixel relative to 512:", ", ".join(relative))


def machine() -> str:
    model = platform.processor() or platform.machine()
    with_name = Path("/proc/cpuinfo")
    if with_name.exists():
        model = re.search(r"model name\s*: (.*)", with_name.read_text()).group(1)
    return f"{model}, {os.cpu_count()} cores, TensorFlow {importlib.metadata.version('tensorflow')}"


def command(folder: Path, *words) -> float:
    """Seconds that the command takes as a whole."""
    began = time.perf_counter()
    files = ["--content", ROOT / "content_files/c1.png", "--style", ROOT / "style_files/s1.png",
             "--output", folder / "r.png", "--weights", "vgg16"]
    line = map(str, [sys.executable, ROOT / "neural_style_transfer.py", *files, *words])
    subprocess.run(line, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def memory(sizes: list) -> None:
    """Peak memory of whole runs: a constant part and what each pixel of the larger picture takes."""
    optim = ["--optim", "--optim_max_iters", 3]
    kinds = {"content, float32": [], "content, bfloat16": ["--precision", "bfloat16"],
             "content, --optim": optim, "style": [],
             "content, --optim, bfloat16": [*optim, "--precision", "bfloat16"]}
    columns = " | ".join(f"{size} x {size}, GB" for size in sizes)
    print(f"{machine()}\n| pixels of | {columns} | constant, GB | kB a pixel |")
    for kind, words in kinds.items():
        peaks = []
        for size in sizes:
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                for file, height in ("large.png", size), ("small.png", 16):
                    nst.Image.effect_noise((size, height), 80).convert("RGB").save(folder / file)
                files = ("small.png", "large.png") if kind == "style" else ("large.png", "small.png")
                line = ["--content", files[0], "--style", files[1], "--output", "r.png", "--weights", "vgg16",
                        "--image_size", size, "--nsteps", 3, *words]
                line = map(str, [sys.executable, ROOT / "neural_style_transfer.py", *line])
                process = subprocess.Popen(line, cwd=folder, stdout=subprocess.DEVNULL)
                unit = 1 if sys.platform == "darwin" else 1024
                peaks.append(os.wait4(process.pid, 0)[2].ru_maxrss * unit)
        slope, constant = np.polyfit(np.square(sizes), peaks, 1)
        columns = " | ".join(f"{value / 1e9:.2f}" for value in (*peaks, constant))
        print(f"| {kind} | {columns} | {slope / 1e3:.2f} |", flush=True)


def lanczos(product, n: int, seed: int, steps: int = 60) -> np.ndarray:
    """The Ritz values of so many Lanczos steps from a random start, in float64 and fully reorthogonalised."""
    V, a, b = np.zeros((steps, n)), [], []
    v = np.random.default_rng(seed).standard_normal(n)
    for k in range(steps):
        V[k] = v / np.linalg.norm(v)
        v = product(V[k])
        a.append(V[k] @ v)
        for _ in range(2):
            v = v - V[:k + 1].T @ (V[:k + 1] @ v)
        b.append(np.linalg.norm(v))
    return np.linalg.eigvalsh(np.diag(a) + np.diag(b[:-1], 1) + np.diag(b[:-1], -1))


def lipschitz(size: int, nsteps: int, words: list) -> None:
    """L and lambda_max as --optim finds them, against 60 Lanczos steps at four rows, and what they cost."""
    run = Run(size, "--optim", *words)
    checked = {1, min(10, nsteps), (10 + nsteps) // 2, nsteps}
    numbers = {"L": np.abs, nst.LAMBDA: np.positive}
    last = dict(zip(numbers, run.state.eigenvectors.numpy()))
    products, errors = ({name: [] for name in numbers} for _ in range(2))
    told = dict.fromkeys(numbers, 0)
    for t in range(1, nsteps + 1):
        x_t, spent = nst.tf.identity(run.state.x), []
        run.step()
        roots = {"L": 1.0, nst.LAMBDA: root_of(nst.effective_learning_rate(run.state.optimizer))}
        for name, by in numbers.items():
            product = form(run.hessian_vector_product, x_t, roots[name], spent)
            spent.clear()
            pair = eigenvalue(run.args, t, product, last[name], by)
            last[name] = pair.vector
            products[name].append(len(spent))
            told[name] += not pair.converged
            if t in checked and pair.converged:
                truth = by(lanczos(product, run.x_c.size, seed=10_000 + t)).max()
                errors[name].append((by(pair.value) / truth - 1, t))
    pairs = np.max(list(products.values()), axis=0)  # of products, as the two numbers are found side by side
    for name in numbers:
        error, t = max(errors[name], key=lambda pair: abs(pair[0]), default=(np.nan, 0))
        print(f"| {size} | {' '.join(words)} | {name} | {error:+.3%} at step {t} | {told[name]} "
              f"| {np.mean(products[name][:9]):.1f} | {np.mean(products[name][9:]):.1f} "
              f"| {np.mean(pairs[:9]):.1f}, {np.mean(pairs[9:]):.1f} |", flush=True)


def eigenvalue(args, t: int, product, last, by):
    """What --optim finds at step t, of one of its two numbers."""
    limits = args.optim_tol, args.optim_max_iters
    return nst.extreme_eigenpairs(lambda v: [product(v)], t, [last], *limits, [by])[0]


def root_of(alpha_eff) -> np.ndarray:
    return np.sqrt(alpha_eff.numpy().ravel().astype(np.float64))


def form(hessian_vector_product, x, root, spent: list):
    """v -> D^(1/2) H D^(1/2) v; each call is noted in `spent`."""
    def product(v):
        spent.append(1)
        image = (root * v).astype(np.float32).reshape(x.shape)
        return root * hessian_vector_product(x, image)[0].numpy().ravel().astype(np.float64)

    return product


def cost_of_optim(size: int, nsteps: int) -> None:
    """What --optim makes of a step, over whole runs of the command, one of each kind after the other."""
    kinds = {"plain": [], "--optim": ["--optim"],
             "--optim --optim_every 10": ["--optim", "--optim_every", 10]}
    seconds = {}
    for kind, words in kinds.items():
        with tempfile.TemporaryDirectory() as folder:
            command(Path(folder), "--image_size", size, "--nsteps", nsteps, *words)
            finished = (Path(folder) / "r_c1_s1_log.txt").read_text().splitlines()[-1]
            seconds[kind] = float(re.search(r": ([\d.]+) s$", finished)[1]) / nsteps
        print(f"{machine()}; {size} pixels, {nsteps} steps, {kind}: {seconds[kind]:.3f} s a step, "
              f"{seconds[kind] / seconds['plain']:.1f} plain ones", flush=True)


def float64_objective(x_c: np.ndarray, x_s: np.ndarray):
    """x -> the total loss at the default weights, all of it in float64, with direct convolutions."""
    tf, keras = nst.tf, nst.keras
    keras.config.set_dtype_policy("float64")
    try:
        vgg = keras.applications.VGG16(include_top=False, weights=None)
    finally:
        keras.config.set_dtype_policy("float32")
    nst.set_vgg16_weights(vgg, nst.find_weights("vgg16"))
    layers = nst.STYLE_LAYERS + nst.CONTENT_LAYERS
    model = keras.Model(vgg.input, [vgg.get_layer(name).output for name in layers])

    def features(x):
        *styles, content = model(255.0 * x[..., ::-1] - np.array([103.939, 116.779, 123.68]))
        flat = [tf.reshape(maps, [-1, maps.shape[-1]]) for maps in styles]
        return [tf.matmul(F, F, transpose_a=True) / F.shape[0] for F in flat], content

    G_s, phi_c = features(tf.constant(x_s, tf.float64))[0], features(tf.constant(x_c, tf.float64))[1]

    def objective(x):
        G, phi = features(x)
        style = sum(tf.reduce_mean((a - b) ** 2) for a, b in zip(G, G_s)) / len(G_s)
        dx = tf.pad(x[:, :, 1:] - x[:, :, :-1], [[0, 0], [0, 0], [0, 1], [0, 0]])
        dy = tf.pad(x[:, 1:] - x[:, :-1], [[0, 0], [0, 1], [0, 0], [0, 0]])
        tv = tf.reduce_sum(tf.sqrt(dx**2 + dy**2 + nst.TV_EPSILON**2) - nst.TV_EPSILON)
        return 1e4 * tf.reduce_mean((phi - phi_c) ** 2) + 0.01 * style + 300.0 * tv

    return objective


def kinks(size: int, steps: int, learning_rate: float) -> None:
    """Differences of the gradient over a step, along Adam's update and the top eigenvector; clipping."""
    run = Run(size, "--adam_learning_rate", str(learning_rate))
    tf, state = nst.tf, run.state
    for _ in range(steps):
        x = state.x.numpy().astype(np.float64)
        run.step()
    d, free = state.x.numpy() - x, ((x > 0) & (x < 1)).ravel()
    objective = float64_objective(run.x_c, run.x_s)
    gradient = tf.function(lambda x: nst.gradient(objective(x), x), autograph=False)
    product = tf.function(lambda x, v: nst.gradient(nst.gradient(objective(x), x), x, v), autograph=False)
    H = lambda v: product(tf.constant(x), tf.constant(v.reshape(x.shape))).numpy().ravel()  # noqa: E731
    start = np.random.default_rng(0).standard_normal(x.size)
    top, = nst.side_by_side(lambda v: [H(v)], [nst.RayleighRitz(start, 1e-4, 200, np.abs)])
    v = top.vector.reshape(x.shape) * np.linalg.norm(d)
    norm, g = np.linalg.norm, gradient(tf.constant(x)).numpy()
    print(f"{machine()}; {size} pixels, rate {learning_rate}, x before step {steps}, float64: "
          f"L = {abs(top.value):.3g}; {1 - free.mean():.1%} of the entries at 0 or 1\n\n"
          "| s | along the update d | along the top eigenvector |\n|---|---|---|")
    print(f"| H | {norm(H(d.ravel())) / norm(d):.3g} | {abs(top.value):.3g} |")
    for s in (1, 0.1, 0.01, 1e-3, 1e-4, 1e-5):
        quotients = [norm(gradient(tf.constant(x + s * u)).numpy() - g) / norm(s * u) for u in (d, v)]
        print(f"| {s:g} | {quotients[0]:.3g} | {quotients[1]:.3g} |", flush=True)
    root = root_of(nst.effective_learning_rate(state.optimizer))
    roots = root, root * free
    values = [pair.value for pair in nst.side_by_side(
        lambda *vectors: [root * H(root * v) for root, v in zip(roots, vectors)],
        [nst.RayleighRitz(start, 1e-3, 200, np.positive) for _ in roots])]
    print(f"\nlambda_max {values[0]:.3g}, over the entries that are free {values[1]:.3g}: "
          f"{values[1] / values[0] - 1:+.1%}")


def rate(pairs: list, size: int, nsteps: int, rates: list, flags: list) -> None:
    """Until which step each rate reaches what the first one has after nsteps, and lambda_max on the way."""
    nst.start_tensorflow()
    print(f"{machine()}; {size} pixels; steps and seconds to the total of the first rate after {nsteps}\n\n"
          f"| pair | rate | steps | seconds | total at the end | most lambda_max, steps 10 to {nsteps // 2} "
          "| to the end | its bound reached at | rises of the total |\n|---|---|---|---|---|---|---|---|---|")
    for pair in pairs:
        target = -np.inf
        for learning_rate in rates:
            words = [*flags, "--optim", "--optim_every", "10", "--adam_learning_rate", str(learning_rate)]
            run = Run(size, *words, pair=pair.split("x"))
            totals, lambdas, seconds = [], [], []

            def timed():
                began = time.perf_counter()
                result = run.step()
                seconds.append(time.perf_counter() - began)  # of the step alone: lambda_max is only looked at
                return result

            def estimate(t, x_t, alpha_eff):
                """lambda_max alone."""
                product = form(run.hessian_vector_product, x_t, root_of(alpha_eff), [])
                pair = eigenvalue(run.args, t, product, run.state.eigenvectors.numpy()[1], np.positive)
                run.state.eigenvectors.assign([pair.vector, pair.vector])
                run.state.curvature.assign([0.0, pair.value])
                return {}

            for row in nst.optimise(timed, run.state, estimate, 0, nsteps, run.args.optim_every):
                totals.append(row.numbers["Total Loss"])
                lambdas.append(row.numbers[nst.LAMBDA] if row.step >= 10 else 0.0)
                if totals[-1] <= target:
                    break
            changes = np.diff(totals[10:]) / totals[10:-1]
            rises = f"{np.sum(changes > 0)}, at most {max(changes.max(), 0):.2%}"
            reached = row.step if totals[-1] <= target or target < 0 else f"over {nsteps}"
            bound = nst.adam_bound(run.args.adam_beta_1)
            past = next((t for t, value in enumerate(lambdas, 1) if value >= bound), "-")
            target = totals[-1] if target < 0 else target
            print(f"| {pair} | {learning_rate} | {reached} | {len(seconds) * statistics.median(seconds):.0f} "
                  f"| {totals[-1]:.4g} | {max(lambdas[:nsteps // 2]):.1f} | {max(lambdas):.1f} | {past} "
                  f"| {rises} |", flush=True)


def networks(size: int, vgg19: Path) -> None:
    """What --weights vgg16 gives relative to VGG-19: mean entries of Gram matrices, mean of block5_conv2."""
    nst.start_tensorflow()
    vgg16, vgg19 = nst.vgg_features(nst.find_weights("vgg16")), nst.vgg_features(vgg19)

    def means(features: dict) -> list:
        grams = [nst.gram_matrix(features[layer]) for layer in nst.STYLE_LAYERS]
        return [np.mean(values) for values in (*grams, *(features[layer] for layer in nst.CONTENT_LAYERS))]

    def show(name: str, ratios: np.ndarray) -> None:
        print(f"| {name} | " + " | ".join(f"{ratio:.2f}" for ratio in ratios) + " |", flush=True)

    print("| picture | " + " | ".join((*nst.STYLE_LAYERS, *nst.CONTENT_LAYERS)) + " |")
    rows = []
    for path in sorted([*ROOT.glob("content_files/*.png"), *ROOT.glob("style_files/*.png")]):
        x = nst.tf.constant(nst.fit("", nst.read_picture("", path), size))
        rows.append(np.divide(means(vgg16(x)), means(vgg19(x))))
        show(path.stem, rows[-1])
    show("geometric mean", np.exp(np.mean(np.log(rows), axis=0)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", help="in pixels")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--without", nargs="+", default=[], choices=CONTENDERS,
                        help="such as bfloat16 where it is emulated")
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--lipschitz", nargs="*", metavar="FLAGS", help='such as " --tv_weight 3e5"')
    parser.add_argument("--optim", action="store_true")
    parser.add_argument("--kinks", action="store_true")
    parser.add_argument("--rate", nargs="+", metavar="PAIR", help="such as c1xs1")
    parser.add_argument("--rates", type=float, nargs="+", default=[0.01, 0.02, 0.04, 0.08])
    parser.add_argument("--networks", type=Path, metavar="VGG19.h5", help="Keras' weights, without top")
    parser.add_argument("--flags", default="", help="of the script, for --rate")
    parser.add_argument("--nsteps", type=int, help="of all but the table")
    parser.add_argument("--work", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    size = args.sizes[0] if args.sizes else 128
    if args.work:
        work(args.work[0], int(args.work[1]), Path(args.work[2]))
    elif args.lipschitz is not None:
        print("| pixels | flags | number | largest error | not converged | products a row, steps 1 to 9 "
              "| from 10 on | pairs of them |")
        for line in args.lipschitz or [""]:
            lipschitz(size, args.nsteps or 40, line.split())
    elif args.optim:
        cost_of_optim(size, args.nsteps or 200)
    elif args.memory:
        memory(args.sizes or [256, 512, 768])
    elif args.kinks:
        kinks(size, args.nsteps or 20, args.rates[0])
    elif args.networks:
        networks(args.sizes[0] if args.sizes else 512, args.networks)
    elif args.rate:
        rate(args.rate, size, args.nsteps or 1000, args.rates, args.flags.split())
    else:
        table_of_steps(args.sizes or [256, 512, 1024], args.rounds, args.without)


if __name__ == "__main__":
    main()
