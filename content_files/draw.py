"""Draws the five content pictures c1.png .. c5.png, from nothing but NumPy and Pillow.

    python draw.py [folder]        (default: the folder of this script)

  c1  a lighthouse on a cliff        height field + painted tower, low sun from the left
  c2  a still life                   ray-marched distance field with area-light shadows
  c3  a mountain lake                height field, mirrored in rippled water, conifers
  c4  a street at dusk               ray-traced house fronts in one-point perspective
  c5  a tiger                        some fifty thousand directed hair strokes

All colours are linear light until `save` tone-maps them.  Every picture is computed
at SS times its size and averaged down, which is all the antialiasing there is.
"""
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

SS = 2                                            # supersampling factor


# ---------------------------------------------------------------- shared helpers

def rgb(code):
    """'e8a060' (an sRGB hex colour) -> linear float32 triple."""
    return np.array([int(code[i:i + 2], 16) / 255 for i in (0, 2, 4)], np.float32) ** 2.2


def smooth(a, b, x):
    """Smooth step: 0 below a, 1 above b (a > b turns it round)."""
    t = np.clip((x - a) / (b - a), 0, 1)
    return t * t * (3 - 2 * t)


def mix(a, b, t):
    """Blend a -> b by the mask t; a mask without colour axis is given one."""
    t = np.asarray(t, np.float32)
    return a + (b - a) * (t[..., None] if t.ndim and np.shape(t)[-1:] != (3,) else t)


def ramp(t, *stops):
    """Colour gradient: stops are (position, hex colour) in rising order."""
    pos, cols = [s[0] for s in stops], np.array([rgb(s[1]) for s in stops])
    return np.stack([np.interp(t, pos, cols[:, i]) for i in range(3)], -1).astype(np.float32)


def unit(v):
    return v / np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), 1e-9)


def dot(a, b):
    return (a * b).sum(-1)


def grid(w, h):
    """Pixel-centre coordinates x (1, w) and y (h, 1) of the supersampled canvas."""
    return (np.arange(w, dtype=np.float32)[None] + .5, np.arange(h, dtype=np.float32)[:, None] + .5)


def sample(tex, u, v, wrap=False):
    """Bilinear look-up of tex[v, u]; outside it repeats (wrap) or holds its edge."""
    h, w = tex.shape
    u, v = np.broadcast_arrays(np.float32(u), np.float32(v))
    fu, fv = np.floor(u), np.floor(v)
    i, j = fu.astype(np.int32), fv.astype(np.int32)
    u, v = u - fu, v - fv
    if wrap:
        i0, i1, j0, j1 = i % w, (i + 1) % w, j % h, (j + 1) % h
    else:
        i0, i1 = np.clip(i, 0, w - 1), np.clip(i + 1, 0, w - 1)
        j0, j1 = np.clip(j, 0, h - 1), np.clip(j + 1, 0, h - 1)
    j0, j1, t = j0 * w, j1 * w, tex.ravel()
    top = t[j0 + i0] * (1 - u) + t[j0 + i1] * u
    return top * (1 - v) + (t[j1 + i0] * (1 - u) + t[j1 + i1] * u) * v


def blob_texture(n=1024, feature=8, seed=1):
    """Band-limited periodic noise (blobs of about `feature` texels), zero mean, unit spread."""
    spectrum = np.fft.rfft2(np.random.default_rng(seed).standard_normal((n, n)))
    f = np.hypot(np.fft.fftfreq(n)[:, None], np.fft.rfftfreq(n)[None]) * feature * 2
    tex = np.fft.irfft2(spectrum * np.exp(-(np.log(f + 1e-6) / .45) ** 2))
    return (tex / tex.std()).astype(np.float32)


BLOBS = blob_texture()


def fbm(x, y, size, octaves=4, gain=.5, seed=0):
    """Fractal noise at world position (x, y): largest blobs `size` wide, unit spread."""
    total, norm = 0, 0
    for i in range(octaves):
        k = 16 * 2 ** i / size
        total = total + gain ** i * sample(BLOBS, x * k + 137 * i + 71 * seed,
                                           y * k + 59 * i + 193 * seed, wrap=True)
        norm += gain ** (2 * i)
    return total / np.float32(norm ** .5)


def ridges(x, y, size, octaves=4, gain=.5, seed=0):
    """Like fbm but with sharp crests (1) and broad valleys (0): rock, waves, cracks."""
    total, norm = 0, 0
    for i in range(octaves):
        n = 1.1 - np.sqrt(fbm(x, y, size / 2 ** i, 1, seed=seed + 3 * i) ** 2 + .025) / 1.5
        total, norm = total + gain ** i * np.clip(n, 0, 1) ** 2, norm + gain ** i
    return total / np.float32(norm)


def blur(a, r):
    """Gaussian-like blur: three box passes along each axis, colour axis untouched."""
    r = max(int(r), 1)
    for axis in (0, 1) * 3:
        pad = [(r + 1, r) if k == axis else (0, 0) for k in range(a.ndim)]
        c = np.cumsum(np.pad(a, pad, 'edge'), axis, dtype=np.float64)
        n = a.shape[axis]
        a = ((np.take(c, range(2 * r + 1, 2 * r + 1 + n), axis) - np.take(c, range(n), axis))
             / (2 * r + 1)).astype(np.float32)
    return a


def mask(w, h, draw):
    """Run draw(ImageDraw) on a black canvas and return it as a 0..1 mask."""
    im = Image.new('L', (w, h))
    draw(ImageDraw.Draw(im))
    return np.asarray(im, np.float32) / 255


def strokes(img, lines):
    """Draw (points, colour, width) lines over a linear picture, in order; returns it anew."""
    im = Image.fromarray(np.uint8(255 * np.clip(img, 0, 1) ** (1 / 2.2)))
    d = ImageDraw.Draw(im)
    colours = np.uint8(255 * np.clip([line[1] for line in lines], 0, 1) ** (1 / 2.2)).tolist()
    for (pts, _, width), c in zip(lines, colours):
        d.line(pts, tuple(c), int(width), joint='curve' if width > 3 else None)
    drawn = (np.asarray(im, np.float32) / 255) ** 2.2
    same = np.abs(drawn - np.clip(img, 0, 1)).max(-1, keepdims=True) < .012
    return np.where(same, img, drawn)             # keep untouched pixels at full precision


def save(img, path, grain=.006, seed=0):
    """Average down, roll off the highlights, sharpen a little, add film grain, write."""
    h, w = img.shape[0] // SS, img.shape[1] // SS
    img = img[:h * SS, :w * SS].reshape(h, SS, w, SS, 3).mean((1, 3))
    img = np.where(img < .6, img, 1 - .4 * np.exp(-(img - .6) / .4))
    img = np.clip(img, 0, 1) ** (1 / 2.2)
    img = img + .35 * (img - blur(img, 1))
    img = img + grain * np.random.default_rng(seed).standard_normal((h, w, 1))
    Image.fromarray(np.uint8(np.clip(img, 0, 1) * 255 + .5)).save(path, optimize=True)


def view_heights(height, w, h, f, horizon, eye, z):
    """Depth of every pixel over a landscape height(x, z), seen from `eye` metres up along z.

    Each pixel column is one walk away from the viewer.  The highest point projected so
    far only ever rises, so the first step that reaches a pixel is a binary search."""
    z, steps = np.float32(z), len(z)
    dx = (grid(w, h)[0] - w / 2) / f
    v = (f * (height(dx * z[:, None], z[:, None]) - eye) / z[:, None]).T.copy()
    top = np.maximum.accumulate(v, 1)
    rows = horizon - grid(w, h)[1][:, 0]
    depth = np.full((h, w), np.inf, np.float32)
    for i in range(w):
        k = np.searchsorted(top[i], rows)
        hit, k = k < steps, np.clip(k, 1, steps - 1)
        a, b = v[i, k - 1], v[i, k]
        t = np.clip((rows - a) / np.where(b > a, b - a, 1), 0, 1)
        depth[hit, i] = (z[k - 1] + t * (z[k] - z[k - 1]))[hit]
    return depth


def shadow_heights(ground, cell, sun, reach):
    """Height below which each cell of a height map is in shadow (sun: unit x, y, z)."""
    n, m = ground.shape
    x, z = np.arange(m, dtype=np.float32)[None], np.arange(n, dtype=np.float32)[:, None]
    flat = np.hypot(sun[0], sun[2])
    top = np.full(ground.shape, -1e9, np.float32)
    for k in range(1, int(reach / cell)):
        h = sample(ground, x + k * sun[0] / flat, z + k * sun[2] / flat)
        top = np.maximum(top, h - k * cell * sun[1] / flat)
    return top


# ---------------------------------------------------------------- c1: lighthouse

def c1(path):
    w = h = 512 * SS
    f, horizon, eye = 560 * SS, 330 * SS, 14.
    rng = np.random.default_rng(11)
    sun = unit(np.float32([-.84, .33, -.43]))
    tower = np.float32([13, 22.6, 93])            # foot of the lighthouse, metres

    def land(x, z):
        s = (1 - np.hypot((x - 30) / 36, (z - 112) / 34)) * 35        # metres inside the coast
        ragged = 1.5 * fbm(x, z, 7, 2, seed=2)
        s = s + 2.6 * fbm(x, z, 24, 2, seed=1) + ragged
        for cx, cz, r, cap in ((-5, 90, 7.5, 5.4), (-11, 84, 4.5, 3.7), (-17, 76, 3.6, 2.2), (-1, 74, 4., 2.4),
                               (8, 71, 4., 2.8), (-26, 92, 3.5, 2.6), (19, 71, 4, 2.2)):
            d = r - np.hypot(x - cx, (z - cz) * 1.2) + .7 * ragged
            s = np.maximum(s, np.minimum(d, cap + .25 * ragged + .12 * (x - cx)))   # stacks and skerries
        y = np.interp(s, [-14, -4, -1, 1, 3, 4.2, 6.2, 7.2, 9, 16, 40],
                      [-6, -1.6, -.2, 1.8, 4.5, 9.5, 13, 18, 20.5, 22.4, 24]).astype(np.float32)
        rough = smooth(-6, -1, s) * smooth(12, 7, s)
        y = y + rough * (.55 * fbm(x, z, 3., 3, .5, seed=3)) + .12 * fbm(x, z, 1.5, 2, seed=4)
        knoll = 12.7 - .075 * (x - 12) ** 2 - .012 * (z - 13) ** 2 + .25 * fbm(x, z, 3, 3, seed=5)
        y = np.where(z < 40, np.maximum(knoll, -6), y)
        far = np.exp(-((x + 520) / 230) ** 2) * 85 + np.exp(-((x + 190) / 130) ** 2) * 42
        far = far * smooth(800, 1000, z) * (1 + .25 * fbm(x, z, 200, 4, seed=6)) - 4
        return np.where(z > 500, far, y)

    def sea(x, z):
        calm = 1 / (1 + z / 500)
        return calm * (1.5 * ridges(x * .5 + z * .25, z, 24, 2, .4, seed=7) - .75
                       + .16 * fbm(x * .6, z, 5, 4, .5, seed=8) * smooth(500, 60, z))

    x, y = grid(w, h)
    dx, up = (x - w / 2) / f + 0 * y, (horizon - y) / f + 0 * x

    # Sky: a warm glow low on the left, blue above; cloud decks on a plane overhead.
    def sky_colour(dx, e):
        base = ramp(e, (-.02, 'f3c9a0'), (.04, 'f0cfae'), (.14, 'c9cfd6'), (.3, '86aacd'), (.62, '3f6ea5'))
        glow = np.exp(-((dx + .62) / .5) ** 2 - (np.maximum(e, 0) / .2) ** 2)
        return mix(base, rgb('ffb060') * 1.35, .75 * glow)

    def cloud(u, v):
        u, v = u + .05 * fbm(u, v, .35, 3, seed=25), v + .05 * fbm(u, v, .35, 3, seed=26)
        return fbm(u, v, 1.3, 7, .5, seed=21) + .5 * fbm(u, v, 3.5, 2, seed=22) - .3 * ridges(u, v, .5, 4,
                                                                                              .6, seed=24)

    e = np.maximum(up, 0)
    sky = sky_colour(dx, e)
    u, v = dx / (e + .45), .85 / (e + .35)
    d, lit = cloud(u, v), cloud(u - .07, v + .04)
    cover = smooth(-.12, .75, d) * smooth(.0, .1, e)
    shade = np.clip(.55 + .55 * (d - lit) - .16 * (d - .6), 0, 1)
    tint = ramp(shade, (0, '6f7690'), (.45, 'b9a6a4'), (.7, 'f4d3b0'), (1, 'fff1dc'))
    img = mix(sky, tint, .93 * cover)
    wisps = smooth(.2, 1.8, fbm(dx + .6 * up, up * 5, .5, 5, .55, seed=23)) * smooth(.05, .3, e)
    img = mix(img, rgb('fff0dc'), .35 * wisps)

    depth = view_heights(lambda a, b: np.maximum(land(a, b), sea(a, b)),
                         w, h, f, horizon, eye, np.r_[np.geomspace(5, 60, 350), np.arange(60.2, 150, .16),
                                                      np.geomspace(150.2, 2400, 450)])
    hit = np.isfinite(depth)
    z = depth[hit]
    wx, px_size = dx[hit] * z, z / f
    ground, water = land(wx, z), sea(wx, z)
    is_land = ground > water
    wy = eye + up[hit] * z
    view = unit(np.stack([dx[hit], up[hit], np.ones_like(z)], -1))

    def normal(fn, eps):
        here = fn(wx, z)
        return unit(np.stack([here - fn(wx + eps, z), eps, here - fn(wx, z + eps)], -1))

    # Sea: mirrored sky over deep green, lighter crests, foam on the shallows.
    n = normal(sea, np.maximum(px_size * 2.5, .12))
    fresnel = .03 + .97 * (1 - np.clip(-dot(n, view), 0, 1)) ** 5
    mirror = view - 2 * dot(n, view)[:, None] * n
    reflected = sky_colour(mirror[:, 0], np.clip(mirror[:, 1], 0, .6)) * .92
    crest = smooth(-.1, .5, water * (1 + z / 500))
    deep = ramp(crest, (0, '0b2a3c'), (.6, '17495a'), (1, '3f8483'))
    deep = mix(deep, rgb('4f9a93'), .6 * smooth(-5, -.5, ground))
    water_col = mix(deep * (.75 + .5 * np.clip(dot(n, sun), 0, 1))[:, None], reflected,
                    np.clip(fresnel * 1.1, 0, .9))
    web = ridges(wx * .8, z * .8, 3.2, 3, .6, seed=31)
    foam = smooth(-3.6, -.2, ground + 1.3 * fbm(wx, z, 7, 3, seed=32)) * smooth(.34, .62, web
                                                                                + .25 * smooth(-2, 0, ground))
    foam = foam * (z < 400)
    caps = smooth(.35, .62, crest * .75 + .16 * fbm(wx * .6, z, 9, 4, .6, seed=33) - .18) * smooth(.3, .6,
                                                                                                   web) * smooth(900, 150, z)
    foam = np.clip(np.maximum(foam, .8 * caps), 0, 1)
    water_col = mix(water_col, rgb('fff0e2') * (.55 + .5 * np.clip(dot(n, sun) * 1.5, 0, 1))[:, None], foam)

    # Land: grass where it is flat and high, layered rock elsewhere, wet at the foot.
    n = normal(land, np.maximum(px_size * 1.5, .08))
    t = wx * .8 + z * .6
    strata = fbm(t * .25, wy + .18 * t, 2.6, 4, .6, seed=41)
    cracks = ridges(t, wy * .35 + .3 * t, 3.4, 4, .6, seed=42)
    relief = np.zeros((h, w), np.float32)
    relief[hit] = .9 * strata - 1.4 * cracks + .5 * fbm(t, wy, 1.2, 3, .7, seed=43)
    gy, gx = np.gradient(relief)
    steep = smooth(.86, .6, n[:, 1])
    bump = np.stack([-gx[hit], gy[hit], 0 * z], -1) / (px_size * 14)[:, None]
    n = unit(n + np.clip(bump, -.6, .6) * (.25 + .75 * steep)[:, None])
    rock = ramp(strata * .25 + .5, (0, '4a3d38'), (.35, '7d6a5c'), (.6, 'a48d76'), (1, 'c9b497'))
    rock = rock * (1 - .62 * smooth(.55, .95, cracks))[:, None]
    rock = mix(rock, rock * rgb('8c8a86'), smooth(2.6, .6, wy + .5 * strata))
    patches = fbm(wx, z, 6, 4, .6, seed=44)
    grass = ramp(patches * .25 + .5, (0, '2c3f1a'), (.5, '566528'), (.8, '7d7a36'), (1, 'a0904e'))
    grassy = smooth(.62, .8, n[:, 1] + .08 * patches) * smooth(10, 15, wy + 1.5 * patches)
    grassy = np.where(z < 40, 1, grassy)
    albedo = mix(rock, grass, grassy)
    cell = .35                                     # shadows come from a coarse map of the headland
    gx0, gz0 = np.arange(-24, 76, cell, dtype=np.float32)[None], np.arange(62, 150, cell,
                                                                           dtype=np.float32)[:, None]
    heights = land(gx0, gz0)
    heights = np.where(np.hypot(gx0 - tower[0], gz0 - tower[2]) < 2.9, tower[1] + 26, heights)
    shade = sample(shadow_heights(heights, cell, sun, 60), (wx + 24) / cell, (z - 62) / cell)
    light = smooth(.35, -.35, shade - wy) * np.clip(dot(n, sun), 0, 1)
    light = np.where((z < 62) | (z > 150), np.clip(dot(n, sun), 0, 1), light)
    hollow = np.clip(.75 - .25 * relief[hit], .35, 1.1)
    warm, cool = rgb('ffc684') * 3.1, rgb('8ba6cc') * .62
    bounce = rgb('c9a27c') * .16 * (1 - n[:, 1:2])
    land_col = albedo * (light[:, None] * warm + ((.45 + .55 * n[:, 1]) * hollow)[:, None] * cool + bounce)

    colour = mix(water_col, land_col, is_land)
    haze = mix(sky_colour(dx[hit], np.zeros_like(z)), rgb('9fb0c4'), .45)
    colour = mix(colour, haze, np.clip(1 - np.exp(-z / 1100), 0, .8))
    img[hit] = colour

    # Spray: the foam mask beside rock, thrown upward and broken up by noise.
    edge = np.zeros((h, w), np.float32)
    edge[hit] = ((~is_land) & (ground > -1.3) & (z < 120)) * 1.
    up_edge = sum(np.roll(blur(edge, 3 * SS), -k * SS, 0) * (1 - k / 15) for k in range(0, 15, 3)) / 3
    spray = up_edge * smooth(.1, 1.6, fbm(x, y, 70 * SS, 2, seed=51) + .6 * fbm(x, y, 9 * SS, 4, .7, seed=52))
    img = mix(img, rgb('fff2e4') * .95, np.clip(1.5 * spray, 0, .9))

    # The buildings have hard, straight edges: paint them at twice the resolution again.
    m = f / tower[2]
    cx, foot = w / 2 + tower[0] * m, horizon - (tower[1] - eye) * m
    left, top, size = int(cx - 6 * m), int(foot - 33 * m), int(38 * m)
    part = img[top:top + size, left:left + size]
    fine = lighthouse(part.repeat(2, 0).repeat(2, 1), 2 * (cx - left), 2 * (foot - top), 2 * m, sun)
    fine = fine.reshape(len(part), 2, part.shape[1], 2, 3).mean((1, 3))
    lip = depth[top:top + size, left:left + size] < tower[2] + 3      # the cliff's edge hides their feet
    part[:] = np.where(lip[..., None], part, fine)

    # Grass blades and a few flowers, rooted on visible grass pixels, far ones first.
    green = np.zeros((h, w), np.float32)
    green[hit] = grassy * is_land
    ys, xs = np.nonzero(green > .6)
    zz = depth[ys, xs]
    p = np.where(zz < 40, 1., 1.6)
    pick = rng.choice(len(ys), 15000, p=p / p.sum())
    pick = pick[np.argsort(-zz[pick])]
    lines = []
    for i in pick:
        x0, y0, zi = xs[i], ys[i], zz[i]
        size = f / zi * (rng.uniform(.15, .5) if zi < 40 else rng.uniform(.25, .6))
        lean = rng.normal(.25, .3) * size
        tone = img[y0, x0] * rng.uniform(.45, 1.5) * (1, rng.uniform(.9, 1.05), .8)
        width = 2 if zi < 40 else 1
        lines.append(([(x0, y0 + 2), (x0 + .35 * lean, y0 - .6 * size), (x0 + lean, y0 - size)], tone, width))
        if zi < 40 and rng.random() < .025:
            c = rgb(('fff4e0', 'f7d774', 'e8a0b4')[rng.integers(3)])
            a, b = x0 + lean, y0 - size
            lines += [([(a - 3, b), (a + 3, b)], c, 5), ([(a - 1, b + 3), (a + 2, b + 3)], c * .7, 3)]
    for gx, gy, size in ((118, 150, 9), (150, 128, 6), (96, 176, 6), (186, 166, 5), (226, 214, 4)):
        a = rng.uniform(-.25, .25)                 # gulls: two bent wings
        for s in (-1, 1):
            wing = [(gx + s * size * t, gy + size * (a * s * t - .5 * np.sin(2.4 * t) + .35 * t * t))
                    for t in (0, .3, .6, 1)]
            lines.append(([(px * SS, py * SS) for px, py in wing], rgb('4a4a58'), 3))
    save(strokes(img, lines), path)


def lighthouse(img, cx, foot, m, sun):
    """Paint the tower and the keeper's house, foot at (cx, foot), `m` pixels to the metre."""
    x, y = grid(img.shape[1], img.shape[0])
    X, Y = (x - cx) / m + 0 * y, (foot - y) / m + 0 * x        # metres from the foot
    warm, cool = rgb('ffc684') * 2.3, rgb('9db4d6') * .36

    def paint(img, shape, colour, nx, ny=0.):
        """Blend `colour`, lit as a surface of sideways normal nx, into the picture."""
        nx = np.clip(nx + 0 * X, -1, 1)
        lambert = np.clip(nx * sun[0] + ny * sun[1] - np.sqrt(1 - nx ** 2) * sun[2], 0, 1)
        lit = lambert[..., None] * warm + cool * (.75 - .25 * nx)[..., None] + rgb('c9a27c') * .1
        return mix(img, colour * lit, shape)

    def part(img, y0, y1, r0, r1, colour, ny=0.):
        """A slice of a cone: radius r0 at height y0, r1 at height y1."""
        r = r0 + (r1 - r0) * np.clip((Y - y0) / (y1 - y0), 0, 1)
        sag = .13 * np.sqrt(np.clip(1 - (X / r) ** 2, 0, 1)) * r    # seen from below: edges curve up
        shape = (np.abs(X) < r) & (Y > y0 - .3) & (Y + sag < y1)
        return paint(img, shape, colour, X / r, ny)

    # Keeper's house first: it stands a little behind, to the right.
    grime = (1 + .09 * fbm(X, Y, 1.2, 5, .7, seed=61)
             - .1 * smooth(.2, 1.4, fbm(X * 3, Y * .3, 2, 3, seed=62)))[..., None]
    for x0, x1, eaves, ridge in ((5.5, 15.5, 3.6, 6.6), (3.2, 6.6, 2.5, 4.1)):
        wall = (X > x0) & (X < x1) & (Y > -3) & (Y < eaves)
        gable = (X > x0) & (X < x0 + 3) & (Y < eaves
                                           + (ridge - eaves) * (1 - np.abs(X - x0 - 1.5) / 1.5)) & (Y > -3)
        img = paint(img, wall, rgb('e9e2d6') * grime, .12)
        roof = (Y >= eaves - .2) & (Y < ridge) & (X > x0 + 1.5 * (Y - eaves) / (ridge - eaves)
                                                  + 1.2) & (X < x1 + .3 - .25 * (Y - eaves))
        tiles = (1 - .35 * (np.mod(Y * 2.6, 1) < .25) + .16 * fbm(X * 1.5, Y * 3, .8, 3, seed=63))[..., None]
        img = paint(img, roof, rgb('8f4a36') * tiles, .05, .5)
        img = paint(img, gable, rgb('f1eadd') * grime, -.75)
    for a in (8.9, 11.2, 13.5):
        img = paint(img, (np.abs(X - a - .04) < .58) & (np.abs(Y - 1.95) < .8), rgb('f6f0e4'), 0)
        img = mix(img, ramp((Y - 1.2) / 1.5, (0, '202a38'), (.6, '3a4556'), (1, 'e8b878')),
                  (np.abs(X - a) < .45) & (np.abs(Y - 1.95) < .66) & (np.abs(X - a) > .05) & (np.abs(Y
                                                                                                     - 2.1) > .05))
    img = paint(img, (np.abs(X - 12.8) < .55) & (Y > 5.6) & (Y < 8), rgb('9a6a54') * grime, -.3)

    # Tower: white with two red bands, slightly flared, then gallery, lantern and dome.
    flare = np.maximum(0, 1 - Y / 6) ** 2 * .7
    r = 3.7 - 1.25 * np.clip(Y / 22, 0, 1) + flare
    bow = .16 * r * np.sqrt(np.clip(1 - (X / r) ** 2, 0, 1)) * np.clip(Y / 14 - .3, -.3, 1)
    band = np.mod((Y + bow) / 4.5 + .02, 2) > 1
    paintwork = mix(rgb('f3ece0') + 0 * X[..., None], rgb('b3321f') + 0 * X[..., None], band)
    courses = 1 - .07 * (np.mod((Y + bow) * 1.6, 1) < .12)
    img = paint(img, (np.abs(X) < r) & (Y > -2.5) & (Y < 22), paintwork * grime * courses[..., None], X / r)
    for wy, wx in ((6.4, -.7), (11.8, -.2), (17.2, -.6), (2., .6)):
        tall = 1.15 if wy < 3 else .75
        img = paint(img, (np.abs(X - wx) < .5) & (np.abs(Y - wy) < tall), rgb('e9dfcf'), .3)
        img = mix(img, ramp((Y - wy) / 1.5 + .5, (0, '141820'), (1, '3d4654')), (np.abs(X - wx) < .34)
                  & (np.abs(Y - wy) < tall - .16))
    img = mix(img, img * .45, smooth(19.4, 21.8, Y) * (np.abs(X) < r) * (Y < 22))     # shadow under the gallery
    img = part(img, 21.6, 22.6, 2.45, 3.5, rgb('e6ddd0'), -.2)
    img = part(img, 22.4, 22.95, 3.6, 3.6, rgb('8c2a1c'))
    rail = (np.abs(X) < 3.55) & (Y > 22.9) & (Y < 24.1)
    bars = (np.mod(np.arcsin(np.clip(X / 3.55, -1, 1)) * 5.5, 1) < .2) | (np.abs(Y
                                                                                 - 24.05) < .09) | (np.abs(Y
                                                                                                           - 23.5) < .05)
    img = part(img, 22.9, 24.2, 1.95, 1.95, rgb('e9e0d2'))
    glass = (np.abs(X) < 1.8) & (Y >= 24) & (Y < 27)
    lamp = np.exp(-(X / .75) ** 2 - ((Y - 25.5) / .95) ** 2)
    pane = ramp(X / 3.6 + .5, (0, 'e8c48c'), (.3, '7d8890'), (1, '39485a'))
    img = mix(img, pane + lamp[..., None] * rgb('ffdf9a') * 3, glass)
    frame = glass & ((np.mod(np.arcsin(np.clip(X / 1.8, -1, 1)) * 1.9 + .5, 1) < .13)
                     | (np.abs(Y - 25.5) < .06))
    img = mix(img, rgb('5a2018') * .6, frame)
    img = paint(img, rail & bars, rgb('b8aea0') * .75, -.2)
    img = part(img, 26.9, 27.3, 2.25, 2.25, rgb('9c2c1d'))
    dome_r = 2.05 * np.sqrt(np.clip(1 - (np.clip(Y - 27.2, 0, 9) / 1.75) ** 2, 1e-6, 1))
    img = paint(img, (np.abs(X) < dome_r) & (Y > 27.2) & (Y < 28.95), rgb('a8321f') + 0 * X[..., None],
                X / np.maximum(dome_r, .05) * .9, smooth(27, 29, Y) * .8)
    img = paint(img, (np.hypot(X, Y - 29.15) < .36) | ((np.abs(X) < .08) & (Y > 29) & (Y < 31.2)),
                rgb('6a3a2c'), X * 2)
    r = np.hypot(X, Y - 25.5)
    halo = np.exp(-r / 2.4) * smooth(5.6, 1, r)
    return img + halo[..., None] * rgb('ffd08a') * .55


# ---------------------------------------------------------------- c2: still life

def turned(y, *profile):
    """Radius at height y of a pot turned on a wheel, profile = (y, r) points, rounded off."""
    ys = np.linspace(profile[0][0], profile[-1][0], 200)
    rs = np.interp(ys, *zip(*profile))
    soft = np.convolve(np.pad(rs, 9, 'edge'), np.hanning(21)[1:-1] / np.hanning(21).sum(), 'valid')
    return np.interp(y, ys, soft).astype(np.float32)


def still_life(p):
    """Signed distance from points p (n, 3) to every object on the table, (objects, n)."""
    x, y, z = p.T

    def ball(cx, cy, cz, r):
        return np.sqrt((x - cx) ** 2 + (y - cy) ** 2 + (z - cz) ** 2) - r

    def apple(cx, cy, cz, r):                      # a torus without a hole has apple dimples
        q = np.hypot(x - cx, z - cz) - .36 * r
        return np.sqrt(q * q + ((y - cy) * (1.02 - .1 * (y - cy))) ** 2) - .68 * r

    def blend(a, b, k):
        t = np.clip(.5 + .5 * (b - a) / k, 0, 1)
        return b + (a - b) * t - k * t * (1 - t)

    def pot(q, lo, hi, r):
        return np.maximum((q - r) * .75, np.maximum(lo - y, y - hi))

    fold = .17 * np.sin(3.1 * x + .8 * np.sin(1.7 * x)) * np.clip(-y, 0, 1.2) + .05 * np.sin(7.3 * x
                                                                                             + 2) * np.clip(-y, 0, 1)
    wrinkle = .035 * np.sin(1.3 * x + 2.2 * z + 1.2 * np.sin(.9 * x - z)) * smooth(.6, -1.3,
                                                                                   z) + .02 * np.sin(4 * x
                                                                                                     - 2.5 * z) * smooth(-.2, -1.5, z)
    a, b = -1.55 - z - fold + .25, y - wrinkle + .25
    cloth = (np.minimum(np.maximum(a, b), 0) + np.hypot(np.maximum(a, 0), np.maximum(b, 0)) - .25) * .8

    q, v = np.hypot(x - .72, z - .15), y - 1.22   # bowl: a hollow sphere cut below its middle
    bowl = np.where(-.22 * q < 1.16 * v, np.hypot(q - 1.16, v + .22), np.abs(np.hypot(q, v) - 1.18)) - .045
    bowl = np.minimum(bowl, np.hypot(q - .5, y - .05) - .07)

    q = np.hypot(x + 1.32, z - .6)
    r = turned(y, (0, .5), (.1, .55), (.5, .78), (1.0, .84), (1.5, .62), (1.9, .36), (2.2, .34), (2.5, .46))
    jug = np.maximum(pot(q, 0, 2.45, r), -np.maximum(q - r + .07, 1.9 - y)) - .015
    hx, hy = (x + 2.02) / .85, y - 1.62            # handle: an upright ring on the left
    jug = blend(jug, np.hypot(np.hypot(hx, hy) - .52, z - .6) * .85 - .085, .08)

    q = np.hypot(x - 2.25, z - 1.45)
    r = turned(y, (0, .5), (.08, .54), (1.75, .54), (2.05, .48), (2.4, .19), (3.0, .165), (3.02, .2), (3.2, .2))
    bottle = pot(q, 0, 3.15, r) - .02

    oranges = np.minimum(np.minimum(ball(.22, 1.05, -.22, .46), ball(1.2, 1.03, -.12, .45)),
                         ball(.74, 1.04, .62, .46))
    apples = np.minimum(apple(.70, 1.58, .02, .45), apple(-.52, .40, -.78, .45))
    lx, ly, lz = x + 1.42, y - .31, z + .72        # lemon: an ellipsoid with two tips
    along, across = .88 * lx - .47 * lz, .47 * lx + .88 * lz
    lemon = blend((np.sqrt((along / 1.35) ** 2 + ly ** 2 + across ** 2) - .31) * .8,
                  np.sqrt((np.abs(along) - .42) ** 2 + ly ** 2 + across ** 2) - .06, .14)
    pear = blend(ball(-.02, .4, -1.04, .40), ball(.13, .93, -1.0, .2), .38)
    grapes = np.full_like(x, 9)
    hull = ball(1.95, .2, -.75, .75)               # the bunch is only worked out close by
    near = hull < .3
    if near.any():
        d = np.full(near.sum(), 9, np.float32)
        for cx, cy, cz in GRAPES:
            d = np.minimum(d, np.sqrt((x[near] - cx) ** 2 + (y[near] - cy) ** 2 + (z[near] - cz) ** 2) - .165)
        grapes[near] = d
    grapes = np.where(near, grapes, np.maximum(hull, .2))

    def stem(cx, y0, cz, lean):
        t = np.clip((y - y0) / .26, 0, 1)
        return np.sqrt((x - cx - lean * t * t) ** 2 + (y - y0 - .26 * t) ** 2 + (z - cz) ** 2) - .022 - .008 * t
    stems = np.minimum(np.minimum(stem(.7, 1.74, .02, .1), stem(-.52, .56, -.78, -.1)),
                       stem(.16, 1.08, -1.0, .12))
    return np.stack([cloth, bowl, jug, bottle, oranges, apples, lemon, pear, grapes, stems])


def pile(seed=3):
    """Centres of a bunch of grapes: random drops kept only where they touch no other."""
    rng, kept = np.random.default_rng(seed), []
    for layer, (count, spread) in enumerate(((19, .58), (9, .36), (3, .16))):
        tries = np.stack([1.95 + rng.uniform(-spread, spread, 900), np.full(900, .17 + .24 * layer),
                          -.75 + rng.uniform(-.72, .72, 900) * spread], -1)
        for c in tries:
            if count and all(((c - k) ** 2).sum() > .285 ** 2 for k in kept):
                kept.append(c)
                count -= 1
    return np.float32(kept)


GRAPES = pile()


def c2(path):
    w, h, f = 576 * SS, 480 * SS, 665 * SS
    eye, target = np.float32([.35, 2.75, -7.4]), np.float32([.35, 1.06, 0])
    ahead = unit(target - eye)
    right = unit(np.cross([0, 1, 0], ahead)).astype(np.float32)
    above = np.cross(ahead, right).astype(np.float32)
    sun = unit(np.float32([-.72, .62, -.50]))
    side = unit(np.cross([0, 1, 0], sun))
    lift = np.cross(sun, side)
    x, y = grid(w, h)
    rays = unit((x - w / 2)[..., None] * right - (y - h / 2)[..., None] * above + f * ahead).reshape(-1,
                                                                                                     3).astype(np.float32)
    out = np.zeros((h * w, 3), np.float32)

    def nearest(p):
        return still_life(p).min(0)

    def render(ray):
        n = len(ray)
        t, live = np.full(n, 4.2, np.float32), np.arange(n)
        for _ in range(70):
            d = nearest(eye + t[live, None] * ray[live])
            t[live] += d
            live = live[(d > .0015) & (t[live] < 14)]
            if not len(live):
                break
        # The wall behind: a plane, mottled, in a pool of light that fades to the right.
        wall_t = (4.2 - eye[2]) / ray[:, 2]
        is_wall = t > wall_t
        t = np.minimum(t, wall_t)
        p = eye + t[:, None] * ray
        px, py, pz = p.T
        pool = np.exp(-((px + 1.2) / 3.4) ** 2 - ((py - 2.6) / 2.6) ** 2)
        mottle = fbm(px, py, 2.4, 5, .6, seed=71)
        wall = ramp(np.clip(pool + .07 * mottle, 0, 1), (0, '1d1712'), (.45, '5a4a38'), (1, 'a08a68'))
        col = wall * (1 + .06 * fbm(px * 3, py, .25, 3, .7, seed=72))[:, None]
        k = np.flatnonzero(~is_wall)
        if len(k):
            col[k] = surface(p[k], ray[k])
        return col

    def surface(p, ray):
        parts = still_life(p)
        kind = parts.argmin(0)
        e = np.float32(.003)
        n = unit(sum(s[None] * nearest(p + e * s)[:, None] for s in
                     np.float32([[1, -1, -1], [-1, -1, 1], [-1, 1, -1], [1, 1, 1]])))
        # Soft shadow: walk to the light; the nearest miss, seen as an angle, is the penumbra.
        lit, s = np.ones(len(p), np.float32), np.full(len(p), .04, np.float32)
        start = p + n * .012
        for _ in range(24):
            d = nearest(start + s[:, None] * sun)
            lit = np.minimum(lit, .5 + .5 * d * 5.5 / s)
            s = s + np.clip(d, .03, .35)
        lit = smooth(0, 1, np.clip(lit, 0, 1))
        hidden = sum((r - nearest(p + r * n)) / 2 ** i for i, r in enumerate((.08, .2, .4, .7)))
        open_ = np.clip(1 - .95 * hidden, .08, 1)

        px, py, pz = p.T
        a = fbm(px + .4 * pz, py + .7 * pz, .7, 5, .6, seed=73)
        b = fbm(px * 1.3 - pz, py + .3 * pz, .12, 2, .6, seed=74)
        albedo, gloss, rough = np.zeros_like(p), np.zeros(len(p), np.float32), np.zeros(len(p), np.float32)

        def give(i, colour, shine, bump=0.):
            m = kind == i
            albedo[m], gloss[m], rough[m] = colour[m] if np.ndim(colour) == 2 else colour, shine, bump

        drop = np.where(pz < -1.3, np.abs(py + .62), 9)                # from the middle of the woven border
        stripe = smooth(.10, .09, drop) + smooth(.025, .015, np.abs(drop - .17))
        weave = .5 + .5 * np.sin(px * 110) * np.sin((pz - py) * 110)
        linen = mix(ramp(.5 + .2 * a, (0, 'cdbfa6'), (1, 'efe6d4')), rgb('49638c'), .8 * stripe) * (.93
                                                                                                    + .1 * weave)[:, None]
        give(0, linen, .0, .16)
        ring = np.hypot(px - .72, pz - .15)
        turn = np.arctan2(pz - .15, px - .72)
        motif = smooth(.35, .5, np.sin(turn * 14) * .5 + .5 - np.abs(py - .62) * 3.4) + smooth(.035, .02,
                                                                                               np.abs(py
                                                                                                      - .86)) + smooth(.02, .012, np.abs(py - .36))
        give(1, mix(ramp(.5 + .1 * a, (0, 'd9dcdc'), (1, 'f1efe8')), rgb('1f3f86'),
                    np.clip(motif, 0, 1) * .9 * (ring > .3)), .55)
        drip = smooth(-.06, .06, py - 1.42 - .10 * np.sin(np.arctan2(pz - .6, px + 1.32) * 5) - .05 * a)
        clay = ramp(.5 + .22 * a + .1 * b, (0, '6e3d22'), (.5, 'a4623a'), (1, 'c98a5a'))
        glaze = ramp(.5 + .22 * a, (0, '14413f'), (.5, '23685c'), (1, '6fa58a'))
        give(2, mix(clay, glaze, drip), .45)
        label = (np.abs(py - 1.05) < .42) & (pz < 1.45)
        # light gathered by the far side of the glass
        inner = smooth(.0, .9, n[:, 0]) * .5
        glass = ramp(inner, (0, '08120c'), (.5, '1f3f1e'), (1, '557f35'))
        paper = ramp(.5 + .15 * a, (0, 'c9b88e'), (1, 'eadfc0')) * (1 - .75 * ((np.abs(py - 1.2) < .05)
                                                                               | (np.abs(py
                                                                                         - 1.0) < .015) | (np.abs(py - .92) < .015) | (np.abs(np.abs(py - 1.05) - .37) < .012)))[:, None]
        give(3, mix(glass, paper, label), .8)
        gloss[(kind == 3) & label] = .05
        wax = (kind == 3) & (py > 2.72)
        albedo[wax], gloss[wax] = rgb('7c1a1c'), .3
        give(4, ramp(.5 + .2 * a + .06 * b, (0, 'd8640e'), (.5, 'ee8a18'), (1, 'f8ab36')), .22, .3)
        ax, ay = np.where(py > 1, px - .7, px + .52), np.where(py > 1, pz - .02, pz + .78)
        streak = fbm(np.arctan2(ay, ax) * 1.4, py * .25, .22, 3, .7, seed=75)
        blush = np.clip(.5 + .30 * a + .22 * streak - .25 * n[:, 1] + .2 * (py > 1), 0, 1)
        give(5, ramp(blush, (0, 'd8c04a'), (.35, 'd98a35'), (.6, 'b62a22'), (1, '7e1218')), .4)
        give(6, ramp(.5 + .15 * a, (0, 'd9a910'), (1, 'f6d840')), .28, .35)
        speck = smooth(1.1, 1.6, b)
        give(7, mix(ramp(.5 + .2 * a + .15 * n[:, 0], (0, '8f9a35'), (.6, 'c0b748'), (1, 'd59a4a')),
                    rgb('6c5a24'), .5 * speck), .22)
        give(8, ramp(.5 + .25 * a, (0, '2a1026'), (.5, '52203e'), (1, '7a4460')), .35)
        give(9, rgb('4a2f1a') + 0 * p, .05)

        # Bumps (peel, cloth) tilt the normal; the window is seen again in everything glossy.
        n = unit(n + (rough * .30)[:, None] * np.stack([b, fbm(px + 9, py + pz, .11, 2, .6, seed=76), -b], -1))
        mirror = ray - 2 * dot(ray, n)[:, None] * n
        facing = np.maximum(dot(mirror, sun), 1e-3)
        wu, wv = dot(mirror, side) / facing, dot(mirror, lift) / facing
        pane = smooth(.34, .26, np.abs(wu)) * smooth(.46, .38, np.abs(wv)) * smooth(.015, .05,
                                                                                    np.abs(wu)) * smooth(.015, .05, np.abs(wv + .06)) * (facing > .3)
        sheen = np.exp(-(wu ** 2 + wv ** 2) / .5) * (facing > .05)
        fresnel = .04 + .96 * (1 - np.clip(-dot(ray, n), 0, 1)) ** 5
        room = ramp(mirror[:, 1], (-.6, 'b5a58a'), (-.05, '6a5a46'), (.1, '2a2119'), (1, '4a4438'))
        front = dot(n, sun)
        soft = np.clip(.92 * front + .08, 0, 1)
        # light inside the fruit
        juice = np.where((kind >= 4) & (kind <= 8), .10, 0) * smooth(-.6, .4, front)
        light = (soft * lit)[:, None] * rgb('ffe3b8') * 2.15 + juice[:, None] * rgb('ff9a50')
        fill = open_[:, None] * (rgb('7f93b8') * .30 * (.6 + .4 * n[:, 1:2])
                                 + rgb('c08a5a') * .10 * (1 - n[:, 1:2]))
        shine = (pane * 1.7 + sheen * .10) * np.clip(lit + .1, 0, 1)
        col = albedo * (light + fill)
        return col + (gloss * shine)[:, None] * rgb('fff4df') + (np.minimum(gloss * 2,
                                                                            1) * fresnel * open_)[:,
                                                                                                  None] * room

    for i in range(0, h * w, 24000):               # chunks that stay in the cache
        out[i:i + 24000] = render(rays[i:i + 24000])
    img = out.reshape(h, w, 3)
    vignette = 1 - .35 * ((x / w - .47) ** 2 + (y / h - .5) ** 2)
    save(img * vignette[..., None], path, .005)


# ---------------------------------------------------------------- c3: mountain lake

def conifer(lines, rng, x, foot, tall, light=1., haze=0.):
    """Append the strokes of one spruce: trunk, then whorls of drooping, needled boughs."""
    mist, bark = rgb('8fa3b5'), rgb('3a2a20') * light
    lines.append(([(x, foot), (x + rng.normal(0, .01) * tall, foot - tall * .97)], mix(bark, mist, haze),
                  max(1, tall * .022)))
    levels = int(np.clip(tall / 9, 9, 70))
    for i in range(levels):
        t = (i + rng.uniform(0, .8)) / levels      # 0 at the tip, 1 at the lowest bough
        y0 = foot - tall * (1 - .93 * t)
        reach = tall * (.012 + .21 * t ** .8) * rng.uniform(.6, 1.15)
        boughs = [-1, 1, -.75, .75, -.45, .5, -.15, .2]
        drift = rng.normal(0, .012) * tall         # no whorl is level
        for side in boughs if tall > 120 else boughs[:4]:
            if rng.random() < .13:
                continue                           # gaps let the light through
            span = side * reach * rng.uniform(.65, 1.08)
            droop = abs(span) * rng.uniform(.32, .55) + reach * .30 * (1 - abs(side))
            tone = .35 + .9 * max(0, -side) + .3 * (abs(side) < .3) + rng.uniform(-.2, .3)
            green = mix(rgb('13251d'), rgb('7d8a48'), np.clip(tone - .45, 0, 1) * .8) * (.45
                                                                                         + .6 * tone) * light
            root = y0 + drift * side
            tip = (x + span, root + droop * .85)
            mid = (x + span * .55, root + droop * .62)
            lines.append(([(x, root), mid, tip], mix(green * .7, mist, haze), max(1, tall * .006)))
            for s in np.linspace(.2, 1, int(np.clip(abs(span) / 4.5, 2, 13))):
                bx, by = x + span * s, root + droop * (1.13 * s - .28 * s * s)
                n = reach * rng.uniform(.10, .2) * (1.25 - .6 * s)
                k = np.sign(side) * n
                c = mix(green * rng.uniform(.6, 1.45), mist, haze)
                lines.append(([(bx, by), (bx + k * .7, by + n * rng.uniform(.5, 1.1))], c,
                              max(1, tall * .0035)))
                lines.append(([(bx, by), (bx + k * .9, by - n * rng.uniform(-.1, .45))], c * 1.15, 1))


def c3(path):
    w, h = 608 * SS, 456 * SS
    f, horizon, eye = 535 * SS, 248 * SS, 3.
    rng = np.random.default_rng(5)
    sun = unit(np.float32([-.80, .48, -.22]))
    stones = [(rng.uniform(-5, 3), rng.uniform(5.6, 14), rng.uniform(.12, .42)) for _ in range(60)]
    stones += [(-2.2, 8.6, .75), (.9, 7.4, .5), (2.9, 9.4, .62), (1.9, 7.0, .3)]

    def mountains(x, z):
        def bump(cx, cz, sx, sz, top):             # a pointed hill
            return top * np.exp(-1.5 * (np.sqrt(((x - cx) / sx) ** 2 + ((z - cz) / sz) ** 2 + .02) - .14))

        mass = np.maximum.reduce([bump(350, 5200, 1500, 1700, 2350), bump(-1650, 5000, 1200, 1400, 1900),
                                  bump(2300, 5200, 1200, 1300, 1800),
                                  bump(-700, 5600, 900, 1200, 1650), bump(1350, 5500, 900, 1200, 1700)])
        mass = np.maximum(mass, smooth(6200, 8200, z) * 1700)
        rock = ridges(x + 130 * fbm(x, z, 900, 2, seed=81), z, 1900, 5, .38, seed=82) + .012 * fbm(x, z, 260,
                                                                                                   4, .6, seed=80)
        sides = (700 * np.exp(-((x + 1750) / 850) ** 2 - ((z - 2300) / 1000) ** 2)
                 + 600 * np.exp(-((x - 1800) / 800) ** 2 - ((z - 2500) / 1000) ** 2) + 60 * smooth(1000,
                                                                                                   1900, z))
        y = mass * (.64 + .50 * rock) + sides * (.8 + .35 * fbm(x, z, 600, 5, .5, seed=83))
        shore = smooth(-60, 260, z - 1150 - .28 * np.abs(x) + 110 * fbm(x, z, 420, 3, seed=84))
        return y * shore - 6 * (1 - shore) + 4 * shore

    def bank(x, z):
        y = 1.5 * smooth(-.2, -4.2, x + .45 * (z - 7) + .5 * fbm(x, z, 3, 3, seed=85)) - .42 + .07 * fbm(x,
                                                                                                         z, .9, 4, .6, seed=86)
        y = y + 1.1 * smooth(2.2, 5.5, x - .25 * (z - 9) + .4 * fbm(x, z, 3, 2, seed=88))
        for cx, cz, r in stones:
            d = ((x - cx) ** 2 + (z - cz) ** 2) / r ** 2 + .16 * fbm(x + cx, z, .5, 2, seed=87)
            y = np.maximum(y, np.where(d < 1, r * .75 * np.sqrt(np.clip(1 - d, 0, 1)) - .06, -1))
        return y - 1.6 * smooth(11, 17, z)

    def land(x, z):
        y = np.full(np.broadcast_shapes(x.shape, z.shape), -6, np.float32)
        near, far = z.ravel() < 18, z.ravel() > 500
        y[near], y[far] = bank(x[near], z[near]), mountains(x[far], z[far])
        return y

    x, y = grid(w, h)
    dx, up = (x - w / 2) / f + 0 * y, (horizon - y) / f + 0 * x
    e = np.maximum(up, 0)
    img = ramp(e, (0, 'f2e3cf'), (.08, 'd8e0e4'), (.22, '9dbfdd'), (.5, '3f78b4'))
    d = fbm(dx * 1.2 + .2 * up, up * 2.6, .55, 6, .55, seed=91)
    lit = fbm((dx - .02) * 1.2 + .2 * (up + .015), (up + .015) * 2.6, .55, 6, .55, seed=91)
    puff = smooth(.1, 1.5, d + 1.2 * np.exp(-((up - .22) / .12) ** 2) - .75)
    img = mix(img, ramp(.6 + .5 * (d - lit), (0, '98a6ba'), (.5, 'dfe0e2'), (1, 'fffaf0')), .9 * puff)

    depth = view_heights(land, w, h, f, horizon, eye, np.r_[np.geomspace(4, 18, 450),
                                                            np.geomspace(500, 11000, 1300)])
    hit = np.isfinite(depth)
    z = depth[hit]
    wx, px_size = dx[hit] * z, z / f
    wy, here = eye + up[hit] * z, land(wx, z)
    far = z > 500
    eps = np.maximum(px_size * 1.5, .02)
    n = unit(np.stack([here - land(wx + eps, z), eps, here - land(wx, z + eps)], -1))

    # Mountains: snow where it can lie, forest below the tree line, bare rock between.
    grain = fbm(wx, z + wy, 260, 6, .62, seed=92)
    fine = fbm(wx + z * .5, wy * 2.2, 70, 4, .7, seed=93)
    rock = ramp(.5 + .2 * fine + .1 * grain, (0, '4b4a50'), (.5, '7c7672'), (1, 'aa9f92'))
    snow = smooth(420, 700, wy + 150 * grain) * smooth(.34, .50, n[:, 1] + .06 * fine + .00016 * (wy - 900))
    col = mix(rock, rgb('f3f5f8'), snow)
    meadow = ramp(.5 + .25 * grain, (0, '4a5a28'), (1, '8a8a48'))
    col = mix(col, meadow, smooth(620, 430, wy + 120 * grain) * smooth(.5, .7, n[:, 1]))
    woods = ramp(.5 + .3 * fbm(wx, z, 24, 2, .8, seed=94), (0, '0d1a12'), (.6, '253820'), (1, '67763a'))
    forest = smooth(390, 270, wy + 130 * grain)
    col = mix(col, woods, forest)
    cell = 24.
    gx, gz = np.arange(-4200, 4200, cell, dtype=np.float32)[None], np.arange(900, 8600, cell,
                                                                             dtype=np.float32)[:, None]
    shade = sample(shadow_heights(mountains(gx, gz), cell, sun, 3600), (wx + 4200) / cell, (z - 900) / cell)
    nb = unit(n + (.16 * np.stack([fine, 0 * z, -fine], -1)) * (1 - .7 * snow)[:, None])
    light = np.clip(dot(nb, sun), 0, 1) * np.where(far, smooth(30, -30, shade - wy), 1)

    # The near bank: gravel, moss and grass, dark where the water wets it.
    pebble = ridges(wx, z, .34, 3, .6, seed=95)
    b = fbm(wx + .3 * wy, z + wy, .9, 5, .65, seed=96)
    stone = ramp(.5 + .22 * b, (0, '3c3a38'), (.5, '77706a'), (1, 'a9a297')) * (.55 + .6 * pebble)[:, None]
    moss = smooth(.1, .8, b + 1.6 * (wy - .15)) * smooth(.55, .8, n[:, 1])
    near_col = mix(stone, ramp(.5 + .25 * b, (0, '2c3a16'), (1, '7f8038')), moss)
    near_col = near_col * (.38 + .62 * smooth(-.02, .14, wy))[:, None]
    col = np.where(far[:, None], col, near_col)
    warm, cool = rgb('ffdcae') * 2.1, rgb('8fb2e0') * .52
    col = col * (light[:, None] * warm + (.55 + .45 * n[:, 1:2]) * cool)
    air = 1 - np.exp(-z / 7500) * (1 - .35 * np.exp(-np.maximum(wy, 0) / 160) * smooth(900, 2400, z))
    img[hit] = mix(col, rgb('b4c8dc') * .92, np.clip(np.where(far, air, 0), 0, .8))

    # Single spruces on the far slopes give the forest its saw-tooth texture.
    ys, xs = np.nonzero(hit & (depth > 900) & (depth < 3300) & (up > -.004))
    wooded = np.zeros((h, w), np.float32)
    wooded[hit] = forest
    zs = depth[ys, xs]
    keep = rng.choice(len(ys), 5200, p=(p := wooded[ys, xs] ** 2 * zs) / p.sum())
    lines = []
    for i in keep[np.argsort(-zs[keep])]:
        tall = rng.uniform(16, 30) * f / zs[i]
        tone = mix(img[ys[i], xs[i]] * rng.uniform(.35, 1.2), rgb('0f1d14'), .25)
        a, b0 = xs[i], ys[i]
        lines.append(([(a, b0), (a, b0 - tall)], tone, 1))
        lines.append(([(a - tall * .16, b0), (a, b0 - tall * .75), (a + tall * .16, b0)], tone,
                      max(1, tall / 9)))
    img = strokes(img, lines)

    # The lake mirrors the picture above the shore, shaken by ripples that grow nearer.
    shore = horizon + f * eye / 1150
    lake = (y > shore) & (f * eye / np.maximum(y - horizon, 1e-3) < depth)
    ly, lx = np.nonzero(lake)
    zw = f * eye / (ly + .5 - horizon)
    xw = dx[ly, lx] * zw
    calm = smooth(-.3, .9, fbm(xw * .35, zw, 90, 3, seed=97))          # patches touched by wind
    swell = fbm(xw * .45, zw, 2.6, 3, .6, seed=98) * smooth(400, 60, zw) + .8 * fbm(xw * .3, zw, 14, 2, seed=99)
    shake = swell * (1.2 + 5.5 * smooth(300, 8, zw)) * SS * (.35 + .65 * calm)
    flip = np.clip(2 * shore - ly + shake * 1.6, 0, h - 1)
    side = lx + .5 * shake
    mirror = np.stack([sample(np.ascontiguousarray(img[..., i]), side, flip) for i in range(3)], -1)
    below = np.clip((ly - shore) / (h - shore), 0, 1)
    deep = ramp(below, (0, '3d5a60'), (1, '0d2a2c'))
    shallow = np.exp(-4 * np.maximum(-land(dx[ly, lx] * np.minimum(depth[ly, lx], 9e3),
                                           np.minimum(depth[ly, lx], 9e3)), 0))
    deep = mix(deep, img[ly, lx], shallow * (zw < 18))             # the bed shows near the bank
    img[ly, lx] = mix(mirror * rgb('e6eef0'), deep, .10 + .42 * below ** 1.2) + (.035 * np.clip(swell, 0,
                                                                                                3) * calm)[:,
                                                                                                           None] * rgb('dfeaf5')
    mist = np.exp(-((y - shore) / (7 * SS)) ** 2) * (.5 + .3 * fbm(x, y * 3, 120 * SS, 3, seed=100))
    img = mix(img, rgb('dfe6ea'), np.clip(.55 * mist, 0, .6))

    # Foreground: grasses on the bank and a few tall spruces framing the view.
    lines = []
    for tx, foot, tall in ((116, 356, 190), (604, 366, 170), (566, 372, 250), (20, 420, 385), (78, 424, 330),
                           (630, 420, 330)):
        conifer(lines, rng, tx * SS, foot * SS, tall * SS, .62)
    ys, xs = np.nonzero(hit & (depth < 18))
    tufts = np.zeros((h, w), np.float32)
    tufts[hit] = np.where(far, 0, moss)
    p = tufts[ys, xs] ** 2 + 1e-6
    for i in sorted(rng.choice(len(ys), 9000, p=p / p.sum()), key=lambda i: ys[i]):
        size = f / depth[ys[i], xs[i]] * rng.uniform(.04, .22)
        lean = rng.normal(0, .35) * size
        tone = mix(img[ys[i], xs[i]], rgb('7c8440'), .25) * rng.uniform(.35, 1.45)
        lines.append(([(xs[i], ys[i]), (xs[i] + .3 * lean, ys[i] - .6 * size), (xs[i] + lean, ys[i] - size)],
                      tone, 1))
    save(strokes(img, lines), path)


# ---------------------------------------------------------------- c4: street

def c4(path):
    w, h, f = 600 * SS, 480 * SS, 470 * SS
    vx, horizon, eye = 312 * SS, 278 * SS, 1.7    # vanishing point, eye height in metres
    rng = np.random.default_rng(8)
    sun = unit(np.float32([.50, .45, .74]))       # low, beyond the right-hand roofs
    plaster = ['d9b48a', 'c98a62', 'e3d2b0', 'b8735a', 'a9b09a', 'd8c49a', '9fa6ae', 'cf9f78', 'e0c9b4']
    shutters = ['3f5a4a', '5a3a2c', '38506a', '6a2f2a', '4a4f3a']

    houses = []
    for side in (-1, 1):
        z = -1.5
        while z < 84:
            width = rng.uniform(5.2, 8.2)
            houses.append(dict(
                side=side, z0=z, z1=z + width, wall=4.3 + rng.uniform(-.12,
                                                                      .25), floors=int(rng.choice([2, 3, 3,
                                                                                                   4])),
                pitch=rng.uniform(.9, 1.3), paint=rgb(plaster[rng.integers(9)]), shutter=rgb(shutters[rng.integers(5)]),
                cols=int(width / 1.9), shop=rng.random() < .55, brick=rng.random() < .25, door=rng.integers(3),
                lit=rng.random((6, 6)) < .34, seed=int(rng.integers(1000)),
                awning=(rgb('a8322a'), rgb('2f5f58'), rgb('c08a2e'))[rng.integers(3)]))
            z += width
    for b in houses:
        b['top'] = 3.3 + 2.75 * (b['floors'] - 1) + .5
    x, y = grid(w, h)

    def sky(dx, up):
        e = np.clip(up, 0, 1)
        base = ramp(e, (0, 'ffd08a'), (.10, 'fbb87e'), (.25, 'd9a0a0'), (.45, '8f93bd'), (.8, '4a5f98'))
        glow = np.exp(-((dx - .10) / .35) ** 2 - (e / .22) ** 2)
        d = fbm(dx * 1.1 / (.25 + e), 1 / (.25 + e), .9, 5, .55, seed=111)
        lit = fbm(dx * 1.1 / (.25 + e), 1 / (.25 + e) + .1, .9, 5, .55, seed=111)
        base = mix(base, rgb('fff0c0') * 1.7, .8 * glow)
        tone = ramp(.5 + .5 * (d - lit), (0, '7a6a8c'), (.5, 'e09a88'), (1, 'ffd9a0'))
        return mix(base, tone, .75 * smooth(.1, 1.3, d) * smooth(.02, .14, e))

    def haze(t):
        return np.clip(1 - np.exp(-np.maximum(t - 8, 0) / 150), 0, .45)

    def shadow_line(z):
        """Height on the left walls above which the low sun clears the right-hand roofs."""
        zc = z + 8.6 * sun[2] / sun[0]
        roof = np.full_like(z, 6.5)
        for b in houses:
            if b['side'] > 0:
                roof = np.where((zc >= b['z0']) & (zc < b['z1']), b['top'] + 2.4 * b['pitch'], roof)
        return roof - 9.4 * sun[1] / sun[0]

    def facade(b, z, y):
        """Albedo, inner light and relief of a house front at (z along the street, y up)."""
        n = fbm(z, y, 1.6, 5, .6, seed=b['seed'])
        stain = fbm(z * 2.2, y * .35, 1.5, 4, .6, seed=b['seed'] + 1)
        base = b['paint'] * (1 + .14 * n - .13 * np.clip(stain, 0, 2))[:, None]
        if b['brick']:
            row = np.floor(y / .12)
            joint = np.minimum(np.mod(y / .12, 1), .6 * np.mod(z / .34 + .5 * np.mod(row, 2), 1) * 2)
            tone = fbm(np.floor(z / .34 + .5 * np.mod(row, 2)), row, 2, 1, seed=b['seed'])
            base = mix(rgb('b9a890') + 0 * base, rgb('9a4f3a') * (1 + .2 * tone + .1 * n)[:, None],
                       smooth(.05, .2, joint))
        worn = smooth(.9, .1, y + .35 * n)
        base = base * (1 - .5 * worn)[:, None]
        glow, width = np.zeros_like(base), b['z1'] - b['z0']
        pitch = width / b['cols']
        col = np.clip(np.floor((z - b['z0']) / pitch), 0, 5).astype(int)
        u = (z - b['z0']) - (col + .5) * pitch                       # metres from the window axis
        floor = np.clip(np.floor((y - 3.3) / 2.75) + 1, 0, 5).astype(int)
        ground = floor == 0
        v = np.where(ground, y - 1.65, y - 3.3 - 2.75 * (floor - 1) - 1.35)
        half_w = np.where(ground & b['shop'], .40 * pitch, .46)
        half_h = np.where(ground, .85 if not b['shop'] else 1.0, .78)
        door = ground & (col == b['door'] % b['cols'])
        v, half_w, half_h = np.where(door, y - 1.15, v), np.where(door, .55, half_w), np.where(door, 1.15,
                                                                                               half_h)
        inside = (np.abs(u) < half_w) & (np.abs(v) < half_h) & (y < b['top'] - .5)
        frame = (np.abs(u) < half_w + .13) & (v < half_h + .16) & (v > -half_h - .10) & (y < b['top'] - .45)
        trim = mix(b['paint'], rgb('efe4d0'), .7)
        base = np.where(frame[:, None], trim * (1 + .08 * n)[:, None], base)
        shut = ~ground & (np.abs(u) > half_w + .02) & (np.abs(u) < half_w + .40) & (np.abs(v) < half_h + .03)
        slats = .72 + .28 * np.cos(v * 52)
        base = np.where(shut[:, None], b['shutter'] * slats[:, None], base)
        bars = (np.abs(u) < .035) | (np.abs(np.mod(v + .26, .52) - .26) < .025) | (half_w
                                                                                   - np.abs(u) < .06) | (half_h - np.abs(v) < .06)
        on = b['lit'][floor, col] | (ground & b['shop'])
        pane = ramp(.5 + v * .45 + .2 * n, (0, '141b2a'), (.6, '33435c'), (1, '8c8fa8'))
        things = smooth(.0, 1., fbm(z, y * .3, .7, 3, .6, seed=b['seed'] + 2) - v * 1.1 - .3)
        warm = mix(rgb('ffc670') * (1.0 + .35 * v)[:, None], rgb('6a2f14') * .6, .85 * things)
        base = np.where(inside[:, None], np.where(on[:, None], rgb('2a2018'), pane), base)
        glow = np.where((inside & on & ~door)[:, None], warm, glow)
        wood = b['shutter'] * (.75 + .2 * np.cos(u * 40) + .1 * n)[:, None]
        panel = np.where(((np.abs(np.abs(u) - .26) < .17) & (np.abs(np.abs(v) - .5) < .4))[:, None],
                         wood * .7, wood)
        base = np.where((inside & door)[:, None], np.where((v > .85)[:, None], rgb('c98a3a') * .9, panel), base)
        base = np.where((inside & bars & ~door)[:, None], trim * .62, base)
        glow = np.where((inside & bars)[:, None], glow * .12, glow)
        # Shade: reveals at the top of openings, sills, string courses, eaves.
        dark = 1 - .55 * (inside * smooth(half_h - .28, half_h, v)) - .4 * ((~frame) & (v < -half_h - .10)
                                                                            & (v > -half_h
                                                                               - .34) & (np.abs(u) < half_w
                                                                                         + .14) & ~ground)
        dark = dark * (1 - .35 * (np.abs(y - 3.28) < .05)) * (1 + .25 * (np.abs(y - 3.38) < .06))
        dark = dark * (1 - .65 * smooth(b['top'] - .85, b['top'] - .1, y))
        dark = dark * (1 - .5 * smooth(.10, .0, np.minimum(z - b['z0'], b['z1'] - z)))
        return base, glow, dark

    def trace(dx, up, eye):
        """Colour and depth seen along rays (dx, up, 1) from (0, eye, 0), ground excluded."""
        colour, depth = sky(dx, up), np.full(dx.shape, 1e9, np.float32)
        for b in houses:
            s, wall, top, pitch = b['side'], b['wall'], b['top'], b['pitch']
            out = np.maximum(dx * s, 1e-6)

            def put(t, ok, shade):
                k = np.flatnonzero(ok & (t > .5) & (t < depth))
                if len(k):
                    depth[k] = t[k]
                    colour[k] = shade(t[k], eye + up[k] * t[k], out[k] * t[k])

            def light(t, yy, normal_x):
                """Evening light: violet sky, a golden street end, sun on the upper left."""
                sky_part = rgb('8490c8') * .42 * (.55 + .45 * smooth(0, 9, yy))[:, None]
                end = rgb('ffb070') * (.16 + .34 * smooth(0, 60, t))[:, None]
                direct = rgb('ffa850') * 2.6 * (smooth(-.25, .25, yy - shadow_line(t)) * normal_x)[:, None]
                return sky_part + end + (direct if s < 0 else 0)

            def front(t, yy, xx):
                base, glow, dark = facade(b, t, yy)
                return base * light(t, yy, .75) * dark[:, None] + glow

            def roof(t, yy, xx):
                rows = np.mod((xx - wall) * 3.6, 1)
                tile = 1 - .45 * smooth(.3, 0,
                                        rows) - .15 * (np.mod(t * 4 + .5 * np.floor((xx - wall) * 3.6),
                                                              1) < .15)
                n = fbm(t, xx, .8, 4, .7, seed=b['seed'] + 5)
                return rgb('8a4a38') * (tile * (1 + .22 * n))[:, None] * light(t, yy + 2, .9) * 1.1

            def gable(t, yy, xx):
                n = fbm(xx, yy, 1.2, 5, .6, seed=b['seed'] + 7)
                return b['paint'] * (.8 + .12 * n)[:, None] * light(t, yy, .1) * .55

            def awning(t, yy, xx):
                stripe = np.mod(t / .7, 1) < .5
                cloth = np.where(stripe[:, None], b['awning'], rgb('eadfca'))
                return cloth * light(t, yy + 1, .3) * (.9 + .5 * smooth(wall, wall - 1.2, xx))[:, None]

            t = wall / out
            yy = eye + up * t
            put(t, (t > b['z0']) & (t < b['z1']) & (yy > 0) & (yy < top), front)
            t = (top - eye - pitch * wall) / np.where(np.abs(up - pitch * out) < 1e-6, 1e-6, up - pitch * out)
            a = out * t - wall
            put(t, (t > b['z0']) & (t < b['z1']) & (a > -.38) & (a < 2.6), roof)
            t = np.full_like(dx, b['z0'])
            a, yy = out * t - wall, eye + up * t
            put(t, (a > 0) & (a < 5.2) & (yy > 0) & (yy < top + pitch * np.minimum(a, 5.2 - a)), gable)
            if b['shop']:
                t = (3.1 - eye - .72 * wall) / np.where(np.abs(up - .72 * out) < 1e-6, 1e-6, up - .72 * out)
                a = out * t - wall
                put(t, (t > b['z0'] + .5) & (t < b['z1'] - .5) & (a > -1.2) & (a < 0), awning)
                t = (wall - 1.2) / out             # its scalloped hem
                drop = 2.24 - eye - up * t
                put(t, (t > b['z0'] + .5) & (t < b['z1'] - .5) & (drop > 0)
                    & (drop < .16 + .08 * np.abs(np.sin(t * 9))), awning)
            c = .5 * (b['z0'] + b['z1'])                              # chimney: the face towards us
            t = np.full_like(dx, c)
            a, yy = out * t - wall, eye + up * t
            put(t, (np.abs(a - 1.9) < .38) & (yy > top + 1) & (yy < top + 2.6 * pitch + .9),
                lambda t, yy, xx: rgb('7a4a3a') * (.7 + .3 * (np.mod(yy * 6, 1) > .2))[:, None] * light(t,
                                                                                                        yy, .2) * .7)

        # The church tower that closes the street.
        t = np.full_like(dx, 96.)
        a, yy = dx * t + 1.2, eye + up * t
        roof_w = 4.4 * np.clip((47 - yy) / 17, 0, 1)
        body = (np.abs(a) < 3.7) & (yy < 30) | (np.abs(a) < 4.1) & (np.abs(yy
                                                                           - 30) < .5) | (yy >= 30) & (np.abs(a) < roof_w) | (np.abs(a) < .13) & (yy < 50) & (yy > 40)
        k = np.flatnonzero(body & (depth > 96))
        aa, yk = a[k], yy[k]
        stone = mix(rgb('4c4254'), rgb('a0685a'), smooth(-1, 4, aa)) * (1 + .12 * fbm(aa, yk, 3, 4, .6,
                                                                                      seed=121))[:, None]
        stone = np.where((yk > 30.4)[:, None], rgb('4d5468') * (1 + .3 * smooth(0, 3, aa))[:, None], stone)
        hole = (np.abs(np.abs(aa) - 1.3) < .6) & (np.abs(yk - 20.6) < 1.9)
        stone = np.where(hole[:, None], rgb('2c2638'), stone)
        dial = np.hypot(aa, yk - 26)
        hands = (np.abs(aa) < .16) & (yk > 26) & (yk < 27.5) | (np.abs(yk - 26) < .16) & (aa > 0) & (aa < 1.1)
        stone = np.where((dial < 1.9)[:, None], np.where((hands | (dial > 1.65))[:, None], rgb('4a3038'),
                                                         rgb('ffe6b0')), stone)
        colour[k], depth[k] = stone, 96
        return mix(colour, rgb('ffbe84') * .9, haze(depth) * (depth < 1e8)), depth

    dx, up = ((x - vx) / f + 0 * y).ravel(), ((horizon - y) / f + 0 * x).ravel()
    img, depth = trace(dx, up, eye)

    # Ground: round-topped cobbles between flagged pavements, wet enough to mirror the glow.
    t = eye / np.maximum(-up, 1e-5)
    k = np.flatnonzero((up < -1e-3) & (t < depth) & (t < 160))
    t = t[k]
    gx, px = dx[k] * t, t / f
    road = np.abs(gx) < 2.75
    size_z, size_x = np.where(road, .21, .8), np.where(road, .25, .62)
    arch = np.where(road, .10 * gx ** 2, 0)                           # rows bend across the crown
    row = np.floor((t + arch) / size_z)
    cellx = gx / size_x + .5 * np.mod(row, 2) + .25 * np.sin(row * 12.9)
    ix = np.floor(cellx)
    fu, fv = cellx - ix - .5, (t + arch) / size_z - row - .5
    random = np.mod(np.sin(ix * 127.1 + row * 311.7) * 43758.5453, 1)
    square = np.maximum(np.abs(fu), np.abs(fv)) * .55 + np.hypot(fu, fv) * .45
    gap = smooth(.40, .52, square) * smooth(.10, .025, px)            # joints fade where they are too fine
    tilt = np.clip(np.where(road, 1., .25) * smooth(.16, .02, px), 0, 1)
    rough = fbm(gx, t, .5, 4, .7, seed=131)
    wet = smooth(-.6, .9, fbm(gx * 1.6, t * .5, 2.2, 3, seed=132))
    albedo = ramp(.25 + .5 * random + .1 * rough, (0, '4c4648'), (.5, '736a66'), (1, 'a09080'))
    albedo = np.where(road[:, None], albedo, albedo * rgb('e8d8c8') * 1.15) * (1 - .8 * gap)[:, None]
    kerb = smooth(.16, .08, np.abs(np.abs(gx) - 2.82))
    albedo = mix(albedo, rgb('a59a8c') * (1 + .15 * rough)[:, None], kerb)
    shade = 1 - .55 * smooth(2.95, 2.6, np.abs(gx)) * smooth(2.45, 2.8, np.abs(gx)) - .5 * smooth(3.5, 4.4,
                                                                                                  np.abs(gx))
    mdx = dx[k] + tilt * (.10 * fu + .02 * rough)
    mup = -up[k] + tilt * (.22 * fv + .04 * rough) + .02
    mirrored, _ = trace(mdx, np.maximum(mup, .003), 0.)
    fresnel = .05 + .95 * (1 - np.clip(-up[k] + .35 * tilt * fv, 0, 1)) ** 5
    light = (rgb('8490c8') * .45 + rgb('ffb070') * .28) * np.clip(1 + .8 * fv * tilt, .2, 2)[:, None]
    ground = albedo * light * shade[:, None] + mirrored * (fresnel * (.30 + .75 * wet) * np.where(road, 1,
                                                                                                  .5) * (1
                                                                                                         - .7 * gap))[:, None]
    img[k] = mix(ground, rgb('ffbe84') * .9, haze(t))
    img = img.reshape(h, w, 3)

    # Street furniture, far to near: lamp posts, then the tree on the left pavement.
    for z in (52, 38, 27, 18, 11, 6.2):
        for s in ((-1, 1) if z > 8 else (1,)):
            img = lamp(img, vx + f * s * 3.25 / z, horizon + f * eye / z, f / z, haze(z))
    img = street_tree(img, rng, vx - f * 3.3 / 8.2, horizon + f * eye / 8.2, f / 8.2)
    bloom = blur(np.clip(img - .75, 0, 2), 9 * SS)
    img = img + .3 * bloom
    save(img * (.72 + .42 * smooth(0, .5, img.mean(-1, keepdims=True))), path, .005)


def lamp(img, cx, foot, m, haze):
    """One lamp post, `m` pixels to the metre, with a lit lantern and its halo."""
    h, w = img.shape[:2]
    x, y = grid(w, h)
    X, Y = (x - cx) / m + 0 * y, (foot - y) / m + 0 * x
    width = np.interp(Y, [0, .1, .5, .6, 2.6, 2.7], [.16, .15, .11, .06, .045, .09])
    post = (np.abs(X) < width) & (Y > 0) & (Y < 2.75) | (np.abs(X) < .30) & (np.abs(Y - 2.45) < .025)
    iron = mix(rgb('16161c') + .10 * smooth(0, .07, X)[..., None] * rgb('ffb070'), rgb('ffc88c'), haze * .8)
    img = mix(img, iron, post)
    body = .13 + .11 * (Y - 2.75) / .55
    lantern = (Y > 2.75) & (Y < 3.3) & (np.abs(X) < body)
    glass = lantern & (np.abs(np.abs(X) - body) > .025) & (np.abs(X) > .015)
    cap = (Y >= 3.3) & (Y < 3.55) & (np.abs(X) < .30 * (3.58 - Y) / .28)
    img = mix(img, iron, lantern | cap)
    img = mix(img, rgb('ffdf9a') * (1.1 + .9 * np.exp(-(X / .12) ** 2 - ((Y - 3) / .2) ** 2))[..., None], glass)
    halo = np.exp(-np.hypot(X, Y - 3.02) / .38) * .55 + np.exp(-np.hypot(X, Y - 3.02) / 1.3) * .14
    return img + halo[..., None] * rgb('ffbe68') * (1 - .5 * haze)


def street_tree(img, rng, cx, foot, m):
    """A small tree: forking branches, then leaves in clumps, dark inside and sunlit outside."""
    lines, tips = [], []

    def grow(x, y, angle, length, width):
        thin = width * .66
        for t in np.linspace(0, 1, 7)[:-1]:        # short pieces: a bough tapers and wanders
            x1, y1 = x + np.cos(angle) * length / 6, y - np.sin(angle) * length / 6
            k = width + (thin - width) * t
            bark = rng.uniform(.75, 1.25)
            lines.append(([(x, y + 2), (x1, y1 - 2)], rgb('33241c') * bark, k))
            lines.append(([(x + k * .28, y + 2), (x1 + k * .28, y1 - 2)], rgb('805638') * .8 * bark,
                          max(1, k * .3)))
            x, y, angle = x1, y1, angle + rng.normal(0, .05)
        if length > .34 * m:
            for turn in rng.uniform(.12, .6, 3) * (1, -1, rng.uniform(-.5, .5)):
                grow(x, y, angle + turn + .10 * (np.pi / 2 - angle), length * rng.uniform(.56, .74),
                     max(1, thin * .9))
        else:
            tips.append((x, y))

    for k in range(8):                             # the flare of the roots
        lines.append(([(cx - (.2 - .01 * k) * m, foot - k * .03 * m), (cx + (.2 - .01 * k) * m, foot
                                                                       - k * .03 * m)],
                      rgb('33241c') * rng.uniform(.7, 1.1), .05 * m))
    grow(cx, foot, np.pi / 2 + .05, 1.75 * m, .27 * m)
    leaves = []
    for tx, ty in tips:
        for _ in range(34):
            a, r = rng.uniform(0, 6.3), .62 * m * rng.uniform(0, 1) ** .6
            leaves.append((tx + np.cos(a) * r, ty + np.sin(a) * r, np.cos(a) * r / m - np.sin(a) * r / m
                           + rng.normal(0, .22)))
    mid_x, mid_y = np.mean([t[0] for t in tips]), np.mean([t[1] for t in tips])
    leaves.sort(key=lambda l: l[2])
    for lx, ly, out in leaves:
        t = np.clip(.35 + .35 * out + .20 * (lx - mid_x) / m - .16 * (ly - mid_y) / m + rng.normal(0, .12),
                    0, 1)
        c = ramp(t, (0, '141c10'), (.4, '36431c'), (.7, '7a7428'), (1, 'f0b84e'))
        a, s = rng.uniform(0, 6.3), rng.uniform(.05, .09) * m
        lines.append(([(lx, ly), (lx + np.cos(a) * s, ly + np.sin(a) * s)], c, max(2, .055 * m)))
    return strokes(img, lines)


# ---------------------------------------------------------------- c5: tiger

# Stripes of the right half: (x, y, half-width) knots in head units, tapering to the ends.
STRIPES = [
    [(.0, -.34, .02), (.10, -.38, .035), (.24, -.47, .0)], [(.0, -.47, .02), (.14, -.53, .045),
                                                            (.34, -.66, .0)],
    [(.0, -.62, .02), (.14, -.68, .05), (.32, -.82, .0)], [(.0, -.78, .02), (.12, -.83, .05), (.26, -.95, .0)],
    [(.03, -.12, .0), (.06, -.22, .018), (.05, -.31, .0)], [(.13, -.24, .0), (.17, -.34, .018),
                                                            (.15, -.42, .0)],
    [(.20, -.30, .0), (.36, -.43, .045), (.58, -.48, .05), (.74, -.42, .0)],
    [(.28, -.58, .0), (.44, -.66, .05), (.60, -.70, .0)], [(.52, -.36, .0), (.70, -.30, .04), (.88, -.34, .0)],
    [(.60, -.10, .03), (.74, -.10, .05), (.94, -.22, .0)], [(.56, .02, .03), (.72, .06, .05),
                                                            (.90, .02, .03), (1.02, -.08, .0)],
    [(.50, .16, .0), (.66, .22, .045), (.86, .24, .05), (1.06, .12, .0)], [(.60, .36, .0), (.74, .42, .05),
                                                                           (.92, .42, .045), (1.1, .32, .0)],
    [(.62, .56, .0), (.74, .62, .05), (.90, .62, .04), (1.04, .54, .0)], [(.52, .78, .0), (.64, .80, .04),
                                                                          (.80, .80, .035), (.94, .74, .0)],
    [(.42, .96, .0), (.54, .97, .03), (.68, .96, .0)], [(.34, .34, .0), (.44, .30, .022), (.50, .22, .0)],
]


def c5(path):
    w, h = 480 * SS, 576 * SS
    unit_px, cx, cy = 172 * SS, 240 * SS, 272 * SS
    rng = np.random.default_rng(21)
    x, y = grid(w, h)
    X, Y = (x - cx) / unit_px + 0 * y, (y - cy) / unit_px + 0 * x
    A = np.abs(X)

    def blob(bx, by, sx, sy):
        return np.exp(-((A - bx) / sx) ** 2 - ((Y - by) / sy) ** 2)

    # Background: out-of-focus leaves.
    leaves = fbm(x, y, 260 * SS, 3, .5, seed=141)
    img = ramp(.45 + .22 * leaves - .18 * Y - .12 * X, (0, '0c130d'), (.4, '22341f'), (.75, '5f7440'),
               (1, 'b9b878'))
    for _ in range(46):
        bx, by, r = rng.uniform(0, w), rng.uniform(0, h * .8), rng.uniform(8, 34) * SS
        disc = smooth(r, r * .82, np.hypot(x - bx, y - by))
        img = img + disc[..., None] * rgb(('9fae5a', 'd8c98a', '5f7f4a')[rng.integers(3)]) * rng.uniform(.02,
                                                                                                         .11)
    img = np.stack([blur(img[..., i], 3 * SS) for i in range(3)], -1)

    # The head as a relief of soft bumps: its slope gives the light, its stripes the pattern.
    relief = (.95 * np.sqrt(np.clip(1.35 - (X / 1.12) ** 2 - ((Y - .02) / 1.16) ** 2, 0, 2))
              + .40 * blob(0, .62, .42, .40) + .13 * blob(.22, .66, .19, .2)
              + .22 * blob(0, .2, .2, .5) + .13 * blob(.38, -.30, .26, .12) - .20 * blob(.41, -.06, .19, .13)
              + .12 * blob(.62, .22, .3, .3) - .17 * blob(.26, .24, .08, .30) + .14 * blob(0, .98, .2,
                                                                                           .12) - .08 * blob(0, .84, .3, .04) - .05 * blob(0, -.5, .08, .5))
    relief = blur(relief, 3 * SS)
    gy, gx = np.gradient(relief * unit_px)
    n = unit(np.stack([-gx, -gy, np.full_like(gx, 1.1)], -1))
    key = np.clip(dot(n, unit(np.float32([-.55, -.62, .62]))), 0, 1)
    rim = np.clip(dot(n, unit(np.float32([.9, -.1, .1]))), 0, 1) ** 2
    form = key[..., None] ** 1.25 * rgb('fff0d8') * 1.6 + rgb('7f96b0') * .17 + rim[...,
                                                                                    None] * rgb('c8d8ff') * .35

    nz = fbm(X, Y, .5, 4, .6, seed=151)
    orange = ramp(.5 + .16 * nz + .35 * (.5 - A) + .1 * Y, (0, 'a85a1e'), (.45, 'd9822e'), (1, 'eda552'))
    white = np.maximum.reduce([1.15 * blob(.40, -.30, .19, .10), 1.25 * blob(.24, .74, .30, .20),
                               1.3 * blob(0, 1.0, .42, .20),
                               1.15 * blob(.78, .56, .26, .30), .95 * blob(.44, .14, .17,
                                                                           .07), 1.2 * blob(.58, .86, .34,
                                                                                            .22)])
    white = smooth(.35, .75, white + .07 * nz)
    pelt = mix(orange, rgb('f6efe2'), white)
    pelt = mix(pelt, rgb('a85c24'), .55 * smooth(.20, .10, A) * smooth(-.2, .1, Y) * smooth(.5, .3, Y))

    ink = np.zeros((h, w), np.float32)
    for knots in STRIPES:
        for s in (-1, 1):
            k = np.array(knots) + np.column_stack([rng.normal(0, .014, (len(knots), 2)), np.zeros(len(knots))])
            t = np.linspace(0, len(k) - 1, 60)
            px, py, pw = (np.interp(t, range(len(k)), k[:, i]) for i in range(3))
            px, py, pw = (np.convolve(np.pad(a, 9, 'edge'), np.ones(19) / 19, 'valid') for a in (px, py, pw))
            r = 1.35 * pw * unit_px * rng.uniform(.85, 1.15)
            pts = list(zip(cx + s * px * unit_px, cy + py * unit_px, np.maximum(r, .8)))
            ink = np.maximum(ink, mask(w, h, lambda d: [d.ellipse((a - q, b - q, a + q, b + q), 255) for a,
                                                        b, q in pts]))
    eye_rim = smooth(1.65, 1.3, np.hypot((A - .405) / .155, (Y + .07 + .22 * (A - .405)) / .105))
    ink = np.maximum(ink, eye_rim)
    # tear line
    ink = np.maximum(ink, smooth(.05, .02, np.abs(A - .27 - .35 * Y)) * smooth(-.02, .06, Y) * smooth(.26,
                                                                                                      .14, Y))
    pelt = mix(pelt, rgb('1a120e'), blur(ink, SS) * .96)

    def hairs(roots_x, roots_y, angle, length, colour, width=1, curl=.35):
        """Stroke list of hairs: a bent line per root, random in tone, thinned towards the tip."""
        tone = np.exp(rng.normal(0, .21, len(roots_x)))
        bend = rng.normal(0, curl, len(roots_x))
        out = []
        for a, b, t, l, c, k, q in zip(roots_x, roots_y, angle, length, colour, tone, bend):
            m = (a + .5 * l * np.cos(t), b + .5 * l * np.sin(t))
            out.append(([(a, b), m, (m[0] + .5 * l * np.cos(t + q), m[1] + .5 * l * np.sin(t + q))], c * k,
                        width))
        return out

    # Neck and shoulders: long fur flowing down, striped, drawn from the bottom up.
    lines = []
    bx, by = rng.uniform(0, w, 15000), rng.uniform(cy + .25 * unit_px, h + 30, 15000)
    U, V = (bx - cx) / unit_px, (by - cy) / unit_px
    inside = np.abs(U) < .70 + .62 * smooth(.35, 1.9, V)
    bx, by, U, V = bx[inside], by[inside], U[inside], V[inside]
    order = np.argsort(-by)
    bx, by, U, V = bx[order], by[order], U[order], V[order]
    bands = np.sin((V * 1.0 - .5 * np.abs(U) + .025 * fbm(U, V, .8, 2, seed=152)) * 15)
    c = mix(ramp(.5 + .3 * fbm(U, V, .6, 3, seed=153), (0, '8a4a1c'), (1, 'd98c3e')), rgb('efe4d2'),
            smooth(.55, .1, np.abs(U)) * .9)
    c = mix(c, rgb('17100c'), smooth(.25, .5, bands) * smooth(.30, .55, np.abs(U)))
    c = c * (.2 + .55 * smooth(.8, -1.2, U) * smooth(.5, 1.6, V + .3 * np.abs(U)))[:, None]
    lines += hairs(bx, by, np.pi / 2 + .35 * U + rng.normal(0, .12, len(bx)),
                   rng.uniform(18, 40, len(bx)) * SS, c, 2)

    # Ears: dark backs with a pale spot of inner hair.
    for s in (-1, 1):
        ex, ey = .70 * s, -.80
        a, r = rng.uniform(0, 6.283, 4200), .31 * np.sqrt(rng.uniform(0, 1, 4200))
        u, v = ex + r * np.cos(a), ey + r * np.sin(a) * 1.02
        order = np.argsort(-r)
        u, v, a, r = u[order], v[order], a[order], r[order]
        c = mix(rgb('2a1a12') + 0 * u[:, None], rgb('c8762c'), smooth(.20, .27, r) * smooth(.1, -.25, v - ey))
        c = c * (.5 + .7 * smooth(.3, -.6, u * .6 + (v - ey)))[:, None]
        lines += hairs(cx + u * unit_px, cy + v * unit_px, a + rng.normal(0, .25, len(a)),
                       rng.uniform(.05, .10, len(a)) * unit_px, c, 2)
        m = 1100                                   # pale hair springs from the inner edge outwards
        u, v = ex - .10 * s + rng.normal(0, .055, m), ey + .12 + rng.normal(0, .08, m)
        c = rgb('e9dcc6') * rng.uniform(.3, .95, m)[:, None]
        lines += hairs(cx + u * unit_px, cy + v * unit_px, -np.pi / 2 + s * rng.uniform(-.15, 1.1, m),
                       rng.uniform(.10, .24, m) * unit_px, c, 1)
    img = strokes(img, lines)

    # The face: hair flows from the nose over the brow and out along the cheeks.  Far from
    # the nose is drawn first, so that every hair covers the roots of the next.
    count = 76000
    u, v = rng.uniform(-1.15, 1.15, count), rng.uniform(-1.1, 1.2, count)
    a = np.abs(u)
    edge = np.hypot(u / (1.0 + .06 * smooth(.1, .5, v) - .10 * smooth(.0, -.8, v)),
                    (v - .06) / np.where(v < .06, 1.03, 1.05))
    edge = np.maximum(edge, np.where(v > .5, (a + .62 * (v - .5)) / 1.0, 0))
    keep = edge < 1 + .02 * rng.standard_normal(count)
    u, v, a = u[keep], v[keep], a[keep]
    fx, fy = u * 1.0, v - .42
    fx = fx + np.sign(u) * .9 * smooth(.45, .9, a)                   # cheeks: outwards
    fy = fy - .5 * smooth(.0, -.5, v) + .75 * smooth(.35, .9, a) * smooth(-.35, .5, v)
    fy = fy + 1.1 * smooth(.2, .05, a) * smooth(.62, .7, v)
    for s in (-1, 1):                              # hair parts around the eyes
        ex, ey = u - .405 * s, v + .07
        near = np.exp(-(ex ** 2 + (1.4 * ey) ** 2) / .05)
        fx, fy = fx + 1.2 * near * ex / .2, fy + 1.2 * near * ey / .2
    angle = np.arctan2(fy, fx) + .28 * fbm(u, v, .35, 2, seed=154) + rng.normal(0, .13, len(u))
    dist = np.hypot(u * .9, v - .45)
    length = (.028 + .10 * smooth(.25, 1.0, dist) + .13 * smooth(.7, 1.05, a) * smooth(-.2, .4,
                                                                                       v)) * rng.uniform(.7,
                                                                                                         1.3, len(u)) * unit_px
    px, py = cx + u * unit_px, cy + v * unit_px
    order = np.argsort(-(dist + rng.normal(0, .03, len(u))))
    u, v, px, py, angle, length = (q[order] for q in (u, v, px, py, angle, length))
    ix, iy = np.clip(px, 0, w - 1).astype(int), np.clip(py, 0, h - 1).astype(int)
    under = mix(img, pelt * form * .55, smooth(1.04, .96, np.hypot(X, (Y - .05) / 1.02)))
    coat = hairs(px, py, angle, length, pelt[iy, ix] * form[iy, ix], 2)
    coat = [(p, c, 1 + (i % 3 > 0)) for i, (p, c, _) in enumerate(coat)]
    img = strokes(under, coat)

    img = tiger_features(img, X, Y, rng)

    # Whiskers and brow hairs.
    lines = []
    for s in (-1, 1):
        for i in range(17):
            wx, wy = s * rng.uniform(.17, .36), rng.uniform(.60, .80)
            t, l = rng.uniform(-.28, .42) + (wy - .7) * 1.5, rng.uniform(.55, 1.0)
            pts = [(cx + (wx + s * l * q * np.cos(t)) * unit_px, cy
                    + (wy + l * q * np.sin(t) + .16 * q * q) * unit_px) for q in np.linspace(0, 1, 12)]
            lines += [(pts[:9], rgb('f7f2e8') * .95, 2), (pts[8:], rgb('f7f2e8') * .7, 1)]
        for i in range(5):
            wx, wy, t = s * rng.uniform(.34, .46), -.28, -np.pi / 2 + s * rng.uniform(.1, .8)
            pts = [(cx + (wx + .4 * q * np.cos(t)) * unit_px, cy
                    + (wy + .4 * q * np.sin(t) + .08 * q * q) * unit_px) for q in np.linspace(0, 1, 8)]
            lines.append((pts, rgb('f7f2e8') * .8, 1))
    img = strokes(img, lines)
    vignette = 1 - .28 * smooth(.6, 1.9, np.hypot(X, Y - .1))
    save(img * vignette[..., None], path, .005)


def tiger_features(img, X, Y, rng):
    """Eyes, nose and whisker spots, painted as small shaded shapes."""
    for s in (-1, 1):
        u, v = s * X - .405, Y + .07 + .22 * (s * X - .405)             # v runs along the slanted eye
        lid = np.where(v < 0, .108, .088) * np.sqrt(np.clip(1 - (u / .172) ** 2, 0, 1)) ** .85
        opening = smooth(.006, -.006, np.abs(v) - lid) * (np.abs(u) < .172)
        r, turn = np.hypot(u, v + .005), np.arctan2(v, u)
        fibres = fbm(turn * 2.2, r * 1.5, .25, 4, .7, seed=161)
        iris = ramp(r / .118 + .06 * fibres, (.28, '6f7a1e'), (.48, 'c9b23e'), (.75, 'cf9424'),
                    (.92, '70400f'), (1, '120a06'))
        iris = iris * (1.05 + .18 * fibres + .8 * smooth(-.03, .10, v) - .75 * smooth(-.01, -.10, v))[..., None]
        ball = mix(iris, rgb('0a0605'), smooth(.113, .128, r))
        ball = mix(ball, rgb('040303'), smooth(.047, .041, r))
        rim = .135 * np.clip(1 - (u / .225) ** 2, 0, 1) ** .7
        img = mix(img, rgb('0d0806'), smooth(.015, -.015, np.abs(v) - rim) * (np.abs(u) < .225))
        ball = ball * (1 - .6 * smooth(-.045, -.10, v))[..., None]         # the upper lid's shadow
        img = mix(img, ball, opening)
        glint = smooth(.030, .020, np.hypot(X - s * .405 + .035, (Y + .108) * 1.15)) + .35 * smooth(.024,
                                                                                                    .01, np.hypot(X - s * .405 - .045, Y + .03))
        img = mix(img, rgb('fbfdff') * 1.1, np.clip(glint, 0, 1) * opening)

    A = np.abs(X)
    bottom = .60
    grain = fbm(X, Y, .05, 3, .7, seed=162)
    half = .24 * np.clip(1 - ((Y - .455) / .165) ** 2, 0, 1) ** .5
    nose = smooth(.008, -.008, A - half) * smooth(.33, .375, Y - .08 * A + .012 * grain) * (Y < bottom + .02)
    pink = ramp(.6 - 2.4 * (Y - .46) + .12 * grain - .5 * X, (0, '5a2a26'), (.5, 'b06a5e'), (1, 'dfa395'))
    img = mix(img, pink, nose)
    nostril = smooth(1.1, .75, np.hypot((A - .13) / .08, (Y - .535 + .3 * (A - .115)) / .035))
    img = mix(img, rgb('160a0a'), nostril)
    img = mix(img, img * .3, smooth(.014, .0, A) * smooth(.47, .55, Y) * (Y < .60) * .8)
    img = mix(img, rgb('ffe8e0'), .5 * np.exp(-((X + .07) / .06) ** 2 - ((Y - .40) / .018) ** 2) * nose)
    line = smooth(.014, .003, A) * (Y > .59) * (Y < .74)
    smile = smooth(.020, .008, np.abs(Y - .735 - .075 * np.clip(A / .3, 0, 2) ** 1.2
                                      + .012 * np.sin(A * 20))) * smooth(.35, .20, A)
    img = mix(img, rgb('1a0f0c'), np.clip(line + smile, 0, 1) * .92)
    for s in (-1, 1):
        for row in range(4):
            for i in range(5):
                sx, sy = s * (.15 + .055 * i + rng.normal(0, .006)), .625 + .038 * row + .012 * i
                img = mix(img, rgb('2a1812'), .8 * smooth(.0125, .006, np.hypot(X - sx, Y - sy)))
    return img


def main():
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else __file__)
    folder = folder if folder.is_dir() else folder.parent
    for draw in (c1, c2, c3, c4, c5):
        draw(folder / f'{draw.__name__}.png')
        print('wrote', folder / f'{draw.__name__}.png')


if __name__ == '__main__':
    main()
