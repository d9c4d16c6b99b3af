"""Images in: every mode, orientation and colour profile, resizing, damaged files.

What is expected is computed here in float64 from the definition of each format.
"""

import io
import os
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
from conftest import ROOT, picture, rows
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from neural_style_transfer import UsageError, fit, match_colors, read_picture, to_8_bits

RGB = picture(24, 18, seed=3)


@pytest.fixture
def read(tmp_path):
    """The pixels that read_picture makes of an image saved in a format, or of a file's bytes."""
    def read(image, image_format="PNG", **options) -> np.ndarray:
        path = tmp_path / "picture"
        path.write_bytes(image if isinstance(image, bytes) else saved(image, image_format, **options))
        rgb = read_picture("--content", str(path))
        assert rgb.mode == "RGB"
        return np.asarray(rgb, int)
    return read


def saved(image: Image.Image, image_format: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, image_format, **options)
    return file.getvalue()


def levels(fractions) -> np.ndarray:
    return np.rint(np.clip(fractions, 0, 1) * 255).astype(int)


def over_white(rgb, alpha) -> np.ndarray:
    opacity = np.asarray(alpha, float)[..., np.newaxis] / 255
    return np.rint(opacity * rgb + (1 - opacity) * 255)


def array(image: Image.Image, image_size: int) -> np.ndarray:
    """As the method sees it, brought to a longest side of image_size: float32 (1, H, W, 3) in [0, 1]."""
    return fit("--content", image, image_size)


def fitted(image: Image.Image, image_size: int) -> np.ndarray:
    return to_8_bits(array(image, image_size)[0])


def close(pixels, expected, tolerance: int = 1) -> bool:
    return pixels.shape == expected.shape and np.abs(pixels - expected).max() <= tolerance


def png(width: int, height: int, depth: int, colour_type: int, rows: bytes, *chunks) -> bytes:
    """A PNG byte by byte, for what Pillow does not write. rows: each with its filter byte."""
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        chunk(*c) for c in ((b"IHDR", header), *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")))


UNSIGNED, SIGNED, FLOAT = 1, 2, 3  # TIFF 6.0, SampleFormat
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB_COLOURS = 0, 1, 2  # PhotometricInterpretation


def tiff(samples, bits: int, photometric: int, sample_format: int = UNSIGNED, order: str = "<", deflate: bool = False,
         extra: tuple = (), more: tuple = ()) -> bytes:
    """A TIFF of samples (height, width, channels), byte by byte, for what Pillow does not write."""
    height, width, channels = samples.shape
    kind = f"{order}{'f' if sample_format == FLOAT else 'i' if sample_format == SIGNED else 'u'}{bits // 8}"
    if bits in (8, 16, 32, 64):
        data = samples.astype(kind).tobytes()
    else:  # the highest bit first, and every row in whole bytes
        digits = samples.astype(int).reshape(height, -1, 1) >> np.arange(bits)[::-1] & 1
        data = np.packbits(digits.reshape(height, -1).astype(np.uint8), axis=1).tobytes()
    data = zlib.compress(data) if deflate else data
    tags = [(256, "I", [width]), (257, "I", [height]), (258, "H", channels * [bits]), (259, "H", [8 if deflate else 1]),
            (262, "H", [photometric]), (273, "I", [8]), (277, "H", [channels]), (278, "I", [height]), (279, "I", [len(data)]),
            (339, "H", channels * [sample_format]), *([(338, "H", extra)] if extra else []), *more]
    data += bytes(len(data) % 2)
    directory, values = struct.pack(order + "H", len(tags)), b""
    for tag, code, numbers in sorted(tags):
        value = struct.pack(f"{order}{len(numbers)}{code}", *numbers).ljust(4, b"\0")
        if len(value) > 4:
            values, value = values + value, struct.pack(order + "I", 8 + len(data) + 2 + 12 * len(tags) + 4 + len(values))
        directory += struct.pack(order + "HHI", tag, 3 if code == "H" else 4, len(numbers)) + value
    header = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", 8 + len(data))
    return header + data + directory + bytes(4) + values


# --------------------------------------------------------------------------------- modes


@pytest.mark.parametrize("image_format, options", [("PNG", {}), ("TIFF", {}), ("BMP", {}), ("PPM", {}), ("TGA", {}),
                                                   ("WEBP", {"lossless": True}), ("JPEG2000", {"irreversible": False})])
def test_rgb_is_read_bit_for_bit(read, image_format, options):
    assert (read(RGB, image_format, **options) == np.asarray(RGB)).all()


def test_avif(read):
    assert close(read(RGB, "AVIF", quality=100, subsampling="4:4:4"), np.asarray(RGB), 4)
    alpha = np.full((18, 24), 100, np.uint8)
    image = Image.fromarray(np.dstack([RGB, alpha]))
    assert close(read(image, "AVIF", quality=100, subsampling="4:4:4"), over_white(np.asarray(RGB), alpha), 4)
    exif = Image.Exif()
    exif[0x0112] = 6
    assert close(read(RGB, "AVIF", quality=100, subsampling="4:4:4", exif=exif), np.rot90(np.asarray(RGB, int), -1), 4)
    # The same box of a file of its family, in which the name of the format does not come first.
    data = saved(RGB, "AVIF", quality=100, subsampling="4:4:4")
    assert data[8:12] == b"avif" and b"mif1" in data[16:28]
    assert close(read(data[:8] + b"mif1" + data[12:]), np.asarray(RGB), 4)


def ftyp(brand: bytes, *others) -> bytes:
    """How HEIC and MP4 begin (ISO 14496-12): a box with the names of formats."""
    box = b"ftyp" + brand + bytes(4) + brand + b"".join(others)
    return struct.pack(">I", 4 + len(box)) + box + b"\0\0\0\x08free"


# What people have that is no picture to Pillow.
OTHER_KINDS = [
    ("HEIC", ftyp(b"heic", b"mif1")), ("HEIC", ftyp(b"heix")), ("HEIC", ftyp(b"mif1", b"heic")), ("HEIC", ftyp(b"msf1", b"hevc")),
    ("SVG", b'<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64"/>'), ("SVG", b'\xef\xbb\xbf<?xml version="1.0"?>\n<svg/>'),
    ("SVG", b"\n <!-- drawn --><svg/>"), ("SVG", b"<!DOCTYPE svg PUBLIC ''><svg/>"), ("PDF", b"%PDF-1.7\n%"),
    ("RAW", b"II*\0\x10\0\0\0CR\2\0"), ("RAW", ftyp(b"crx ", b"isom")), ("RAW", b"FUJIFILMCCD-RAW 0201"), ("RAW", b"IIRO\x08\0\0\0"),
    ("RAW", b"IIU\0\x18\0\0\0"), ("RAW", tiff(np.zeros((16, 16, 3)), 8, RGB_COLOURS, more=[(254, "I", [1])])),
    ("video", ftyp(b"isom", b"mp42")), ("video", ftyp(b"qt  ")), ("video", b"\0\0\0\x08wide\0\0\0\x10mdat"),
    ("video", b"\x1aE\xdf\xa3\x01\0\0\0"), ("video", b"RIFF\x10\0\0\0AVI LIST")]


@pytest.mark.parametrize("kind, data", OTHER_KINDS, ids=lambda value: value if isinstance(value, str) else "")
def test_what_is_no_picture_to_pillow_is_refused(read, kind, data):
    with pytest.raises(UsageError, match=r"^--content: .*\bis no readable picture \("):
        read(data + bytes(64))


def test_alpha_is_laid_over_white(read):
    alpha = np.random.default_rng(0).integers(0, 256, (18, 24), np.uint8)
    alpha[0], alpha[1] = 0, 255
    rgba = np.dstack([RGB, alpha])
    grey = np.asarray(RGB.convert("L"))
    for image_format in "PNG", "TIFF":
        assert close(read(Image.fromarray(rgba), image_format), over_white(np.asarray(RGB), alpha))
        pixels = read(Image.fromarray(np.dstack([grey, alpha])), image_format)
        assert close(pixels, over_white(np.dstack([grey] * 3), alpha))
        assert (pixels[0] == 255).all() and (pixels[1] == grey[1, :, np.newaxis]).all()


def test_palette(read):
    indices = np.random.default_rng(1).integers(0, 4, (5, 7), np.uint8)
    colours = np.array([[255, 0, 0], [0, 200, 0], [10, 20, 30], [250, 250, 0]], np.uint8)
    image = Image.fromarray(indices).convert("P")
    image.putpalette(colours.ravel().tolist())
    assert (read(image) == colours[indices]).all()
    alphas = np.array([0, 128, 255, 77])  # an alpha for each colour
    assert close(read(image, transparency=bytes(alphas.tolist())), over_white(colours[indices], alphas[indices]))
    one_clear = np.array([255, 255, 0, 255])  # a single transparent colour
    for image_format in "PNG", "GIF":
        assert (read(image, image_format, transparency=2) == over_white(colours[indices], one_clear[indices])).all()


def test_one_transparent_colour_without_a_palette(read):
    rgb = np.array([[[1, 2, 3], [1, 2, 4], [90, 80, 70]]], np.uint8)
    assert read(Image.fromarray(rgb), transparency=(1, 2, 3)).tolist() == [[[255] * 3, [1, 2, 4], [90, 80, 70]]]
    grey = Image.fromarray(np.array([[0, 4, 150, 255]], np.uint8))
    assert read(grey, transparency=4)[0, :, 0].tolist() == [0, 255, 150, 255]


def test_grey_and_bilevel(read):
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert (read(Image.fromarray(grey)) == grey[..., np.newaxis]).all()
    bits = np.random.default_rng(2).integers(0, 2, (9, 11), np.uint8)
    for image_format in "PNG", "TIFF", "BMP":
        assert (read(Image.fromarray(bits * 255).convert("1"), image_format) == 255 * bits[..., np.newaxis]).all()


def test_16_bit_grey_is_scaled_and_not_clipped(read):
    values = np.arange(65536).reshape(256, 256)
    exact = (values * 255 + 32767) // 65535  # round(value / 65535 * 255) in whole numbers; there are no ties
    for image_format in "PNG", "TIFF":
        assert (read(Image.fromarray(values.astype(np.uint16)), image_format) == exact[..., np.newaxis]).all()
    big_endian = Image.frombytes("I;16B", (256, 256), values.astype(">u2").tobytes())
    assert (read(big_endian, "TIFF") == exact[..., np.newaxis]).all()


@pytest.mark.parametrize("value", [0.5, np.nan, 1e30])
@pytest.mark.parametrize("image_format", ["TIFF", "PPM"])
def test_floats_are_refused(read, value, image_format):
    with pytest.raises(UsageError, match="--content: .*is no readable picture"):
        read(Image.fromarray(np.array([[0.5, value]], np.float32)), image_format)


@pytest.mark.parametrize("deflate", [False, True], ids=["plain", "deflate"])
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("photometric", [WHITE_IS_ZERO, BLACK_IS_ZERO])
@pytest.mark.parametrize("sample_format, bits", [*((UNSIGNED, bits) for bits in (1, 2, 4, 8, 10, 12, 14, 16, 24, 32)),
                                                 (SIGNED, 8), (SIGNED, 16), (SIGNED, 32), (FLOAT, 16), (FLOAT, 32), (FLOAT, 64)])
def test_grey_tiff_is_read_right_or_refused(read, sample_format, bits, photometric, order, deflate):
    """Of any depth and kind of numbers: a ramp from black to white that starts anew in every row."""
    white = 1 if sample_format == FLOAT else 2 ** (bits - (sample_format == SIGNED)) - 1
    light = np.linspace(0, 1, 33)[np.newaxis, :, np.newaxis] + np.zeros((5, 1, 1))
    samples = light * white if photometric == BLACK_IS_ZERO else (1 - light) * white
    samples = samples if sample_format == FLOAT else np.floor(samples)
    light = samples / white if photometric == BLACK_IS_ZERO else 1 - samples / white
    try:
        pixels = read(tiff(samples, bits, photometric, sample_format, order, deflate))
    except UsageError:
        assert sample_format != UNSIGNED or bits > 8 and (order, bits, photometric) != ("<", 16, BLACK_IS_ZERO)
    else:
        assert close(pixels, levels(light * np.ones(3)))


@pytest.mark.parametrize("kind", [np.int32, np.int16, np.int8])
@pytest.mark.parametrize("brightest", [1, 100])
def test_signed_numbers_have_no_white_and_are_refused(read, kind, brightest):
    samples = np.linspace(-0.1, 1, 33).reshape(3, 11, 1) * brightest
    with pytest.raises(UsageError, match="is no readable picture .*scientific picture"):
        read(tiff(samples, np.dtype(kind).itemsize * 8, BLACK_IS_ZERO, SIGNED))


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("photometric", [BLACK_IS_ZERO, RGB_COLOURS])
@pytest.mark.parametrize("extra", [0, 1, 2], ids=["no alpha", "premultiplied", "alpha"])
def test_extra_sample_of_a_tiff(read, extra, photometric, bits):
    rng, white = np.random.default_rng(8), 2**bits - 1
    alpha = rng.integers(0, 256, (6, 7, 1)) / 255
    light = np.round(rng.random((6, 7, 1 if photometric == BLACK_IS_ZERO else 3)) * 255) / 255
    stored = np.rint(np.concatenate([light * (alpha if extra == 1 else 1), alpha], -1) * white)
    opacity = 1 if extra == 0 else alpha
    try:
        pixels = read(tiff(stored, bits, photometric, extra=(extra,)))
    except UsageError:
        assert photometric == BLACK_IS_ZERO and (bits == 16 or extra == 1)
    else:
        assert close(pixels, levels(opacity * light * np.ones(3) + 1 - opacity), 2)


def test_cmyk(read):
    inks = np.random.default_rng(3).integers(0, 256, (6, 8, 4), np.uint8)
    inks[0, :4] = [[0, 0, 0, 0], [0, 0, 0, 255], [255, 0, 0, 0], [0, 0, 255, 0]]  # white, black, cyan, yellow
    expected = levels((1 - inks[..., :3] / 255) * (1 - inks[..., 3:] / 255))
    assert close(read(Image.fromarray(inks, "CMYK"), "TIFF"), expected)
    flat = np.broadcast_to(np.array([200, 30, 90, 40], np.uint8), (16, 16, 4))  # JPEG keeps what is flat
    expected = levels((1 - flat[..., :3] / 255) * (1 - flat[..., 3:] / 255))
    assert close(read(Image.fromarray(flat, "CMYK"), "JPEG", quality=100), expected, 3)


def test_ycbcr(read):
    assert close(read(RGB, "JPEG", quality=100, subsampling=0), np.asarray(RGB), 4)
    y, cb, cr = np.moveaxis(np.random.default_rng(4).integers(0, 256, (6, 8, 3)), -1, 0)
    green = y - 0.344136 * (cb - 128) - 0.714136 * (cr - 128)
    expected = np.dstack([y + 1.402 * (cr - 128), green, y + 1.772 * (cb - 128)])
    image = Image.fromarray(np.dstack([y, cb, cr]).astype(np.uint8), "YCbCr")
    assert close(read(image, "TIFF"), levels(expected / 255))


SRGB_TO_XYZ = np.array([[0.4360747, 0.3850649, 0.1430804], [0.2225045, 0.7168786, 0.0606169],
                        [0.0139322, 0.0971045, 0.7141733]])  # the primaries of sRGB, adapted to the profiles' D50
ADOBE_RGB_TO_XYZ = np.array([[0.6097559, 0.2052401, 0.1492240], [0.3111242, 0.6256560, 0.0632197],
                             [0.0194811, 0.0608902, 0.7448387]])
D50 = np.array([0.9642, 1.0, 0.8249])


def srgb_levels(XYZ) -> np.ndarray:
    """sRGB grey levels of CIE XYZ with a D50 white (..., 3)."""
    linear = np.clip(XYZ @ np.linalg.inv(SRGB_TO_XYZ).T, 0, 1)
    return levels(np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055))


def test_lab_tiff(read):
    # Well inside sRGB: near its surface the colour library interpolates by several levels.
    lightness, a, b = np.meshgrid([90, 130, 200], [-10, 0, 15], [-15, 0, 25], indexing="ij")
    lab = np.stack([lightness.ravel(), a.ravel(), b.ravel()], -1)
    data = saved(Image.fromarray(lab.astype(np.uint8)[np.newaxis], "LAB"), "TIFF")
    assert lab.astype(np.uint8).tobytes() in data  # the format's coding: L * 2.55, and a and b signed
    L = lab[:, 0] / 2.55
    f = np.stack([(L + 16) / 116 + lab[:, 1] / 500, (L + 16) / 116, (L + 16) / 116 - lab[:, 2] / 200], -1)
    XYZ = D50 * np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29))
    assert close(read(data), srgb_levels(XYZ)[np.newaxis], 2)


# ------------------------------------------------------------------------- orientation

UPRIGHT = {1: lambda a: a, 2: lambda a: a[:, ::-1], 3: lambda a: a[::-1, ::-1], 4: lambda a: a[::-1],
           5: lambda a: a.swapaxes(0, 1), 6: lambda a: np.rot90(a, -1),
           7: lambda a: a[::-1, ::-1].swapaxes(0, 1), 8: np.rot90}  # EXIF 2.3, tag 0x0112


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_exif_orientation(read, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    expected = UPRIGHT[orientation](np.asarray(RGB, int))
    assert (read(RGB, "PNG", exif=exif) == expected).all()
    assert (read(RGB, "TIFF", exif=exif) == expected).all()
    assert close(read(RGB, "JPEG", exif=exif, quality=100, subsampling=0), expected, 4)


@pytest.mark.parametrize("image_format, options", [("PNG", {}), ("JPEG", {"quality": 100, "subsampling": 0}),
                                                   ("WEBP", {"lossless": True})])
def test_broken_exif_is_ignored(read, image_format, options):
    """The pixels are whole, and every viewer shows them."""
    exif = b"Exif\0\0no TIFF header" if image_format == "JPEG" else b"no TIFF header at all"
    assert close(read(RGB, image_format, exif=exif, **options), np.asarray(RGB), 4)


# ----------------------------------------------------------------------- colour profiles


def profile(space: bytes, gamma: float, to_XYZ=None, name: str = "test", table=()) -> bytes:
    """An ICC 2.4 display profile of "RGB " with the primaries in to_XYZ's columns, or of "GRAY".

    table: in place of gamma, the light of equally spaced levels, in [0, 1].
    """
    def fixed(values) -> bytes:
        return b"".join(struct.pack(">i", round(value * 65536)) for value in values)

    entries = [round(light * 65535) for light in table] or [round(gamma * 256)]
    curve = b"curv" + struct.pack(f">II{len(entries)}H", 0, len(entries), *entries)
    tags = {b"desc": b"desc" + struct.pack(">II", 0, len(name) + 1) + name.encode() + bytes(1 + 11 + 67),
            b"cprt": b"text\0\0\0\0none\0", b"wtpt": b"XYZ \0\0\0\0" + fixed(D50)}
    if space == b"GRAY":
        tags[b"kTRC"] = curve
    else:
        for colour, column in zip((b"r", b"g", b"b"), np.transpose(to_XYZ)):
            tags[colour + b"XYZ"], tags[colour + b"TRC"] = b"XYZ \0\0\0\0" + fixed(column), curve
    table, body = struct.pack(">I", len(tags)), b""
    for tag, data in tags.items():
        table += tag + struct.pack(">II", 132 + 12 * len(tags) + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    header = struct.pack(">I4sI4s4s4s", 128 + len(table) + len(body), bytes(4), 0x02400000, b"mntr", space, b"XYZ ")
    header += struct.pack(">6H4s28x", 2024, 1, 1, 0, 0, 0, b"acsp") + fixed(D50)
    return header.ljust(128, b"\0") + table + body


ADOBE_RGB = profile(b"RGB ", 563 / 256, ADOBE_RGB_TO_XYZ, "wide gamut")


def from_adobe_rgb(rgb) -> np.ndarray:
    return srgb_levels((np.asarray(rgb) / 255) ** (563 / 256) @ ADOBE_RGB_TO_XYZ.T)


@pytest.mark.parametrize("image_format, options", [("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True})])
def test_wide_gamut_profile(read, image_format, options):
    expected = from_adobe_rgb(RGB)
    assert np.abs(expected - np.asarray(RGB)).max() > 20
    assert close(read(RGB, image_format, icc_profile=ADOBE_RGB, **options), expected, 2)


def test_profile_that_swaps_channels(read):
    """No tolerance hides a matrix that is not applied."""
    swapped = profile(b"RGB ", 563 / 256, SRGB_TO_XYZ[:, [2, 0, 1]])
    expected = srgb_levels((np.asarray(RGB) / 255) ** (563 / 256) @ SRGB_TO_XYZ[:, [2, 0, 1]].T)
    assert close(read(RGB, icc_profile=swapped), expected, 2)


def test_profile_of_a_transparent_or_palette_or_turned_image(read):
    alpha = np.random.default_rng(5).integers(0, 256, (18, 24), np.uint8)
    expected = over_white(from_adobe_rgb(RGB), alpha)
    assert close(read(Image.fromarray(np.dstack([RGB, alpha])), icc_profile=ADOBE_RGB), expected, 2)
    palette = RGB.quantize(16)
    assert close(read(palette, icc_profile=ADOBE_RGB), from_adobe_rgb(palette.convert("RGB")), 2)
    exif = Image.Exif()
    exif[0x0112] = 6
    assert close(read(RGB, icc_profile=ADOBE_RGB, exif=exif), np.rot90(from_adobe_rgb(RGB), -1), 2)


def test_grey_profile(read):
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    expected = srgb_levels((grey[..., np.newaxis] / 255) ** 1.8 * D50)
    gamma_1_8 = profile(b"GRAY", 1.8)
    assert close(read(Image.fromarray(grey), icc_profile=gamma_1_8), expected, 2)
    opaque = np.dstack([grey, np.full_like(grey, 255)])
    assert close(read(Image.fromarray(opaque), icc_profile=gamma_1_8), expected, 2)


def test_grey_profile_does_not_take_the_colours_of_an_rgb_image(read):
    """A program that colours a grey picture may leave its profile in; it is then of the wrong kind."""
    assert (read(RGB, icc_profile=profile(b"GRAY", 1.8)) == np.asarray(RGB)).all()


@pytest.mark.parametrize("broken", [b"no profile", bytes(128), ADOBE_RGB[:200], ADOBE_RGB.replace(b"acsp", b"xxxx"),
                                    ADOBE_RGB.replace(b"rTRC", b"xTRC"), ADOBE_RGB.replace(b"RGB XYZ", b"CMYKXYZ")],
                         ids=["text", "zeros", "truncated", "signature", "without a curve", "other space"])
def test_broken_profile_is_ignored(read, broken):
    assert (read(RGB, icc_profile=broken) == np.asarray(RGB)).all()


def srgb_light(entries: int) -> np.ndarray:
    """The light, in [0, 1], of equally spaced levels."""
    level = np.linspace(0, 1, entries)
    return np.where(level <= 0.04045, level / 12.92, ((level + 0.055) / 1.055) ** 2.4)


@pytest.mark.parametrize("srgb", [ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(),
                                  profile(b"RGB ", 0, SRGB_TO_XYZ, table=srgb_light(1024))], ids=["Pillow's", "table"])
def test_srgb_profile_moves_no_pixel_by_more_than_a_level(read, srgb):
    colours = np.random.default_rng(6).integers(0, 256, (200, 200, 3), np.uint8)  # the library would move 40 of them
    assert close(read(Image.fromarray(colours), icc_profile=srgb), colours)


@pytest.mark.parametrize("first, last", [(20, 60), (100, 130), (230, 255)])
def test_profile_that_moves_a_few_levels_only(read, first, last):
    """As sRGB's does not, whichever they are."""
    level, light = np.arange(256), srgb_light(256)
    light[first:last + 1] = (light[first] + light[last]) / 2
    found = read(Image.fromarray(level.reshape(16, 16).astype(np.uint8)).convert("RGB"),
                 icc_profile=profile(b"RGB ", 0, SRGB_TO_XYZ, table=light))
    expected = srgb_levels(light[:, np.newaxis] @ np.ones((1, 3)) @ SRGB_TO_XYZ.T).reshape(16, 16, 3)
    assert np.abs(expected[..., 0].ravel() - level).max() > 5 and close(found, expected, 2)


def test_linear_profile_is_not_taken_for_srgb_by_its_name(read):
    """GIMP and darktable call theirs so."""
    linear = profile(b"RGB ", 1.0, SRGB_TO_XYZ, "Linear sRGB")
    assert close(read(RGB, icc_profile=linear), srgb_levels(np.asarray(RGB) / 255 @ SRGB_TO_XYZ.T), 2)


# ------------------------------------------------------------------------------- memory

PEAK = """import sys
from pathlib import Path
import numpy as np
from neural_style_transfer import read_picture
np.add(np.float32(1), np.float32(1))
def peak():
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
before = peak()
size = read_picture("--content", sys.argv[1]).size
print((peak() - before) * 1024 / (size[0] * size[1]))
"""


@pytest.fixture
def peak(tmp_path):
    """Bytes a pixel that reading a picture takes at its height, in a process of its own."""
    def peak(data: bytes) -> float:
        (tmp_path / "picture").write_bytes(data)
        done = subprocess.run([sys.executable, "-c", PEAK, str(tmp_path / "picture")], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return float(done.stdout)
    return peak


LARGE = Image.linear_gradient("L").resize((3000, 2000))  # small as a file, and large enough to drown the interpreter's own


def turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="the kernel does not tell")
def test_a_profile_at_most_doubles_the_memory(peak):
    for image_format in "JPEG", "TIFF":
        image = LARGE.convert("RGB")
        assert 3 < peak(saved(image, image_format, icc_profile=ADOBE_RGB)) < 2 * peak(saved(image, image_format))


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="the kernel does not tell")
@pytest.mark.parametrize("data", [
    lambda: saved(LARGE.convert("RGB"), "JPEG", icc_profile=ADOBE_RGB, exif=turned()),
    lambda: saved(Image.merge("RGBA", 4 * [LARGE]), "PNG", icc_profile=ADOBE_RGB),
    lambda: saved(LARGE.convert("CMYK"), "TIFF"), lambda: saved(LARGE, "PNG", icc_profile=profile(b"GRAY", 1.8)),
    lambda: saved(Image.fromarray(np.asarray(LARGE, np.uint16) * 257), "PNG")],
    ids=["JPEG, turned", "RGBA", "CMYK", "grey profile", "16 bits"])
def test_the_largest_picture_takes_less_than_4_GB(peak, data):
    assert peak(data()) * 2 * Image.MAX_IMAGE_PIXELS < 4e9


# ------------------------------------------------------------------------------ frames


@pytest.mark.parametrize("image_format, options", [("GIF", {}), ("PNG", {}), ("WEBP", {"lossless": True}), ("TIFF", {})])
def test_first_frame(tmp_path, capfd, image_format, options):
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255)]
    first, *others = [Image.new("RGB", (20, 16), colour) for colour in colours]
    path = tmp_path / "frames"
    path.write_bytes(saved(first, image_format, save_all=True, append_images=others, **options))
    assert (np.asarray(read_picture("--style", str(path))) == colours[0]).all()
    assert capfd.readouterr().err == ""


def test_a_phone_s_second_picture_is_no_frame(tmp_path, capfd):
    """A preview, depths or a gain map, in a JPEG of several pictures (MPO)."""
    path = tmp_path / "phone.jpg"
    path.write_bytes(saved(RGB, "MPO", save_all=True, append_images=[Image.new("RGB", (8, 6))], quality=100, subsampling=0))
    assert Image.open(path).n_frames == 2
    assert close(np.asarray(read_picture("--style", str(path)), int), np.asarray(RGB), 4)
    assert capfd.readouterr().err == ""


# ---------------------------------------------------------------------- size and arrays


@pytest.mark.parametrize("size", [(64, 48), (48, 64), (64, 64), (64, 16)])
def test_image_of_the_right_size_is_left_bit_for_bit(size):
    image = picture(*size, seed=7)
    assert (fitted(image, 64) == np.asarray(image)).all()


@given(st.integers(1, 300), st.integers(1, 300), st.integers(16, 400))
@settings(deadline=None, max_examples=60)
def test_resize_keeps_the_ratio(width, height, image_size):
    exact = min(width, height) * image_size / max(width, height)
    try:
        new = fitted(Image.new("RGB", (width, height), (10, 200, 77)), image_size)
    except UsageError as error:
        assert exact <= 15.5 and f"{width} x {height} pixels " in str(error)
        return
    new_height, new_width, _ = new.shape
    assert max(new_width, new_height) == image_size and exact >= 15.5
    assert abs(min(new_width, new_height) - exact) <= 0.5
    assert (new_width >= new_height) == (width >= height) or new_width == new_height
    assert (new == (10, 200, 77)).all()


def test_resize_interpolates_and_averages():
    ramp = Image.fromarray(np.tile(np.arange(0, 240, 4, dtype=np.uint8), (40, 1))).convert("RGB")
    large = fitted(ramp, 120).astype(float)[:, 8:-8]
    expected = ((np.arange(120) + 0.5) / 2 - 0.5)[8:-8] * 4  # the ramp at the centres of the new pixels
    assert np.abs(large - expected[:, np.newaxis]).max() <= 1
    checks = Image.fromarray((np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)).convert("RGB")
    assert np.abs(fitted(checks, 16).astype(float)[2:-2, 2:-2] - 127.5).max() <= 4  # no aliasing


def test_arrays():
    found = array(RGB, 24)
    assert found.dtype == np.float32 and found.shape == (1, 18, 24, 3)
    assert (found == (np.asarray(RGB) / 255).astype(np.float32)[np.newaxis]).all()
    every_level = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, 2)
    found = array(Image.fromarray(every_level), 16)
    assert found.min() == 0 and found.max() == 1
    assert to_8_bits(found).dtype == np.uint8 and (to_8_bits(found)[0] == every_level).all()


@given(st.floats(-2, 2, width=32))
def test_8_bits_are_the_nearest_grey_level(value):
    level = int(to_8_bits(np.full((1, 1, 3), value, np.float32))[0, 0, 0])
    assert abs(level - 255 * min(max(value, 0), 1)) <= 0.5 + 1e-4


# ------------------------------------------------------------------------- in a run

GREY, CLEAR = RGB.convert("L"), RGB.copy()
CLEAR.putalpha(GREY)
PAIRS = {"grey on grey": (GREY, GREY.rotate(90)), "flat": (Image.new("RGB", (20, 20), "white"), Image.new("RGB", (16, 16), "black")),
         "flat and the same": 2 * (Image.new("L", (16, 16), 127),), "RGBA and CMYK": (CLEAR, RGB.convert("CMYK"))}


@pytest.mark.parametrize("pair", PAIRS)
def test_a_run_with(run, tmp_path, pair):
    """What people try, at 50 pixels: every number is one, and the picture is there."""
    optim = ["--optim", "--optim_max_iters", 5] * pair.startswith("flat")
    for name, image in zip("cs", PAIRS[pair]):
        image.save(tmp_path / f"{name}.tif")
    status, _, err = run("--content", tmp_path / "c.tif", "--style", tmp_path / "s.tif", "--output", tmp_path / "r", "--weights",
                         "vgg16", "--image_size", 50, "--nsteps", 3, "--save_every", 0, *optim)
    assert (status, err) == (0, "")
    table = rows(tmp_path / "r_c_s_log.txt")
    assert table.shape == (3, 11 if optim else 8) and np.isfinite(table).all() and (table[:, 1:5] >= 0).all()
    final = Image.open(tmp_path / "r_c_s_final.png")
    assert final.mode == "RGB" and max(final.size) == 50


# ---------------------------------------------------------------------- damaged files

WHOLE = {"PNG": saved(RGB, "PNG"), "palette PNG": saved(RGB.quantize(8), "PNG"), "JPEG": saved(RGB, "JPEG"),
         "progressive JPEG": saved(RGB, "JPEG", progressive=True), "GIF": saved(RGB, "GIF"),
         "animated GIF": saved(RGB, "GIF", save_all=True, append_images=[RGB.rotate(90)]),
         "TIFF": saved(RGB, "TIFF"), "LZW TIFF": saved(RGB, "TIFF", compression="tiff_lzw"),
         "16-bit TIFF": saved(Image.fromarray(np.arange(400, dtype=np.uint16).reshape(20, 20)), "TIFF"),
         "WebP": saved(RGB, "WEBP"), "BMP": saved(RGB, "BMP"), "JPEG 2000": saved(RGB, "JPEG2000"),
         "PNG with a profile": saved(RGB, "PNG", icc_profile=ADOBE_RGB), "ICO": saved(RGB, "ICO"), "AVIF": saved(RGB, "AVIF")}
MAGICS = [b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"GIF89a", b"II*\0", b"MM\0*", b"RIFF\0\1\0\0WEBPVP8 ", b"BM",
          b"P6 4 4 255\n", b"P7\n", b"8BPS\0\1", b"\0\0\1\0", b"qoif", b"\0\0\0\x0cjP  \r\n\x87\n", b"\x0a\5\1\x08", b"icns"]


@st.composite
def damaged(draw) -> bytes:
    data = bytearray(WHOLE[draw(st.sampled_from(list(WHOLE)))])
    if draw(st.booleans()):
        del data[draw(st.integers(0, len(data) - 1)):]
    for bit in draw(st.lists(st.integers(0, max(0, 8 * len(data) - 1)), max_size=8)):
        if data:
            data[bit // 8] ^= 1 << bit % 8
    return bytes(data)


def check_that_it_is_read_or_refused(path, data: bytes) -> None:
    path.write_bytes(data)
    try:
        result = read_picture("--content", str(path))
    except UsageError as error:
        assert str(error).startswith("--content: ") and "\n" not in str(error)
    else:
        assert result.mode == "RGB" and min(result.size) >= 1
        assert np.asarray(result).shape == (result.height, result.width, 3)


@pytest.fixture
def small_pictures_only(monkeypatch):
    """A flipped bit may ask for gigapixels: the limit is tested just as well lower down."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 300_000)


FUZZ = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@given(data=damaged())
@settings(FUZZ, max_examples=500)
def test_damaged_image_is_read_or_refused(tmp_path, small_pictures_only, data):
    check_that_it_is_read_or_refused(tmp_path / "picture", data)


@given(magic=st.sampled_from(MAGICS), data=st.binary(max_size=200))
@settings(FUZZ, max_examples=300)
def test_random_bytes_are_read_or_refused(tmp_path, small_pictures_only, magic, data):
    check_that_it_is_read_or_refused(tmp_path / "picture", magic + data)


def test_large_text_and_profile_of_a_png(read):
    """They are no fault of the picture, however well they are packed."""
    text = zlib.compress(bytes(5 << 20))
    grey = b"".join(b"\0" + bytes([10 * row, 255, 7]) for row in range(4))
    whole = read(png(3, 4, 8, 0, grey))
    assert whole[:, :, 0].tolist() == [[10 * row, 255, 7] for row in range(4)]
    for chunk in (b"zTXt", b"Comment\0\0" + text), (b"iTXt", b"XML\0\1\0\0\0" + text), (b"iCCP", b"test\0\0" + text):
        assert (read(png(3, 4, 8, 0, grey, chunk)) == whole).all()
    large = profile(b"RGB ", 563 / 256, ADOBE_RGB_TO_XYZ)
    large = struct.pack(">I", 3 << 20) + large[4:].ljust((3 << 20) - 4, b"\0")
    assert close(read(RGB, icc_profile=large), from_adobe_rgb(RGB), 2)


@pytest.mark.parametrize("name", WHOLE)
def test_the_fuzzed_images_are_readable_when_whole(read, name):
    assert read(WHOLE[name]).size > 0


@pytest.mark.parametrize("suffix", [".eps", ".png"])
def test_postscript_is_refused_whatever_its_name(tmp_path, monkeypatch, suffix):
    """It is a program, and Pillow would start another one to run it."""
    for name in "gs", "gswin32c", "gswin64c":
        (tmp_path / name).write_text(f"#!/bin/sh\ntouch '{tmp_path}/started'\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    path = tmp_path / f"picture{suffix}"
    path.write_bytes(saved(RGB, "EPS"))
    with pytest.raises(UsageError, match="--style: .*is no readable picture"):
        read_picture("--style", str(path))
    assert not (tmp_path / "started").exists()


# ------------------------------------------------------------------------- the style's colours


def colours(matrix, mean, size=(40, 60), seed=0) -> np.ndarray:
    """A picture of random colours, none near an end of the range, with M^T M / 12 for their covariance."""
    random = np.random.default_rng(seed).random((1, *size, 3)) - 0.5
    return (random @ np.array(matrix) + mean).astype(np.float32)


CONTENT = colours([[0.3, 0.1, 0], [0, 0.2, 0.1], [0, 0, 0.1]], [0.4, 0.5, 0.6])
STYLE = colours([[0.2, 0, 0.1], [0.2, 0.1, 0], [0, 0.1, 0.3]], [0.6, 0.5, 0.4], size=(30, 50), seed=1)


def moments(x: np.ndarray) -> tuple:
    return x.reshape(-1, 3).mean(0, np.float64), np.cov(x.reshape(-1, 3).astype(np.float64).T)


def test_matched_colours_have_the_mean_and_covariance_of_the_styles():
    matched = match_colors(CONTENT, STYLE)
    assert matched.dtype == np.float32 and matched.shape == CONTENT.shape
    for found, expected in zip(moments(matched), moments(STYLE)):
        np.testing.assert_allclose(found, expected, atol=1e-3)


def test_the_map_of_colours_is_symmetric_and_positive():
    """Which, with that covariance, only the map that moves colours least is. Found from what it does, as none is clipped."""
    x, y = (image.reshape(-1, 3).astype(np.float64) for image in (CONTENT, match_colors(CONTENT, STYLE)))
    T, residuals, *_ = np.linalg.lstsq(np.c_[x, np.ones(len(x))], y, rcond=None)
    assert residuals.max() < 1e-6
    np.testing.assert_allclose(T[:3], T[:3].T, atol=1e-4)
    assert np.linalg.eigvalsh(T[:3]).min() > 0.1


def test_colours_that_match_already_stay():
    photograph = np.asarray(picture(80, 64, seed=1), np.float32)[np.newaxis] / 255
    for x in CONTENT, photograph:
        assert np.abs(match_colors(x, x) - x).max() < 1 / 255


GREY = np.repeat(CONTENT[..., :1], 3, axis=3)
ONE_COLOUR = np.full((1, 16, 16, 3), [0.25, 0.5, 0.75], np.float32)


@pytest.mark.parametrize("content", [CONTENT, GREY, ONE_COLOUR, np.zeros((1, 16, 16, 3), np.float32)], ids=["colours", "grey", "one", "black"])
@pytest.mark.parametrize("style", [STYLE, GREY, ONE_COLOUR, np.ones((1, 16, 16, 3), np.float32)], ids=["colours", "grey", "one", "white"])
@pytest.mark.filterwarnings("error")
def test_colours_of_lower_dimension(content, style):
    matched = match_colors(content, style)
    assert matched.shape == content.shape and np.isfinite(matched).all() and matched.min() >= 0 and matched.max() <= 1
    np.testing.assert_allclose(moments(matched)[0], moments(style)[0], atol=2 / 255)
    if style is GREY:
        assert not np.ptp(matched, axis=3).any(), "neutral"
    if style is ONE_COLOUR:
        assert np.abs(matched - style[:, :1, :1]).max() < 4 / 255


def test_noise_is_not_stretched_into_colours():
    """What a sepia photograph has beside its one colour, half a grey level here."""
    rng = np.random.default_rng(0)
    sepia = (np.linspace(0.2, 0.8, 4096).reshape(1, 64, 64, 1) * [1.0, 0.9, 0.7]).astype(np.float32)
    style = rng.random((1, 32, 32, 3), np.float32)
    noise = rng.normal(0, 0.002, sepia.shape).astype(np.float32)
    assert np.std(match_colors(sepia + noise, style) - match_colors(sepia, style)) < 10.5 * 0.002


def test_match_colors_in_a_run(flags, tmp_path, run):
    """The first picture shows it, row 1 takes it for the content, the header names it, and a resume that differs is told."""
    words, out = flags("--nsteps", 1, "--match_colors"), tmp_path / "out"
    assert run(*words)[0] == 0
    content, style = (fit("", read_picture("", word), 64) for word in (words[1], words[3]))
    first = np.asarray(Image.open(out / "r_c_s_000000.png"))
    assert np.array_equal(first, to_8_bits(match_colors(content, style)[0])) and not np.array_equal(first, to_8_bits(content[0]))
    assert rows(out / "r_c_s_log.txt")[0, 1] == 0 and "\n# match_colors: True\n" in (out / "r_c_s_log.txt").read_text()
    status, _, err = run(*flags("--nsteps", 2, "--resume"))
    assert status == 2 and "belongs to another run (match_colors: True in the checkpoint, False now); " in err
    branch = ["--resume_from", out / "checkpoints" / "r_c_s" / "ckpt-1", "--output", tmp_path / "branch" / "r.png"]
    status, _, err = run(*flags("--nsteps", 2, *branch))
    assert status == 0 and err == "neural_style_transfer.py: warning: match_colors: True in the checkpoint, False now\n"
    assert np.array_equal(np.asarray(Image.open(tmp_path / "branch" / "r_c_s_000000.png")), to_8_bits(content[0]))
