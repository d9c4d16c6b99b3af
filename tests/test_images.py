"""Images in: every mode, orientation and colour profile, resizing, damaged files.

What is expected is computed here in float64 from the definition of each format.
"""

import io
import os
import struct
import zlib

import numpy as np
import pytest
from conftest import picture, rows
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from neural_style_transfer import UsageError, fit, match_colors, read_picture, to_8_bits

RGB = picture(24, 18, seed=3)
PIXELS = np.asarray(RGB, int)


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


def over_white(rgb, alpha) -> np.ndarray:
    opacity = np.asarray(alpha, float)[..., np.newaxis] / 255
    return np.rint(opacity * rgb + (1 - opacity) * 255)


def close(pixels, expected, tolerance: int = 1) -> bool:
    return pixels.shape == expected.shape and np.abs(pixels - expected).max() <= tolerance


@pytest.mark.parametrize("image_format, options, tolerance", [
    ("PNG", {}, 0), ("JPEG", {"quality": 100, "subsampling": 0}, 4),
    ("AVIF", {"quality": 100, "subsampling": "4:4:4"}, 4)])
def test_rgb_is_read_as_it_is(read, image_format, options, tolerance):
    assert close(read(RGB, image_format, **options), PIXELS, tolerance)


def test_alpha_is_laid_over_white(read):
    alpha = np.random.default_rng(0).integers(0, 256, (18, 24), np.uint8)
    alpha[0], alpha[1] = 0, 255
    assert close(read(Image.fromarray(np.dstack([RGB, alpha]))), over_white(PIXELS, alpha))
    grey = np.asarray(RGB.convert("L"))
    assert close(read(Image.fromarray(np.dstack([grey, alpha]))), over_white(np.dstack([grey] * 3), alpha))


def test_palettes_and_transparent_colours(read):
    indices = np.random.default_rng(1).integers(0, 4, (5, 7), np.uint8)
    colours = np.array([[255, 0, 0], [0, 200, 0], [10, 20, 30], [250, 250, 0]], np.uint8)
    image = Image.fromarray(indices).convert("P")
    image.putpalette(colours.ravel().tolist())
    assert (read(image) == colours[indices]).all()
    alphas = np.array([0, 128, 255, 77])  # an alpha for each colour
    expected = over_white(colours[indices], alphas[indices])
    assert close(read(image, transparency=bytes(alphas.tolist())), expected)
    grey = Image.fromarray(np.array([[0, 4, 150, 255]], np.uint8))
    assert read(grey, transparency=4)[0, :, 0].tolist() == [0, 255, 150, 255]


def test_a_transparent_colour_of_16_bits_is_opaque(read):
    """Pillow compares it with 8 bits of each pixel: others would vanish with it, or in its place."""
    pixels = struct.pack(">6H", 0, 0, 0, 1, 200, 255)  # both are all but black
    head = struct.pack(">2L5B", 2, 1, 16, 2, 0, 0, 0)
    file = b"\x89PNG\r\n\x1a\n"
    rows = zlib.compress(b"\0" + pixels)
    for kind, data in (b"IHDR", head), (b"tRNS", bytes(6)), (b"IDAT", rows), (b"IEND", b""):
        file += struct.pack(">L", len(data)) + kind + data + struct.pack(">L", zlib.crc32(kind + data))
    assert not read(file).any()


def test_grey_of_1_8_and_16_bits(read):
    """16 bits are scaled and not clipped."""
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert (read(Image.fromarray(grey)) == grey[..., np.newaxis]).all()
    bits = np.random.default_rng(2).integers(0, 2, (9, 11), np.uint8)
    assert (read(Image.fromarray(bits * 255).convert("1")) == 255 * bits[..., np.newaxis]).all()
    values = np.arange(65536).reshape(256, 256)
    exact = (values * 255 + 32767) // 65535  # round(value / 65535 * 255) in whole numbers; there are no ties
    for image_format in "PNG", "TIFF":
        assert (read(Image.fromarray(values.astype(np.uint16)), image_format) == exact[..., np.newaxis]).all()


DEEP = Image.fromarray(np.arange(400, dtype=np.uint16).reshape(20, 20))
# TIFF 6.0, PhotometricInterpretation, one short
BLACK_IS_ZERO, WHITE_IS_ZERO = (struct.pack("<HHIHH", 262, 3, 1, value, 0) for value in (1, 0))


@pytest.mark.parametrize("data", [saved(Image.fromarray(np.full((20, 20), 0.5, np.float32)), "TIFF"),
                                  saved(Image.fromarray(np.zeros((20, 20), np.int32)), "TIFF"),
                                  saved(RGB, "TIFF", tiffinfo={254: 1}),
                                  saved(DEEP, "TIFF").replace(BLACK_IS_ZERO, WHITE_IS_ZERO)],
                         ids=["float", "signed", "RAW", "white is zero"])
def test_what_cannot_be_read_right_is_refused(read, data):
    """Numbers without a white, RAW, whose TIFF is a thumbnail, and 16 bits that Pillow does not turn over."""
    with pytest.raises(UsageError, match="^--content: .*is not a readable picture .*scientific picture"):
        read(data)


def exif(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


@pytest.mark.parametrize("orientation, upright", [(2, np.fliplr), (6, lambda image: np.rot90(image, -1))])
def test_exif_orientation(read, orientation, upright):
    """EXIF 2.3, tag 0x0112: mirrored, and a telephone held upright."""
    found = read(RGB, "JPEG", exif=exif(orientation), quality=100, subsampling=0)
    assert close(found, upright(PIXELS), 4)


def test_broken_exif_is_ignored(read):
    """The pixels are whole, and every viewer shows them."""
    assert close(read(RGB, "JPEG", exif=b"Exif\0\0no TIFF header", quality=100, subsampling=0), PIXELS, 4)


# ----------------------------------------------------------------------- colour profiles

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
# The same with the primaries of red and blue exchanged, and one of grey pictures, with half the gamma.
EXCHANGED = SRGB.replace(b"rXYZ", b"____").replace(b"bXYZ", b"rXYZ").replace(b"____", b"bXYZ")
GREY_PROFILE = SRGB.replace(b"RGB XYZ", b"GRAYXYZ").replace(b"rTRC", b"kTRC")
GREY_PROFILE = GREY_PROFILE.replace(*(struct.pack(">i", round(gamma * 65536)) for gamma in (2.4, 1.2)))


def test_profile_of_colours(read):
    """Of an image that is opaque, transparent, of a palette or turned; sRGB's own moves no pixel."""
    expected, alpha = PIXELS[..., ::-1], np.random.default_rng(5).integers(0, 256, (18, 24), np.uint8)
    assert (read(RGB, icc_profile=SRGB) == PIXELS).all()
    assert close(read(RGB, icc_profile=EXCHANGED), expected)
    transparent = Image.fromarray(np.dstack([RGB, alpha]))
    assert close(read(transparent, icc_profile=EXCHANGED), over_white(expected, alpha))
    palette = RGB.quantize(16)
    assert close(read(palette, icc_profile=EXCHANGED), np.asarray(palette.convert("RGB"), int)[..., ::-1])
    assert close(read(RGB, icc_profile=EXCHANGED, exif=exif(6)), np.rot90(expected, -1))


def test_profile_of_a_grey_picture(read):
    """With an alpha channel, too."""
    grey = np.arange(24, 256, dtype=np.uint8).reshape(8, 29)  # above the straight beginning of sRGB's curve
    expected = np.rint(255 * (1.055 * ((grey / 255 + 0.055) / 1.055) ** 0.5 - 0.055)).astype(int)
    for image in Image.fromarray(grey), Image.fromarray(np.dstack([grey, np.full_like(grey, 255)])):
        assert close(read(image, icc_profile=GREY_PROFILE), np.dstack([expected] * 3))


@pytest.mark.parametrize("wrong", [b"no profile", EXCHANGED[:200], EXCHANGED.replace(b"rTRC", b"xTRC"),
                                   GREY_PROFILE], ids=["text", "truncated", "no curve", "of grey"])
def test_a_profile_that_does_not_fit_is_ignored(read, wrong):
    """A program that colours a grey picture may leave the grey profile in."""
    assert (read(RGB, icc_profile=wrong) == PIXELS).all()


@pytest.mark.parametrize("image_format, options", [("GIF", {}), ("MPO", {"quality": 100})])
def test_first_frame(read, capfd, image_format, options):
    """A phone's MPO, a JPEG of several pictures, has a preview or depths for its second one."""
    others = [Image.new("RGB", (20, 16), colour) for colour in ((0, 255, 0), (0, 0, 255))]
    red, more = Image.new("RGB", (20, 16), (255, 0, 0)), {"save_all": True, "append_images": others}
    assert close(read(red, image_format, **more, **options), np.asarray(red)) and capfd.readouterr().err == ""


# ---------------------------------------------------------------------- size and arrays


@pytest.mark.parametrize("old, image_size, new", [
    ((300, 200), 64, (64, 43)), ((200, 300), 64, (43, 64)), ((20, 20), 512, (512, 512)),
    ((300, 31), 155, (155, 16)), ((300, 31), 149, None), ((31, 300), 149, None)])
def test_resize_keeps_the_ratio(old, image_size, new):
    image = Image.new("RGB", old, (10, 200, 77))
    if new:
        pixels = fit("--content", image, image_size)
        assert pixels.shape == (1, *new[::-1], 3) and (to_8_bits(pixels) == (10, 200, 77)).all()
    else:
        said = f"^--content: {old[0]} x {old[1]} pixels .* squarer picture: 16 pixels"
        with pytest.raises(UsageError, match=said):
            fit("--content", image, image_size)


def test_arrays():
    """Of the right size they are left bit for bit; they are written as the nearest grey levels."""
    found = fit("--content", RGB, 24)
    assert found.dtype == np.float32 and found.shape == (1, 18, 24, 3)
    assert (found == (PIXELS / 255).astype(np.float32)).all() and (to_8_bits(found)[0] == PIXELS).all()
    values = np.linspace(-0.5, 1.5, 10_001, dtype=np.float32)
    assert to_8_bits(values).dtype == np.uint8
    assert np.abs(to_8_bits(values) - 255 * np.clip(values, 0, 1)).max() <= 0.5 + 1e-4


def test_a_run_with_flat_pictures(run, phi, tmp_path):
    """Every number is one, and the picture is there."""
    for name, colour in ("c", "white"), ("s", "black"):
        Image.new("RGB", (20, 20), colour).save(tmp_path / f"{name}.tif")
    words = ["--content", tmp_path / "c.tif", "--style", tmp_path / "s.tif", "--output", tmp_path / "r",
             "--weights", "vgg16", "--image_size", 24, "--nsteps", 3, "--optim", "--optim_max_iters", 5]
    assert run(*words, network=lambda *_: phi)[::2] == (0, "")
    table = rows(tmp_path / "r_c_s_log.txt")
    assert len(table) == 3 and np.isfinite(table).all() and (table[:, 1:5] >= 0).all()
    assert Image.open(tmp_path / "r_c_s_final.png").mode == "RGB"


# ---------------------------------------------------------------------- damaged files

WHOLE = [saved(RGB, "PNG", icc_profile=EXCHANGED), saved(RGB.quantize(8), "PNG"), saved(RGB, "JPEG"),
         saved(RGB, "GIF", save_all=True, append_images=[RGB.rotate(90)]), saved(DEEP, "TIFF"),
         saved(RGB, "TIFF", compression="tiff_lzw"), saved(RGB, "WEBP"), saved(RGB, "JPEG2000")]


@st.composite
def damaged(draw) -> bytes:
    data = bytearray(draw(st.sampled_from(WHOLE)))
    if draw(st.booleans()):
        del data[draw(st.integers(1, len(data) - 1)):]
    for bit in draw(st.lists(st.integers(0, 8 * len(data) - 1), max_size=8)):
        data[bit // 8] ^= 1 << bit % 8
    return bytes(data)


@given(data=damaged())
@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damaged_image_is_read_or_refused(tmp_path, monkeypatch, data):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 300_000)  # a flipped bit may ask for gigapixels
    (tmp_path / "picture").write_bytes(data)
    try:
        result = read_picture("--content", str(tmp_path / "picture"))
    except UsageError as error:
        assert str(error).startswith("--content: ") and "\n" not in str(error)
    else:
        assert np.asarray(result).shape == (result.height, result.width, 3)


def test_a_large_text_in_a_png(read):
    """It is no fault of the picture, however well it is packed."""
    data, text = saved(RGB, "PNG"), b"zTXtComment\0\0" + zlib.compress(bytes(5 << 20))
    chunk = struct.pack(">I", len(text) - 4) + text + struct.pack(">I", zlib.crc32(text))
    assert (read(data[:33] + chunk + data[33:]) == PIXELS).all()


def test_postscript_is_refused_whatever_its_name(read, tmp_path, monkeypatch):
    """It is a program, and Pillow would start another one to run it."""
    (tmp_path / "gs").write_text(f"#!/bin/sh\ntouch '{tmp_path}/started'\n")
    (tmp_path / "gs").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with pytest.raises(UsageError, match="is not a readable picture"):
        read(RGB, "EPS")
    assert not (tmp_path / "started").exists()


# ------------------------------------------------------------------------- the style's colours


def colours(matrix, mean, size=(40, 60), seed=0) -> np.ndarray:
    """A picture of random colours, none near an end of the range, with M^T M / 12 for their covariance."""
    random = np.random.default_rng(seed).random((1, *size, 3)) - 0.5
    return (random @ np.array(matrix) + mean).astype(np.float32)


CONTENT = colours([[0.3, 0.1, 0], [0, 0.2, 0.1], [0, 0, 0.1]], [0.4, 0.5, 0.6])
STYLE = colours([[0.2, 0, 0.1], [0.2, 0.1, 0], [0, 0.1, 0.3]], [0.6, 0.5, 0.4], size=(30, 50), seed=1)
GREY_COLOURS = np.repeat(CONTENT[..., :1], 3, axis=3)
ONE_COLOUR = np.full((1, 16, 16, 3), [0.25, 0.5, 0.75], np.float32)


def moments(x: np.ndarray) -> tuple:
    return x.reshape(-1, 3).mean(0, np.float64), np.cov(x.reshape(-1, 3).astype(np.float64).T)


def test_matched_colours_have_the_mean_and_covariance_of_the_styles():
    """By a map that is symmetric and positive: only that moves colours least. Found from what it does."""
    matched = match_colors(CONTENT, STYLE)
    assert matched.dtype == np.float32 and matched.shape == CONTENT.shape
    for found, expected in zip(moments(matched), moments(STYLE)):
        np.testing.assert_allclose(found, expected, atol=1e-3)
    x, y = (image.reshape(-1, 3).astype(np.float64) for image in (CONTENT, matched))
    T, residuals, *_ = np.linalg.lstsq(np.c_[x, np.ones(len(x))], y, rcond=None)
    assert residuals.max() < 1e-6  # none is clipped
    np.testing.assert_allclose(T[:3], T[:3].T, atol=1e-4)
    assert np.linalg.eigvalsh(T[:3]).min() > 0.1


@pytest.mark.parametrize("content", [CONTENT, GREY_COLOURS, ONE_COLOUR], ids=["colours", "grey", "one"])
@pytest.mark.parametrize("style", [STYLE, GREY_COLOURS, ONE_COLOUR], ids=["colours", "grey", "one"])
@pytest.mark.filterwarnings("error")
def test_colours_of_lower_dimension(content, style):
    matched = match_colors(content, style)
    assert np.isfinite(matched).all() and matched.min() >= 0 and matched.max() <= 1
    np.testing.assert_allclose(moments(matched)[0], moments(style)[0], atol=2 / 255)
    if style is GREY_COLOURS:
        assert not np.ptp(matched, axis=3).any(), "neutral"
    if style is content:
        assert np.abs(matched - content).max() < 4 / 255, "what matches already stays"


def test_noise_is_not_stretched_into_colours():
    """What a sepia photograph has beside its one colour, half a grey level here."""
    rng = np.random.default_rng(0)
    sepia = (np.linspace(0.2, 0.8, 4096).reshape(1, 64, 64, 1) * [1.0, 0.9, 0.7]).astype(np.float32)
    style = rng.random((1, 32, 32, 3), np.float32)
    noise = rng.normal(0, 0.002, sepia.shape).astype(np.float32)
    assert np.std(match_colors(sepia + noise, style) - match_colors(sepia, style)) < 10.5 * 0.002


def test_match_colors_in_a_run(flags, tmp_path, run):
    """The first picture shows it, row 1 takes it for the content, the header has it, a resume minds it."""
    words, out = flags("--nsteps", 1, "--match_colors"), tmp_path / "out"
    assert run(*words)[0] == 0
    content, style = (fit("", read_picture("", word), 64) for word in (words[1], words[3]))
    first = np.asarray(Image.open(out / "r_c_s_000000.png"))
    assert np.array_equal(first, to_8_bits(match_colors(content, style)[0]))
    assert not np.array_equal(first, to_8_bits(content[0])) and rows(out / "r_c_s_log.txt").flat[1] == 0
    assert "\n# match_colors: True\n" in (out / "r_c_s_log.txt").read_text()
    status, _, err = run(*flags("--nsteps", 2, "--resume"))
    assert status == 2 and "belongs to another run (match_colors: True in the checkpoint, False now); " in err
