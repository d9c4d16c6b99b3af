"""Draw the five style pictures of this folder, s1.png .. s5.png.

  s1  flow-field brush strokes    thick paint swirling over a night sky
  s2  stained glass               a rose window of jewel-coloured panes
  s3  woodblock waves             rolling waves, foam fingers and a red sun
  s4  pointillism                 a luminous garden made of small round dabs
  s5  cut-paper cubism            angular paper facets with soft shadows

Run:  python draw.py [folder]     (default: the folder of this script)

Only numpy and Pillow are needed.  Every picture has its own fixed seed, so
the same version of those two libraries draws the same pixels every time.
Everything is drawn two or three times too large and then reduced: that is
what makes the edges smooth.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter


# ---------------------------------------------------------------- helpers

def rgb(*codes):
    """Hex codes such as '1b2a6b' as an (n, 3) array of floats, 0..255."""
    return np.array([[int(c[i:i + 2], 16) for i in (0, 2, 4)] for c in codes], float)


def ramp(t, colours):
    """Look up t (0..1) in a list of evenly spaced colours, blending between them."""
    t = np.clip(t, 0, 1)
    stops = np.linspace(0, 1, len(colours))
    return np.stack([np.interp(t, stops, colours[:, k]) for k in range(3)], -1)


def mix(a, b, m):
    """Blend two colour images by a mask: a where m is 0, b where m is 1."""
    m = np.clip(m, 0, 1)[..., None]
    return a * (1 - m) + b * m


def smooth(t, low, high):
    """0 below low, 1 above high, an S-curve between."""
    t = np.clip((t - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def noise(rng, h, w, cell, octaves=1):
    """Soft random clouds with mean 0 and deviation 1; cell = blob size (or (y, x) sizes)."""
    cy, cx = cell if isinstance(cell, tuple) else (cell, cell)
    total = np.zeros((h, w))
    for k in range(octaves):
        shape = int(h / cy * 2**k) + 3, int(w / cx * 2**k) + 3
        grid = Image.fromarray(rng.normal(size=shape).astype(np.float32))
        total += np.asarray(grid.resize((w, h), Image.BICUBIC)) / 2**k
    return (total - total.mean()) / total.std()


def to_image(a):
    return Image.fromarray(np.clip(a + 0.5, 0, 255).astype(np.uint8))


def blur(a, radius):
    """Gaussian blur of a 0..255 array, grey or coloured."""
    return np.asarray(to_image(a).filter(ImageFilter.GaussianBlur(radius)), float)


def relief(height):
    """Light falling from the upper left on a surface: above 0 = lit, below 0 = shade."""
    dy, dx = np.gradient(height)
    return dx + dy


def grid_points(rng, h, w, step, jitter=0.5):
    """Points (x, y) spread evenly but not regularly over a picture, in random order."""
    y, x = np.mgrid[-step:h + step:step, -step:w + step:step]
    p = np.stack([x.ravel(), y.ravel()], 1).astype(float)
    p += rng.uniform(-jitter, jitter, p.shape) * step
    return rng.permutation(p)


def at(field, p):
    """Values of an array at the points p (x, y), clamped to the border."""
    x = np.clip(p[..., 0].astype(int), 0, field.shape[1] - 1)
    y = np.clip(p[..., 1].astype(int), 0, field.shape[0] - 1)
    return field[y, x]


def curve(points, n):
    """A smooth Catmull-Rom curve of n points through the given ones."""
    p = np.array(points, float)
    p = np.vstack([2 * p[0] - p[1], p, 2 * p[-1] - p[-2]])
    s = np.linspace(0, len(p) - 3 - 1e-9, n)
    i, t = s.astype(int), (s % 1)[:, None]
    a, b, c, d = p[i], p[i + 1], p[i + 2], p[i + 3]
    return 0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2
                  + (3 * b - a - 3 * c + d) * t**3)


# ------------------------------------------------------- s1: brush strokes

def s1():
    """Thick paint: thousands of curved strokes follow a field of whorls."""
    rng, size, zoom = np.random.default_rng(4), 512, 3
    y, x = np.mgrid[0:size, 0:size].astype(float)

    # The direction of the paint: a drifting current plus vortices that each
    # rule their own neighbourhood, with a slight inward pull (= spirals).
    angle = 0.35 + 0.55 * noise(rng, size, size, 190)
    vx, vy = 0.55 * np.cos(angle), 0.55 * np.sin(angle)
    gold = np.zeros((size, size))
    # Each whorl: centre, radius, sense of rotation, share of gold.
    whorls = [(176, 322, 150, 1, 1), (384, 118, 112, -1, 0.95), (436, 404, 78, 1, 0.9),
              (92, 84, 66, -1, 0.85), (262, 176, 40, 1, 0), (306, 474, 46, -1, 0.8),
              (496, 270, 44, -1, 0), (26, 206, 36, 1, 0.75), (240, 34, 38, 1, 0), (34, 486, 40, -1, 0)]
    for cx, cy, radius, spin, wealth in whorls:
        dx, dy = x - cx, y - cy
        r = np.hypot(dx, dy) + 1e-6
        pull = 3.2 * np.exp(-(r / radius / 0.85)**2)
        vx += pull * (-dy * spin - 0.25 * dx) / r
        vy += pull * (dx * spin - 0.25 * dy) / r
        # Paint of a whorl: a bright heart, then two arms winding outwards.
        turn = np.arctan2(dy, dx) * spin * 2 - 7 * np.log(r / radius + 0.10)
        arms = smooth(np.cos(turn + 0.4 * noise(rng, size, size, 50)), -0.7, 0.8)
        glow = np.exp(-(r / radius / 0.80)**4)
        heart = np.exp(-(r / radius / 0.20)**2)
        gold = np.maximum(gold, wealth * (glow * (0.12 + 0.78 * arms) + 0.6 * heart))
    flow = np.stack([vx, vy], -1) / (np.hypot(vx, vy) + 1e-6)[..., None]

    # Smear random blobs along the flow: the sky gets streams of light and dark.
    seed, streams = noise(rng, size, size, 16, 2), np.zeros((size, size))
    for sign in (1, -1):
        p = np.stack([x, y], -1)
        for _ in range(45):
            p += sign * 1.6 * at(flow, p)
            streams += at(seed, p)
    streams /= streams.std()
    tone = 0.36 + 0.24 * streams + 0.05 * noise(rng, size, size, 120)
    sky = rgb('070a30', '0d1b66', '1436a8', '1c5fd0', '2f93d8', '63c0cf', 'c4e6c4')
    fire = rgb('6b2f10', 'a8520d', 'd4860f', 'f2b015', 'fcd53f', 'ffed98', 'fffbe0')
    gold = np.maximum(gold, 0.66 * smooth(streams, 1.4, 2.4))     # gilt the brightest streams
    image = Image.new('RGBA', (size * zoom, size * zoom), (10, 16, 60, 60))
    draw = ImageDraw.Draw(image)

    # Coarse strokes first, fine ones over them.  The alpha channel is not
    # transparency here: it keeps the thickness of the paint.
    n = 15      # points along a stroke
    swell = 0.22 + 0.78 * np.sin(np.linspace(0.12, 0.98, n)**0.8 * np.pi)**0.6
    brushes = (12, 84, 18, 1), (9, 64, 13, 1), (9, 46, 9.5, 0.6), (6.5, 30, 5.5, 0.08)
    for step, length, width, share in brushes:      # share: how much of the sky it covers
        start = grid_points(rng, size, size, step)
        start = start[rng.random(len(start)) < share + 0.5 * at(gold, start)]
        count = len(start)
        stride = length / (n - 1) * rng.uniform(0.6, 1.15, (count, 1))
        path = [start]
        for _ in range(n // 2):     # walk both ways from the starting point
            path.insert(0, path[0] - at(flow, path[0]) * stride)
            path.append(path[-1] + at(flow, path[-1]) * stride)
        path = np.stack(path, 1)
        side = np.gradient(path, axis=1)[..., ::-1] * (-1, 1)
        side *= swell[:, None] / (np.linalg.norm(side, axis=2, keepdims=True) + 1e-6)

        warmth = at(gold, start) + rng.normal(0, 0.05, count)
        colour = ramp(at(tone, start) + rng.normal(0, 0.11, count), sky)
        colour = np.where(warmth[:, None] > 0.30, ramp(warmth * 1.15 - 0.28, fire), colour)
        odd = rng.random(count) < 0.04      # a few strokes of a foreign colour
        colour[odd] = rng.choice(rgb('1f8a72', '5a3fb0', 'e08a0c', '0d1b66', '8fd8c0'), odd.sum())
        colour *= rng.normal(1, 0.08, (count, 1))

        # Every bristle leaves its own line: its own tint, height and ragged ends.
        bristles = round(width * 0.9)
        for i in range(count):
            w, level = width * rng.uniform(0.7, 1.15), rng.uniform(70, 150)
            grooves = rng.normal(0, 1, bristles)
            ends = rng.integers(0, 3, (bristles, 2))
            for v, groove, (a, b) in zip(np.linspace(-0.46, 0.46, bristles), grooves, ends):
                line = (path[i] + side[i] * v * w)[a:n - b] * zoom
                ridge = level + 22 * groove + 60 * (abs(v) > 0.36)      # paint piles up at the rim
                c = np.clip([*colour[i] * (1 + 0.13 * groove) + 11 * groove, ridge], 0, 255)
                draw.line(line.ravel().tolist(), tuple(c.astype(int).tolist()),
                          max(2, round(w * zoom / bristles + 1)), 'curve')

    # Light from the upper left brings out the ridges.
    pixels = np.asarray(image, float)
    light = 1.4 * np.clip(relief(blur(pixels[..., 3], 1.4)), -32, 32)[..., None]
    return to_image(pixels[..., :3] * (1 + 0.009 * light) + 0.75 * light), (size, size)


# ------------------------------------------------------- s2: stained glass

def s2():
    """A rose window: panes are Voronoi cells of points on rings, lead between."""
    rng, size, zoom = np.random.default_rng(22), 544, 2
    side = size * zoom
    jewels = {name: rgb(*codes.split()) for name, codes in {
        'gold': 'ffd84a ffb000 ff8a00', 'red': 'e0102a b00028 ff3a2a',
        'blue': '0a2fd0 1450ff 08187e', 'green': '00a050 0a7a3c 5ad048',
        'violet': '7a1ec8 4a1090 b040e0', 'sky': '18b8e8 60d8f0 0a80c8',
        'pale': 'ffeeb0 fff6d0 ffd890'}.items()}

    # Points on rings make the rose; loose points, pushed apart, fill the corners.
    # Each ring names the colours of its panes outside and inside the petals.
    rings = [(0.0, 1, 'gold gold', 'gold gold'), (0.060, 8, 'blue blue', 'blue sky'),
             (0.108, 16, 'blue sky', 'gold gold'), (0.170, 16, 'blue violet', 'gold pale'),
             (0.236, 32, 'violet blue', 'pale gold'), (0.296, 32, 'blue sky', 'gold red'),
             (0.358, 32, 'sky blue', 'red gold'), (0.418, 48, 'green sky', 'red red'),
             (0.462, 64, 'gold red', 'gold red')]
    points, outside, inside, group = [], [], [], []
    for k, (radius, count, cool, warm) in enumerate(rings):
        a = 2 * np.pi * (np.arange(count) + 0.5) / count
        r = radius * (1 + rng.normal(0, 0.012, count))
        a += rng.normal(0, 0.4, count) / count
        points.append(0.5 + np.stack([r * np.cos(a), r * np.sin(a)], 1))
        group += [k // 2] * count
        outside += [rng.choice(jewels[cool.split()[i % 2]]) for i in range(count)]
        inside += [rng.choice(jewels[warm.split()[i % 2]]) for i in range(count)]
    fixed = np.concatenate(points)
    loose = rng.uniform(-0.08, 1.08, (700, 2))
    loose = loose[np.hypot(*(loose - 0.5).T) > 0.50][:110]
    probe = rng.uniform(-0.08, 1.08, (9000, 2))
    for _ in range(8):      # Lloyd: move every loose point to the middle of its cell
        every = np.concatenate([fixed, loose])
        owner = ((probe[:, None] - every)**2).sum(2).argmin(1)
        for i in range(len(loose)):
            mine = probe[owner == len(fixed) + i]
            loose[i] = mine.mean(0) if len(mine) else loose[i]
    for p in loose:
        swirl = np.sin(9 * p[0] + 4 * np.sin(7 * p[1])) + rng.normal(0, 0.35)
        name = 'blue' if swirl > 0 else 'violet' if swirl > -0.7 else 'sky'
        outside.append(rng.choice(jewels[name if rng.random() > 0.08 else 'green']))
        inside.append(outside[-1])
        group.append(100)
    seeds, group = np.concatenate([fixed, loose]) * side, np.array(group)

    # For every small block keep its 12 nearest points; one of them owns each pixel.
    block = 8
    my, mx = np.mgrid[0:side:block, 0:side:block, 0:1][:2] + block / 2
    near = np.argpartition((mx - seeds[:, 0])**2 + (my - seeds[:, 1])**2, 12, axis=2)[..., :12]
    near = near.repeat(block, 0).repeat(block, 1)
    wobble = [3 * noise(rng, side, side, 60) for _ in 'yx']     # glass is cut by hand
    y, x = np.mgrid[0:side, 0:side] + np.stack(wobble)
    dist = (x[..., None] - seeds[near, 0])**2 + (y[..., None] - seeds[near, 1])**2
    owner = np.take_along_axis(near, dist.argmin(2)[..., None], 2)[..., 0]

    # edge = pixels to the nearest lead; lead is thicker between groups of rings.
    width = 4.2 + 0.8 * noise(rng, side, side, 90)
    edge = np.full((side, side), 1e9)
    for k in range(12):
        other = near[..., k]
        gap = np.hypot(*(seeds[owner] - seeds[other]).transpose(2, 0, 1)) + 1e-9
        d = (dist[..., k] - dist.min(2)) / (2 * gap) - width * np.where(group[owner] != group[other], 1.5, 0.8)
        edge = np.where(other == owner, edge, np.minimum(edge, d))

    # Eight petals and a rim cut through the panes: the big form of the window.
    x, y = x / side - 0.5, y / side - 0.5
    radius, theta = np.hypot(x, y), np.arctan2(y, x)
    petal = 0.115 + 0.315 * np.abs(np.cos(4 * theta))**0.6 - radius
    slope = np.hypot(*np.gradient(petal)) + 1e-6
    edge = np.minimum(edge, np.abs(petal) / slope - 1.9 * width)
    edge = np.minimum(edge, np.abs(radius - 0.487) * side - 2.2 * width)
    pane = np.where(petal[..., None] > 0, np.array(inside)[owner], np.array(outside)[owner])

    # Light in the glass: bright middles, streaks, and rings in some of the panes.
    streaks = np.stack([noise(rng, side, side, c, 2) for c in ((9, 70), (70, 9), (30, 30), (16, 16))])
    streak = np.take_along_axis(streaks, rng.integers(0, 4, len(seeds))[owner][None], 0)[0]
    ripple = np.sin(edge * 0.55 + 1.5 * noise(rng, side, side, 40)) * (rng.random(len(seeds)) < 0.4)[owner]
    glow = smooth(edge, -6, 34)
    bright = (0.50 + 0.75 * glow) * (1 + 0.13 * streak + 0.10 * ripple)
    bright *= rng.normal(1.06, 0.17, len(seeds))[owner] + 0.12 * noise(rng, side, side, 300)
    # Darken by a power: a dim yellow then turns to amber instead of olive.
    glass = 255 * (pane / 255)**np.clip(1 + 2.2 * (1 - bright), 0.6, 3.5)[..., None]
    glass *= np.clip(0.35 + 0.75 * bright, 0, 1.1)[..., None]
    glass = mix(glass, np.sqrt(pane * 255), glow * (0.30 + 0.16 * streak) + 0.12 * ripple)
    glass += 90 * smooth(noise(rng, side, side, 9), 2.2, 3.0)[..., None]        # air bubbles

    # Lead: dark, rounded (lit on one flank), and some of the colour spills on it.
    height = 255 * np.clip(1 - 0.2 * (edge / width)**2, 0, 1)
    lead = np.clip(relief(blur(height, 1.5)), -12, 30) * 1.6 + 5 * noise(rng, side, side, 5)
    lead = rgb('14131a')[0] + 0.05 * glass + lead[..., None]
    picture = mix(lead, glass, smooth(edge, -1, 1))
    halo = 0.28 * blur(picture, 14)      # bright panes shine over their neighbours
    return to_image(255 - (255 - picture) * (255 - halo) / 255), (size, size)


# ----------------------------------------------------- s3: woodblock waves

def s3():
    """Japanese-woodblock-like rollers with striped flanks and foam fingers."""
    rng, w, h, zoom = np.random.default_rng(7), 640, 448, 3
    W, H = w * zoom, h * zoom
    y = np.mgrid[0:H, 0:W][0]
    ink, prussian, blue, pale, cream, warm, rust = (tuple(c.astype(int).tolist()) for c in rgb(
        '0d1c46', '163f7d', '3a78a8', '9dc3c4', 'f3e6c8', 'd9482b', 'c46a42'))

    # The sky is one graded print, dark at the top, warm at the horizon.
    image = to_image(ramp(y / H * 1.5 + 0.02 * noise(rng, H, W, (30, 600)), rgb(
        '1c4a86', '6fa3b4', 'e8d9b4', 'f3dfb4', 'f0bd84', 'eeb078')))
    draw = ImageDraw.Draw(image)

    def blob(cx, cy, r, colour):
        draw.ellipse((cx - r, cy - r, cx + r, cy + r), fill=colour)

    def line(points, colour, width):
        draw.line(np.ravel(points).tolist(), colour, max(1, round(width * zoom)), 'curve')

    def polygon(points, colour):
        draw.polygon(np.ravel(points).tolist(), colour)

    def foam(parts):
        """Blobs printed twice: ink a little larger, then cream = an outline."""
        for grow, colour in ((1.5 * zoom, ink), (0, cream)):
            for cx, cy, r in parts:
                blob(cx, cy, r + grow, colour)
        for cx, cy, r in parts:     # a pale shadow inside the thick ones
            if r > 2.6 * zoom:
                blob(cx + 0.25 * r, cy + 0.3 * r, 0.38 * r, pale)

    def finger(px, py, angle, length, r, bend, depth=2):
        """A curling finger of foam as a row of shrinking blobs that branches twice."""
        parts, n = [], 14
        for k in range(n + 1):
            parts.append((px, py, r * (1 - 0.5 * k / n)))
            px += np.cos(angle) * length / n
            py += np.sin(angle) * length / n
            angle += bend / n
            if depth and k in (6, 10):
                parts += finger(px, py, angle - np.sign(bend), length / 2, r * 0.55, bend * 1.3, depth - 1)
        return parts

    def wave(cx, cy, size, flip, bands, fingers):
        """One roller: stripes blend from the curve of its back to its hollow front."""
        unit = size * zoom
        back, front = (np.array([cx, cy]) + curve(p, 90) * (flip * unit, -unit) for p in (
            [(-1.9, -1.3), (-1.2, -.05), (-.72, .3), (-.36, .72), (0, .98), (.36, 1), (.62, .82), (.7, .58)],
            [(1.6, -1.4), (1.1, -.44), (.5, -.14), (.16, .14), (.1, .42), (.24, .64), (.48, .7), (.7, .58)]))
        between = lambda t: back + (front - back) * t**1.15
        inks = prussian, ink, blue, prussian, pale, prussian, blue, ink, cream, blue
        for k in range(bands):
            polygon([*between(k / bands), *between((k + 1) / bands)[::-1]], inks[k % len(inks)])
        for k in range(bands * 2):     # contour lines inside the stripes
            part = slice(rng.integers(0, 20), rng.integers(50, 88))
            line(between(k / bands / 2)[part], cream if k % 3 == 0 else ink, rng.uniform(0.6, 1.2))
        line(back, ink, 2.2)
        line(front, ink, 2.2)
        parts = []
        for s in np.linspace(38, 89, fingers).astype(int):     # beads along the crest
            parts.append((*between(0.16)[s], unit * (0.001 * s - 0.013) * rng.uniform(0.8, 1.2)))
        for s in np.linspace(56, 88, fingers // 2 + 3).astype(int):     # fingers reaching down
            start, angle = between(rng.uniform(0.3, 0.64))[s], np.pi / 2 - flip * rng.uniform(0.1, 0.9)
            reach, bend = rng.uniform(0.18, 0.30), rng.uniform(1.2, 2.2)
            parts += finger(*start, angle, reach * unit, 0.034 * unit, bend * flip)
        foam(parts)
        for _ in range(fingers * 3):     # spray
            foam([(*back[rng.integers(50, 90)] + rng.normal(0, 0.16, 2) * unit, rng.uniform(0.7, 2.2) * zoom)])

    blob(0.64 * W, 0.27 * H, 0.135 * H, warm)
    for k in range(110):    # wind: long hatch lines across the sky
        s = np.linspace(0, rng.uniform(0.15, 0.6) * W, 40) + rng.uniform(-0.3, 0.9) * W
        colour = prussian if k < 36 else (cream, rust, blue)[k % 3]
        line(np.stack([s, H * (0.01 + 0.0048 * k) + 9 * np.sin(s / 110 + k / 3)], 1), colour, 0.8)
    for k in range(27):     # bars of mist, in stacks of three, with round ends
        stack = rng.uniform(0, W) if k % 3 == 0 else stack
        cx, cy = stack + (0, 0.1, -0.08)[k % 3] * W, H * (0.07 + 0.045 * (k // 3) + 0.022 * (k % 3))
        half, r = W * rng.uniform(0.06, 0.15), 0.011 * H
        for grow, colour in ((1.2 * zoom, prussian), (0, pale if k < 9 else cream)):
            box = cx - half - grow, cy - r - grow, cx + half + grow, cy + r + grow
            draw.rounded_rectangle(box, r + grow, fill=colour)
        for dy in (-0.3 * r, 0.3 * r):
            line([(cx - 0.8 * half, cy + dy), (cx + 0.7 * half, cy + dy)], blue, 0.6)

    # The sea: three rows of small rollers, then five big ones in front.
    polygon([(0, 0.54 * H), (W, 0.54 * H), (W, H), (0, H)], blue)
    for row, (level, size, count) in enumerate(((0.55, 30, 10), (0.63, 40, 8), (0.74, 54, 6))):
        for k in range(count):
            cx = (k + 0.5 * (row % 2)) / (count - 1) * W
            wave(cx, level * H, size * rng.uniform(0.8, 1.25), 1 - 2 * (row % 2), 8, 9)
    for cx, cy, size, flip, bands, fingers in ((0.86, 0.80, 150, -1, 18, 16), (0.30, 0.84, 255, 1, 26, 22),
                                               (0.70, 1.02, 110, -1, 14, 14), (0.10, 1.06, 120, 1, 14, 14),
                                               (0.47, 1.10, 80, 1, 12, 12)):
        wave(cx * W, cy * H, size, flip, bands, fingers)

    # The block and the paper: grain lines, fibres, and ink that misses specks.
    grain = np.sin((y + 18 * noise(rng, H, W, (160, 900))) * 0.42 + 2 * noise(rng, H, W, (12, 500)))
    picture = np.asarray(image) * (1 + 0.05 * grain + 0.02 * noise(rng, H, W, (4, 60)))[..., None]
    worn = smooth(noise(rng, H, W, (5, 60)) + 0.5 * grain, 1.6, 2.8) * 0.35
    return to_image(mix(picture, rgb('f3e6c8')[0], worn)), (w, h)


# --------------------------------------------------------- s4: pointillism

def s4():
    """A flower field by a pond at sunset, dissolved into dabs of pure colour."""
    rng, w, h, zoom = np.random.default_rng(3), 576, 424, 3
    y, x = np.mgrid[0:h, 0:w].astype(float)
    u, v = x / w, y / h
    n1, n2, n3 = (noise(rng, h, w, cell, 3) for cell in (140, 40, 16))

    # The scene as a smooth colour map, back to front; the dabs only sample it.
    sun = np.hypot(u - 0.60, (v - 0.30) * 0.75)
    scene = ramp(sun * 1.8 + 0.03 * n1, rgb(
        'fffbd0', 'ffe27a', 'ffb35c', 'f58a8a', 'a98ad8', '5a86dc', '3a5fc0'))

    def paint(colours, inside):
        nonlocal scene
        scene = mix(scene, colours, smooth(inside, 0, 0.01))

    def clump(cx, cy, rx, ry, colours):
        """A leafy ball, lit from the side of the sun."""
        dx, dy = (u - cx) / rx, (v - cy) / ry
        light = 0.52 + 0.42 * (dx * np.sign(0.60 - cx) * 0.7 - dy * 0.8) + 0.08 * n3
        paint(ramp(light, colours), 0.08 * (1 - np.hypot(dx, dy) + 0.12 * n3))

    paint(ramp(u + 0.1 * n2, rgb('5a4fb0', '8a6cc8', 'd08ab0', '7a70c8')),          # hills
          v - 0.36 - 0.05 * np.sin(u * 7 + 1) - 0.008 * n1)
    paint(ramp(0.5 + 0.3 * n2, rgb('14486a', '1f7a58', '5aa83c')),                  # woods
          v - 0.43 + 0.03 * np.abs(np.sin(u * 23)) + 0.012 * n2)
    mirror = np.hypot((u - 0.60) * 1.6, (v - 0.50) * 0.5) + 0.05 * np.sin(v * 170 + 2 * n2)
    paint(ramp(mirror * 1.7 + 0.04 * n2, rgb(                                       # pond
        'fff3b0', 'ffc46a', 'e890a0', '6f8fe0', '2a6fd0', '1a4fae')), v - 0.49)
    for _ in range(24):     # water lilies
        lx, ly = rng.uniform(0.2, 0.85), rng.uniform(0.57, 0.70)
        clump(lx, ly, 0.028, 0.010, rgb('145a6a', '2f9a5a', '9ad858'))
        clump(lx, ly - 0.008, 0.009, 0.009, rgb('ff5a9a', 'ffd0e0'))

    # Flower beds, one colour each, run towards the sun.
    rows = (u - 0.60) / (v - 0.36) * 3.1 + 0.25 + 0.06 * n2
    flowers = rgb('ff2a4a', 'ffb020', '8a3ae0', 'ff6ab0', 'fff0d0', '3a6cf0', 'ff7a1a')
    bed = flowers[np.floor(rows).astype(int) % 7] * (0.78 + 0.3 * smooth(n3, -1, 1))[..., None]
    grass = ramp(0.45 + 0.2 * n2, rgb('1f3a8a', '1a7058', '3f9a40', 'b0cc3c'))
    shore = 0.70 - 0.13 * np.exp(-(u / 0.22)**2) - 0.11 * np.exp(-((1 - u) / 0.17)**2) + 0.012 * n2
    paint(mix(grass, bed, smooth(np.abs(np.sin(np.pi * rows)) + 0.10 * n3, 0.45, 0.7)), v - shore)

    leaf = rgb('1a1f6a', '14506a', '1c7a48', '5aa832', 'c8d838', 'ffec8a')
    for cx, top, base, half in ((0.33, 0.16, 0.50, 0.034), (0.85, 0.20, 0.53, 0.036), (0.77, 0.28, 0.50, 0.026),
                                (0.95, 0.04, 0.56, 0.080), (0.11, -0.05, 0.52, 0.15)):
        trunk = np.minimum(0.13 * half - np.abs(u - cx), np.minimum(v - top - 0.1, base + 0.11 - v))
        paint(ramp(0.5 + 0.4 * n3, rgb('2a1a6a', '6a2a7a', 'b8506a')), trunk)
        for t in np.sort(rng.uniform(0, 1, 32))[::-1]:      # low clumps first
            spread = half * 0.7 * np.sin(np.pi * (0.12 + 0.8 * t))
            r = half * rng.uniform(0.35, 0.55)
            clump(cx + rng.uniform(-1, 1) * spread, top + (base - top) * t, r, 1.3 * r, leaf)

    # Dabs: a dark broken ground, then a bright even layer, then scattered accents.
    image = to_image(scene * 0.4 + rgb('4a3a90')[0] * 0.3).resize((w * zoom, h * zoom))
    draw = ImageDraw.Draw(image)
    for step, radius, value, opposite in ((6, 4.0, 0.82, 0.22), (5.4, 2.7, 1.06, 0.06), (9, 2.1, 1.12, 0.45)):
        p = grid_points(rng, h, w, step, 0.38)
        c = at(scene, p)
        grey = c.mean(1, keepdims=True)
        c = grey + (c - grey) * rng.uniform(1.0, 1.5, (len(p), 1)) + rng.normal(0, 20, c.shape)
        other = rng.random(len(p)) < opposite
        c[other] = 2 * grey[other] - c[other]       # the complement, as bright as its neighbours
        c *= value * rng.normal(1, 0.10, (len(p), 1))
        r = radius * rng.uniform(0.85, 1.1, len(p)) * (0.85 + 0.3 * p[:, 1] / h)
        for (px, py), s, k in zip(p * zoom, r * zoom, np.clip(c, 0, 255).astype(int).tolist()):
            draw.ellipse((px - s, py - s, px + s, py + s), fill=tuple(k))
    return image, (w, h)


# ---------------------------------------------------- s5: cut-paper cubism

def s5():
    """Overlapping angular papers, plain and printed, each with its shadow."""
    rng, w, h, zoom = np.random.default_rng(8), 512, 560, 2
    W, H = w * zoom, h * zoom
    warm = rgb('d8321e', 'f0722a', 'f5b02e', 'b01c2e', 'e8735a')
    cool = rgb('12507a', '1f8f96', '0b2c54', '6fb7b4', '3a6fc0')
    plain = cream, black = rgb('f4e9cf', '15151a')
    canvas = np.tile(rgb('c9a878')[0], (H, W, 1))
    grain = noise(rng, H, W, 4) * 2.2 + noise(rng, H, W, (9, 30)) * 1.2
    axes = np.radians([18, 72, -38])     # shared directions hold the picture together

    def printed(kind, a, b, paper, ink):
        """Paper with a printed pattern in its own rotated coordinates a, b."""
        step = rng.uniform(9, 18)
        if kind == 'stripes':
            on = a % (2 * step) < step
        elif kind == 'hatch':
            on = (a % step < 3.2) | ((b % step < 3.2) & (np.sin(b / 60) > 0))
        elif kind == 'dots':
            row = (b // step) % 2 * step / 2
            on = np.hypot((a + row) % step - step / 2, b % step - step / 2) < step * 0.3
        elif kind == 'news':     # rows of words, with gaps at random
            gap = np.sin(b // 11 * 12.99 + a // 9 * 78.23) * 43758.5 % 1 > 0.75
            on = (b % 11 < 6) & (a % 4 < 2.6) & ~gap
        else:                    # wood
            on = np.sin(a * 0.45 + 2.5 * np.sin(b / 70 + a / 90)) > 0.35
        return mix(paper, ink, on)

    def facet(points, paper, ink, kind, lift):
        """Lay one polygon of paper: shadow first, then the sheet, then its cut edge."""
        pad = int(lift * 4) + 6
        lo = np.maximum(np.floor(points.min(0)).astype(int) - pad, 0)
        hi = np.minimum(np.ceil(points.max(0)).astype(int) + pad, (W, H))
        if (hi - lo).min() < 8:
            return
        part = np.s_[lo[1]:hi[1], lo[0]:hi[0]]

        def stencil(offset):
            mask = Image.new('L', tuple((hi - lo).tolist()))
            ImageDraw.Draw(mask).polygon((points - lo + offset).ravel().tolist(), fill=255)
            return np.asarray(mask, float)

        canvas[part] *= 1 - 0.62 / 255 * blur(stencil((0.7 * lift, lift)), lift)[..., None]
        mask = stencil((0, 0))
        y, x = np.mgrid[lo[1]:hi[1], lo[0]:hi[0]].astype(float)
        turn = rng.choice(axes) + rng.normal(0, 0.06)
        a, b = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
        sheet = printed(kind, a, b, paper, ink) if kind else paper
        slope = (a - a.min()) / np.ptp(a) - 0.5
        sheet = sheet * (1 + 0.46 * slope * rng.choice([-1, 1]))[..., None]
        cut = 0.8 * np.clip(relief(blur(mask, 1.2)), -60, 60)       # light on the cut edge
        sheet = sheet * (1 + 0.012 * grain[part])[..., None] + (grain[part] + cut)[..., None]
        canvas[part] = mix(canvas[part], sheet, mask / 255)

    def shape(centre, size):
        """A triangle, quadrilateral or sliver whose sides follow the shared axes."""
        i, j = rng.choice(3, 2, replace=False)
        a = size * np.array([np.cos(axes[i]), np.sin(axes[i])])
        b = size * np.array([np.cos(axes[j]), np.sin(axes[j])]) * rng.choice([0.25, 0.6, 1.0])
        corners = np.array([-a - b, a - b, a + b, b - a]) * rng.uniform(0.55, 1.2, (4, 1))
        return centre + (corners[:3] if rng.random() < 0.35 else corners)

    # Large sheets first; the smaller a sheet, the closer it lies to the one below.
    for step, size, lift in ((190, 300, 11), (190, 190, 10), (160, 110, 8), (170, 50, 5)):
        for p in grid_points(rng, H, W, step, 0.6):
            # Warm and cool meet along a zigzag; a fifth of the sheets break the rule.
            side = np.sin(p[0] / 190 + 0.8) + np.sin(p[1] / 230 - p[0] / 400)
            family = warm if (side > 0) != (rng.random() < 0.2) else cool
            paper = rng.choice(plain if rng.random() < 0.28 else family)
            ink = rng.choice([black, rng.choice(family)] if paper.mean() > 150 else [cream, rng.choice(warm)])
            kind = rng.choice(['stripes', 'hatch', 'dots', 'news', 'wood']) if rng.random() < 0.38 else None
            facet(shape(p, size * rng.uniform(0.6, 1.2)), paper, ink, kind, lift)
    return to_image(canvas), (w, h)


# ------------------------------------------------------------------- main

def save(image, size, path):
    """Reduce to the final size.  The lowest bit is mere noise: even values pack better."""
    image = image.convert('RGB').resize(size, Image.LANCZOS).point(lambda v: v & 254)
    image.save(path, optimize=True)
    print(f'{path}  {size[0]}x{size[1]}  {path.stat().st_size / 1000:.0f} kB')


def main():
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent
    folder.mkdir(parents=True, exist_ok=True)
    for picture in (s1, s2, s3, s4, s5):
        save(*picture(), folder / f'{picture.__name__}.png')


if __name__ == '__main__':
    main()
