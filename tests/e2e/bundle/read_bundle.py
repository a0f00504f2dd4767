"""Reads a .tare bundle with the standard library alone, written from docs/formats/bundle.md.

read_bundle.py BUNDLE checks every checksum and SHA-256 and prints the files and tensors; `files` restores them.
"""
import hashlib
import struct
import sys

M = (1 << 64) - 1
P1, P2, P3, P4, P5 = (11400714785074694791, 14029467366897019727, 1609587929392839161, 9650029242287828579,
                      2870177450012600261)


def rotate(x, n):
    return ((x << n) | (x >> (64 - n))) & M


def xxh64(data, seed=0):
    def mix(state, lane):
        return rotate((state + lane * P2) & M, 31) * P1 & M
    n, at = len(data), 0
    if n >= 32:
        v = [(seed + P1 + P2) & M, (seed + P2) & M, seed, (seed - P1) & M]
        lanes = struct.unpack_from("<%dQ" % (n // 32 * 4), data)
        for i in range(0, len(lanes), 4):
            v = [mix(v[0], lanes[i]), mix(v[1], lanes[i + 1]), mix(v[2], lanes[i + 2]), mix(v[3], lanes[i + 3])]
        h = (rotate(v[0], 1) + rotate(v[1], 7) + rotate(v[2], 12) + rotate(v[3], 18)) & M
        for x in v:
            h = ((h ^ mix(0, x)) * P1 + P4) & M
        at = n // 32 * 32
    else:
        h = (seed + P5) & M
    h = (h + n) & M
    while at + 8 <= n:
        h = (rotate(h ^ mix(0, struct.unpack_from("<Q", data, at)[0]), 27) * P1 + P4) & M
        at += 8
    if at + 4 <= n:
        h = (rotate(h ^ (struct.unpack_from("<I", data, at)[0] * P1 & M), 23) * P2 + P3) & M
        at += 4
    for byte in data[at:]:
        h = rotate(h ^ (byte * P5 & M), 11) * P1 & M
    h = (h ^ (h >> 33)) * P2 & M
    h = (h ^ (h >> 29)) * P3 & M
    return h ^ (h >> 32)


def need(condition, what):
    if not condition:
        raise ValueError(what)


class Cursor:
    def __init__(self, data):
        self.data, self.at = data, 0

    def get(self, form):
        value = struct.unpack_from("<" + form, self.data, self.at)
        self.at += struct.calcsize("<" + form)
        return value[0]

    def take(self, n):
        self.at += n
        return self.data[self.at - n:self.at]

    def string(self):
        return self.take(self.get("I")).decode()

    def stream(self):
        return {"offset": self.get("q"), "bytes": self.get("q"), "pieces": self.get("q"), "hash": self.get("Q")}


class Bundle:
    def __init__(self, path):
        with open(path, "rb") as f:
            self.data = data = f.read()
        need(data[:8] == b"TAREBNDL", "no bundle")
        major, self.minor, _, size, at, length, check, own = struct.unpack_from("<HHIqqqQQ", data, 8)
        need(major == 1, "another major")
        need(own == xxh64(data[:48]) and size == len(data), "the header is damaged")
        directory = data[at:at + length]
        need(check == xxh64(directory) and at + length == size, "the directory is damaged")
        c = Cursor(directory)
        self.info = {c.string(): c.string() for _ in range(c.get("I"))}
        self.entries = [self.file(c) for _ in range(c.get("I"))]
        self.tensors = [self.tensor(c) for _ in range(c.get("I"))]
        need(c.at == length, "the directory has bytes left")

    @staticmethod
    def file(c):
        return {"name": c.string(), "kind": c.get("B"), "bytes": c.get("q"), "sha": c.take(32), "stored": c.stream()}

    @staticmethod
    def tensor(c):
        t = {"name": c.string(), "dtype": c.string()}
        t["shape"] = [c.get("q") for _ in range(c.get("B"))]
        t.update(file=c.get("I"), begin=c.get("q"), bytes=c.get("q"), sha=c.take(32), codec=c.get("B"))
        if t["codec"] == 1:
            t.update(width=c.get("B"), tile_rows=c.get("I"), tile_columns=c.get("I"), tables=[])
            for _ in range(t["width"]):
                t["tables"].append([(c.get("B"), c.get("H")) for _ in range(c.get("H"))])
        if t["codec"] == 2:
            t.update(layout=c.string(), version=c.get("I"), input_dims=c.get("B"), flags=c.get("B"),
                     note=c.string())
        t["stored"] = c.stream()
        return t

    def pieces(self, stored):
        begin, n = stored["offset"], stored["pieces"]
        table_at = (begin + stored["bytes"] + 15) // 16 * 16
        table = self.data[table_at:table_at + 16 * n]
        need(n == 0 or xxh64(table) == stored["hash"], "a table of pieces is damaged")
        entries = [struct.unpack_from("<QQ", table, 16 * i) for i in range(n)] + [(stored["bytes"], 0)]
        for (at, check), (end, _) in zip(entries, entries[1:]):
            piece = self.data[begin + at:begin + end]
            need(xxh64(piece) == check, "a piece is damaged")
            yield piece

    def plain(self, t):
        need(t["codec"] < 2 or t["layout"] == "dense/rows", "a layout's bytes are the device's own")
        if t["codec"] != 1:
            out = b"".join(self.pieces(t["stored"]))
        else:
            out = self.decode(t)
        need(hashlib.sha256(out).digest() == t["sha"], t["name"] + ": another SHA-256")
        return out

    def decode(self, t):
        shape, w = t["shape"], t["width"]
        columns, rows, experts = shape[-1] if shape else 1, shape[-2] if len(shape) > 1 else 1, 1
        for size in shape[:-2]:
            experts *= size
        slots = [[(s, f, i) for s, f in table for i in range(f)] for table in t["tables"]]
        out, pieces = bytearray(t["bytes"]), self.pieces(t["stored"])
        for e in range(experts):
            for r0 in range(0, rows, t["tile_rows"]):
                for c0 in range(0, columns, t["tile_columns"]):
                    h, n = min(t["tile_rows"], rows - r0), min(t["tile_columns"], columns - c0)
                    elements = self.tile(next(pieces), slots, w, h * n)
                    for r in range(h):
                        at = ((e * rows + r0 + r) * columns + c0) * w
                        out[at:at + n * w] = elements[r * n * w:(r + 1) * n * w]
        return bytes(out)

    @staticmethod
    def tile(data, slots, w, count):
        planes, at = [], 0
        for table in slots:
            if table:
                plane, used = unrans(data, at, table, count)
                at += used
            else:
                plane = data[at:at + count]
                at += (count + 3) // 4 * 4
            planes.append(plane)
        need((at + 15) // 16 * 16 == len(data), "a tile has bytes left")
        if w == 1:
            return bytes(planes[0])
        out = bytearray(count * w)
        for i in range(count):
            sign_rest, top = planes[w - 2][i], planes[w - 1][i]
            value = sign_rest & 127 | top << 7 | (sign_rest >> 7) << 15
            for p in range(w - 2):
                out[i * w + p] = planes[p][i]
            out[i * w + w - 2], out[i * w + w - 1] = value & 255, value >> 8
        return out


def unrans(data, at, table, count):
    words = struct.unpack_from("<I", data, at)[0]
    states = list(struct.unpack_from("<32I", data, at + 4))
    stream, taken, out = struct.unpack_from("<%dH" % words, data, at + 132), 0, bytearray(count)
    for i in range(count):
        x = states[i % 32]
        out[i], f, rest = table[x & 4095]
        x = f * (x >> 12) + rest
        if x < 65536:
            x = x << 16 | stream[taken]
            taken += 1
        states[i % 32] = x
    need(taken == words and all(x == 65536 for x in states), "a coded plane does not end where it began")
    return out, 132 + 2 * (words + words % 2)


def files(bundle):
    """Restored files by name."""
    out = {}
    for place, f in enumerate(bundle.entries):
        content = b"".join(bundle.pieces(f["stored"]))
        need(hashlib.sha256(content).digest() == f["sha"], f["name"] + ": another SHA-256")
        parts = sorted((t["begin"], t) for t in bundle.tensors if t["file"] == place and t["bytes"]) if f["kind"] else []
        out[f["name"]] = content + b"".join(bundle.plain(t) for _, t in parts)
        need(len(out[f["name"]]) == f["bytes"], f["name"] + ": another length")
    return out


if __name__ == "__main__":
    read = Bundle(sys.argv[1])
    for name, content in files(read).items():
        print(hashlib.sha256(content).hexdigest(), name)
