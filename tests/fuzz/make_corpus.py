#!/usr/bin/env python3
"""Writes corpus/TARGET/valid-NAME, what the fuzz targets start from: one good input for each thing that a decoder
knows, in the bytes that bus/PROTOCOL.md gives it. Run it after a change of the wire and commit what it writes.

  tests/fuzz/make_corpus.py [FOLDER]     the folder of the corpora; else the one beside this file

The driver refuses to run when a `valid-` file is no longer understood; tests/unit/meta/corpus_test.py looks that the
committed files are these. Other files in the folders (inputs that once crashed) are left as they are.
"""

import pathlib
import struct
import sys

import curve_vectors


class Ext:
    def __init__(self, kind, data):
        self.kind, self.data = kind, data


class Float32(float):
    pass


def sized(value, forms):
    """The shortest of `forms`, (head byte, struct letter), that holds the number."""
    for head, letter in forms:
        if value < 1 << 8 * struct.calcsize(letter):
            return bytes([head]) + struct.pack(">" + letter, value)
    raise ValueError(value)


def pack(value):
    if value is None:
        return b"\xc0"
    if isinstance(value, bool):
        return b"\xc3" if value else b"\xc2"
    if isinstance(value, int):
        if 0 <= value < 128:
            return bytes([value])
        if value >= 0:
            return sized(value, [(0xcc, "B"), (0xcd, "H"), (0xce, "I"), (0xcf, "Q")])
        if value >= -32:
            return struct.pack("b", value)
        for head, letter, least in ((0xd0, "b", -2**7), (0xd1, "h", -2**15), (0xd2, "i", -2**31), (0xd3, "q", -2**63)):
            if value >= least:
                return bytes([head]) + struct.pack(">" + letter, value)
    if isinstance(value, Float32):
        return b"\xca" + struct.pack(">f", value)
    if isinstance(value, float):
        return b"\xcb" + struct.pack(">d", value)
    if isinstance(value, str):
        data = value.encode()
        return (bytes([0xa0 + len(data)]) if len(data) < 32 else
                sized(len(data), [(0xd9, "B"), (0xda, "H"), (0xdb, "I")])) + data
    if isinstance(value, bytes):
        return sized(len(value), [(0xc4, "B"), (0xc5, "H"), (0xc6, "I")]) + value
    if isinstance(value, (list, tuple)):
        head = bytes([0x90 + len(value)]) if len(value) < 16 else sized(len(value), [(0xdc, "H"), (0xdd, "I")])
        return head + b"".join(map(pack, value))
    if isinstance(value, dict):
        head = bytes([0x80 + len(value)]) if len(value) < 16 else sized(len(value), [(0xde, "H"), (0xdf, "I")])
        return head + b"".join(pack(key) + pack(item) for key, item in value.items())
    if isinstance(value, Ext):
        kind = struct.pack("b", value.kind)
        fixed = {1: 0xd4, 2: 0xd5, 4: 0xd6, 8: 0xd7, 16: 0xd8}.get(len(value.data))
        if fixed:
            return bytes([fixed]) + kind + value.data
        return sized(len(value.data), [(0xc7, "B"), (0xc8, "H"), (0xc9, "I")]) + kind + value.data
    raise TypeError(type(value))


def nested(depth, value=None):
    for _ in range(depth):
        value = [value]
    return value


def pid(name, creation, number):
    return Ext(1, pack([name, creation, number]))


def ref(name, creation, number):
    return Ext(2, pack([name, creation, number]))


def error(code, text, executed=False):
    return {"code": code, "name": "", "text": text, "maybe_executed": executed}


SENDER = pid("peer@fuzz", 2, 7)  # signals_fuzz.cpp knows these two lives
RECEIVER = pid("own@fuzz", 1, 9)
ELSEWHERE = pid("third@host", 0x12c, 2)
TREE = {"name": "a", "weight": 1.5, "children": [{"name": "b", "children": [], "notes": {}}], "notes": {5: ["x", None]}}

VALUES = {
    "nil": None, "true": True, "false": False, "small": 5, "negative": -5, "uint64": 2**64 - 1, "int64": -2**63,
    "int16": -300, "int32": -70000, "uint16": 60000, "uint32": 2**32 - 1, "float": 1.0, "float32": Float32(0.5),
    "nan": float("nan"), "text": "hello", "text8": "ä" * 40, "text16": "x" * 300, "bytes": b"\x00\xff",
    "bytes16": b"b" * 300, "empty-list": [], "empty-map": {}, "list": [1, "two", 3.0, None], "list16": list(range(20)),
    "map": {"a": 1, 2: "b"}, "map16": {number: number for number in range(20)}, "deep": nested(60),
    "pid": ELSEWHERE, "nobody": pid("", 0, 0),
    "reference": ref("n@h", 1, 2), "reserved": Ext(7, b"abc"), "timestamp": Ext(-1, b"\x00\x00\x00\x01"),
    "ext16": Ext(100, b"e" * 300), "message": ["push", {"number": 5.0}], "tree": TREE,
}

CONTROLS = {
    "ping": [["ping", 1]], "pong": [["pong", 1, 0]], "credit": [["credit", 131072]], "gone": [["gone"]],
    "ended": [["ended"]], "bye": [["bye", error(14, "the node stops")]],
    "several": [["ping", 2**40], ["pong", 3, 2**64 - 1], ["credit", 64], ["later", {"x": 1}, 2], ["gone", "more"]],
}

WHO = {
    "name": "a-b.c_1@host.example", "creation": 2**32, "hidden": True, "tool": False, "application": "exercise",
    "features": ["signals", "chunks"], "needs": ["signals"], "frame_bytes": 65536, "message_bytes": 2**30,
    "credit_bytes": 4 << 20, "tick_ms": 15000,
}
STEPS = {
    "hello": {"protocol_min": 1, "protocol_max": 1, "who": WHO, "secret": "cookie", "nonce": bytes(range(32))},
    "hello-of-tool": {"protocol_min": 1, "protocol_max": 9, "who": WHO | {"tool": True, "tick_ms": 1000},
                      "secret": "control_key", "nonce": b"n" * 32, "later": ["x"]},
    "challenge": {"protocol": 1, "who": WHO, "nonce": b"m" * 32, "connection": b"12345678"},
    "proof": {"proof": b"p" * 32},
    "welcome": {"proof": b"w" * 32},
    "refused": error(4, "the name is taken"),
}

SIGNALS = {
    "message": [1, 7, 9, ["push", {"number": 5.0}]],
    "message-to-name": [1, SENDER, "exercise.calculator", ["push", {"number": 5.0}]],
    "message-of-nobody": [1, None, RECEIVER, nested(20)],
    "message-of-another": [1, ELSEWHERE, 9, "text"],
    "call": [2, 5, "echo", 1, "hello"],
    "reply": [3, 17, 5, 1, ["echo", "hello"]],
    "reply-error": [4, None, 5, 2**63, error(2, "nobody is there", True)],
    "down": [5, 7, 9, 3, "normal"],
    "down-of-nobody": [5, None, 9, 3, "noproc"],
    "exit": [6, 7, 9, ["exception", {"type": "std::runtime_error", "text": "no", "place": "a.cpp:1"}]],
    "exit-asked": [7, ELSEWHERE, "worker", "kill"],
    "link": [8, 7, 9],
    "unlink": [9, 7, 9, 0],
    "unlink-ack": [10, 7, 9, 0],
    "monitor": [11, 7, "exercise.calculator", 4],
    "demonitor": [12, SENDER, RECEIVER, 4],
    "group-leader": [13, 7, 9, SENDER],
    "no-group-leader": [13, 7, 9, None],
    "spawn": [14, 7, 5, "chat.room", ["lobby", 100], {"leader": 7, "link": True, "monitor": 6, "later": [1]}],
    "rpc": [15, 7, 6, "math.abs", [-1], {"leader": None}],
    "rpc-cast": [15, None, 0, "exercise.calculator.push", [5.0], {}],
    "chunk": [16, 7, 1, 300, b"d" * 100],
    "nodes": [128, None, [["a@host", ["tcp://10.0.0.1:4370", "tcp://[::1]:4370"]], ["b@host", []]]],
    "later-signal": [200, 7, {"what": "nobody knows"}],
    "later-items": [8, 7, 9, "more", {"of": "a newer peer"}],
}


def zmtp_frame(data, flags=0):
    if len(data) > 255:
        return bytes([flags | 2]) + struct.pack(">Q", len(data)) + data
    return bytes([flags, len(data)]) + data


def zmtp_command(name, data=b""):
    return zmtp_frame(bytes([len(name)]) + name + data, 4)


def zmtp_property(name, value):
    return bytes([len(name)]) + name + struct.pack(">I", len(value)) + value


def zmtp_greeting(mechanism):
    return b"\xff" + bytes(7) + b"\1\x7f\3\1" + mechanism.ljust(20, b"\0") + bytes(32)


READY = zmtp_command(b"READY", zmtp_property(b"Socket-Type", b"DEALER") + zmtp_property(b"Identity", b""))
ZMTP = {
    "greeting": zmtp_greeting(b"NULL"), "greeting-curve": zmtp_greeting(b"CURVE"), "ready": READY,
    "ping": zmtp_command(b"PING", b"\0\x0acontext"), "error": zmtp_command(b"ERROR", b"\4none"),
    "short": zmtp_frame(b"hello"), "empty": zmtp_frame(b""), "long": zmtp_frame(b"x" * 300),
    "parts": zmtp_frame(b"one", 1) + zmtp_frame(b"two"),
    "session": zmtp_greeting(b"NULL") + READY + zmtp_frame(b"hello") + zmtp_command(b"PING", b"\0\x0a"),
}


def corpora():
    """(target, name, bytes) of each file."""
    for name, value in VALUES.items():
        yield "decoder_fuzz", name, pack(value)
    for name, controls in CONTROLS.items():
        payload = b"".join(map(pack, controls))
        yield "frames_fuzz", "control-" + name, pack([2, b"connectn"])[:12] + payload
        yield "frames_fuzz", "payload-" + name, payload
    yield "frames_fuzz", "signals", pack([1, b"connectn"])[:12] + pack(SIGNALS["call"])
    for name, body in STEPS.items():
        yield "handshake_fuzz", name, pack(["troupe", name.split("-")[0], body])
    for name, signal in SIGNALS.items():
        yield "signals_fuzz", name, pack(signal)
    for name, data in ZMTP.items():
        yield "zmtp_fuzz", name, data
    curve = dict(curve_vectors.transcript())
    yield "curve_fuzz", "hello", b"\0" + curve["hello"]
    yield "curve_fuzz", "handshake", b"\0" + curve["hello"] + curve["initiate"]
    yield "curve_fuzz", "and-a-message", b"\0" + curve["hello"] + curve["initiate"] + curve["message of the dialler"]
    yield "curve_fuzz", "inner", b"\1" + curve["inner"]
    yield "curve_fuzz", "inner-later", b"\1" + curve["inner"] + zmtp_property(b"later", b"what nobody knows")
    yield "curve_fuzz", "inner-of-a-router", b"\1" + curve["inner"].replace(b"DEALER", b"ROUTER")
    yield "signals_fuzz", "all", b"".join(map(pack, SIGNALS.values()))


def main(words):
    folder = pathlib.Path(words[0]) if words else pathlib.Path(__file__).resolve().parent / "corpus"
    written = set()
    for target, name, data in corpora():
        file = folder / target / ("valid-" + name)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        written.add(file)
    for file in folder.glob("*/valid-*"):
        if file not in written:
            file.unlink()
    print(f"{len(written)} files in {folder}")


if __name__ == "__main__":
    main(sys.argv[1:])
