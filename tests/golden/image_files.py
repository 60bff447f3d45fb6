#!/usr/bin/env python3
"""Pictures for tests/conformance/images: files/NAME and what they decode to, files/NAME.raw.

Run with Debian 12's python3 (Pillow 9.4, numpy 1.24). The raw form is that of src/tensor/media.h. What
Pillow cannot write (16-bit RGB, pictures of impossible size) is written here byte by byte.
"""
import io
import os
import struct
import zlib

import numpy as np
from PIL import Image, ImageOps

out = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "conformance", "images", "files")
os.makedirs(out, exist_ok=True)
W, H = 20, 14
y, x = np.mgrid[0:H, 0:W]
rgb = np.stack([x * 12, y * 17, (x + y) * 7], 2).astype(np.uint8)
alpha = (x * 13).astype(np.uint8)
grey = (x * 9 + y * 5).astype(np.uint8)
RGB, GREY = Image.fromarray(rgb), Image.fromarray(grey)


def raw(name, pixels):
    a = np.asarray(pixels, dtype=np.uint8)
    a = a[:, :, None] if a.ndim == 2 else a
    with open(os.path.join(out, name + ".raw"), "wb") as f:
        f.write(b"AMIM" + struct.pack("<BBHII", 1, a.shape[2], 0, a.shape[1], a.shape[0]) + a.tobytes())


def put(name, data, expected=None):
    with open(os.path.join(out, name), "wb") as f:
        f.write(data)
    if expected is not None:
        raw(name, expected)


def save(image, name, expected=None, **options):
    b = io.BytesIO()
    image.save(b, **options)
    put(name, b.getvalue(), expected)
    return b.getvalue()


def decoded(data, mode):
    return np.asarray(Image.open(io.BytesIO(data)).convert(mode))


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, depth, colour, rows):
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def to8(v):
    return ((v.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)


# PNG
save(RGB, "rgb.png", rgb, format="png")
save(GREY, "grey.png", grey, format="png")
save(Image.fromarray(np.dstack([rgb, alpha])), "rgba.png", np.dstack([rgb, alpha]), format="png")
save(Image.fromarray(np.dstack([grey, alpha]), "LA"), "grey_alpha.png", np.dstack([grey, grey, grey, alpha]),
     format="png")
palette = RGB.quantize(16)
save(palette, "palette.png", np.asarray(palette.convert("RGB")), format="png")
save(palette, "palette_alpha.png", np.asarray(decoded(save(palette, "palette_alpha.png", format="png",
                                                           transparency=3), "RGBA")),
     format="png", transparency=3)
ones = (grey > 90)
save(Image.fromarray(ones), "bit1.png", ones * 255, format="png")
wide = (x * 3000 + y * 111).astype(np.uint16)
put("grey16.png", png(W, H, 16, 0, b"".join(b"\0" + r.astype(">u2").tobytes() for r in wide)), to8(wide))
wide3 = np.stack([x * 3200, y * 4500, (x + y) * 1900 + 1], 2).astype(np.uint16)
put("rgb16.png", png(W, H, 16, 2, b"".join(b"\0" + r.astype(">u2").tobytes() for r in wide3)), to8(wide3))

# JPEG
for name, image, options in (("rgb.jpg", RGB, {}), ("grey.jpg", GREY, {}), ("progressive.jpg", RGB, {"progressive": True})):
    data = save(image, name, format="jpeg", quality=95, subsampling=0, **options)
    raw(name, decoded(data, image.mode))
cmyk = np.stack([255 - rgb[:, :, 0], 255 - rgb[:, :, 1], 255 - rgb[:, :, 2], (x * 5).astype(np.uint8)], 2)
naive = ((255 - cmyk[:, :, :3].astype(np.uint32)) * (255 - cmyk[:, :, 3:].astype(np.uint32)) + 127) // 255
save(Image.fromarray(cmyk, "CMYK"), "cmyk.jpg", naive, format="jpeg", quality=98, subsampling=0)
for o in range(1, 9):
    exif = Image.Exif()
    exif[0x0112] = o
    data = save(RGB, f"turned{o}.jpg", format="jpeg", quality=95, subsampling=0, exif=exif)
    raw(f"turned{o}.jpg", np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")))

# WebP, GIF
save(RGB, "lossless.webp", rgb, format="webp", lossless=True)
data = save(RGB, "lossy.webp", format="webp", quality=90)
raw("lossy.webp", decoded(data, "RGB"))
others = [Image.fromarray(255 - rgb), Image.fromarray(np.roll(rgb, 5, 1))]
save(RGB, "animated.webp", rgb, format="webp", lossless=True, save_all=True, append_images=others, duration=50)
data = save(palette, "still.gif", format="gif")
raw("still.gif", decoded(data, "RGB"))
data = save(palette, "animated.gif", format="gif", save_all=True,
            append_images=[i.quantize(16) for i in others], duration=50)
raw("animated.gif", decoded(data, "RGB"))

# TIFF
save(RGB, "rgb.tif", rgb, format="tiff")
save(RGB, "lzw.tif", rgb, format="tiff", compression="tiff_lzw")
save(RGB, "pages.tif", rgb, format="tiff", save_all=True, append_images=others)
save(Image.fromarray(cmyk, "CMYK"), "cmyk.tif", naive, format="tiff")
save(Image.fromarray(wide), "grey16.tif", to8(wide), format="tiff")

# BMP: what Pillow writes, and the rest byte by byte
save(RGB, "picture.bmp", rgb, format="bmp")
save(GREY, "grey.bmp", grey, format="bmp")
save(palette, "palette.bmp", np.asarray(palette.convert("RGB")), format="bmp")
save(Image.fromarray(ones), "bit1.bmp", ones * 255, format="bmp")


def bmp(bits, rows, compression=0, colours=b"", n_colours=0, header=40, more=b"", width=W, height=H):
    """rows: [H] of bytes, the upper one first; colours stand behind the header, `more` is its longer part."""
    at = 14 + header + len(colours)
    data = b"".join(r + b"\0" * (-len(r) % 4) for r in (rows if height < 0 else rows[::-1]))
    info = struct.pack("<IiiHHIIiiII", header, width, height, 1, bits, compression, len(data), 2835, 2835, n_colours, 0)
    return b"BM" + struct.pack("<IHHI", at + len(data), 0, 0, at) + info + more + colours + data


def scaled(v, bits):
    most = (1 << bits) - 1
    return ((v.astype(np.uint32) * 255 + most // 2) // most).astype(np.uint8)


r, g, b = (rgb[:, :, i].astype(np.uint32) for i in range(3))
index = ((x // 3 + y) % 16).astype(np.uint8)
table = np.array([[i * 16, 255 - i * 9, i * 5, 0] for i in range(16)], np.uint8)
nibbles = [bytes(int(line[i]) << 4 | int(line[i + 1]) for i in range(0, W, 2)) for line in index]
put("bit4.bmp", bmp(4, nibbles, colours=table.tobytes()), table[index][:, :, 2::-1])
v = (r >> 3) << 10 | (g >> 3) << 5 | b >> 3
put("rgb555.bmp", bmp(16, [line.astype("<u2").tobytes() for line in v]),
    np.dstack([scaled(r >> 3, 5), scaled(g >> 3, 5), scaled(b >> 3, 5)]))
v = (r >> 3) << 11 | (g >> 2) << 5 | b >> 3
put("rgb565.bmp", bmp(16, [line.astype("<u2").tobytes() for line in v], 3, struct.pack("<III", 0xf800, 0x7e0, 0x1f)),
    np.dstack([scaled(r >> 3, 5), scaled(g >> 2, 6), scaled(b >> 3, 5)]))
v = (b | g << 8 | r << 16 | 0x55 << 24).astype("<u4")
put("rgb32.bmp", bmp(32, [line.tobytes() for line in v]), rgb)
put("top_down.bmp", bmp(32, [line.tobytes() for line in v], height=-H), rgb)
v = (r | g << 8 | b << 16 | alpha.astype(np.uint32) << 24).astype("<u4")
masks = struct.pack("<IIII", 0xff, 0xff00, 0xff0000, 0xff000000)
put("rgba32.bmp", bmp(32, [line.tobytes() for line in v], 3, header=124, more=masks + b"\0" * 68), np.dstack([rgb, alpha]))

# refused
put("rle.bmp", bmp(8, [b"\x14\x07\0\0"] * H, 1, table.tobytes(), 16))
put("outside.bmp", bmp(8, [bytes([i % 20 for i in range(W)])] * H, 0, table.tobytes(), 16))
put("masks.bmp", bmp(32, [b"\0" * 4 * W] * H, 3, struct.pack("<III", 0xff, 0x1f0, 0xff0000)))
put("os2.bmp", b"BM" + struct.pack("<IHHIIHHHH", 26 + 60 * H, 0, 0, 26, 12, W, H, 1, 24) + b"\0" * 60 * H)
put("short.bmp", bmp(24, [b"\0" * 3 * W] * H)[:-1])
put("huge.bmp", bmp(24, [b"\0" * 64], width=60000, height=60000))
save(Image.fromarray(grey.astype(np.float32)), "float.tif", format="tiff")
put("huge.png", png(60000, 60000, 8, 2, b"\0" * 100))
put("long.png", png(70000, 1, 8, 0, b"\0" * 70001))
jpeg = bytearray(save(RGB, "rgb.jpg", format="jpeg", quality=95, subsampling=0))
at = jpeg.index(b"\xff\xc0")
jpeg[at + 5:at + 9] = struct.pack(">HH", 65000, 65000)
put("huge.jpg", bytes(jpeg))
gif = bytearray(open(os.path.join(out, "still.gif"), "rb").read())
gif[6:10] = struct.pack("<HH", 65000, 65000)  # the canvas
at = gif.index(b"\x2c\0\0\0\0" + struct.pack("<HH", W, H))
gif[at + 5:at + 9] = struct.pack("<HH", 65000, 65000)  # its picture
put("huge.gif", bytes(gif))
tif = bytearray(open(os.path.join(out, "rgb.tif"), "rb").read())
ifd = struct.unpack("<I", tif[4:8])[0]
for i in range(struct.unpack("<H", tif[ifd:ifd + 2])[0]):
    e = ifd + 2 + 12 * i
    if struct.unpack("<H", tif[e:e + 2])[0] in (256, 257):
        tif[e + 2:e + 12] = struct.pack("<HII", 4, 1, 60000)
put("huge.tif", bytes(tif))
