#!/usr/bin/env python3
"""The commands of one CURVE connection, made from RFC 26's words and libsodium alone: prints what
tests/unit/bus/curve_mechanism_test.cpp expects; make_corpus.py takes the samples of curve_fuzz from here. Both sides
draw 00 01 02 … as their random bytes; the long keys follow from the cookie "an-example-of-a-cookie" as PROTOCOL.md has
it. Of each frame: its length, and its proof under "vector"."""
import ctypes
import hmac
import struct

sodium = ctypes.CDLL("libsodium.so.23")


def public_of(secret):
    out = ctypes.create_string_buffer(32)
    assert sodium.crypto_scalarmult_base(out, secret) == 0
    return out.raw


def box(text, nonce, theirs, ours):
    out = ctypes.create_string_buffer(len(text) + 16)
    assert sodium.crypto_box_easy(out, text, ctypes.c_ulonglong(len(text)), nonce, theirs, ours) == 0
    return out.raw


def secretbox(text, nonce, key):
    out = ctypes.create_string_buffer(len(text) + 16)
    assert sodium.crypto_secretbox_easy(out, text, ctypes.c_ulonglong(len(text)), nonce, key) == 0
    return out.raw


class Drawn:
    def __init__(self):
        self.next = 0

    def draw(self, count):
        self.next += count
        return bytes((self.next - count + i) % 256 for i in range(count))


def proof(key, *parts):
    return hmac.digest(key, b"".join(struct.pack(">I", len(part)) + part for part in parts), "sha256")


def long_key(role):
    secret = proof(b"an-example-of-a-cookie", b"troupe 1 curve " + role)
    return secret, public_of(secret)


def number(value):
    return struct.pack(">Q", value)


def frame(body, command=True):
    flags = 4 if command else 0
    if len(body) > 255:
        return bytes([flags | 2]) + number(len(body)) + body
    return bytes([flags, len(body)]) + body


def metadata(kind):
    return b"\x0bSocket-Type" + struct.pack(">I", len(kind)) + kind + b"\x08Identity" + struct.pack(">I", 0)


def transcript():
    """(name, frame) of each command; "inner" is what the box of INITIATE holds."""
    acceptor, acceptor_open = long_key(b"acceptor")
    dialler, dialler_open = long_key(b"dialler")
    at_dialler, at_acceptor = Drawn(), Drawn()
    c = at_dialler.draw(32)
    hello = (b"\x05HELLO\1\0" + bytes(72) + public_of(c) + number(1) +
             box(bytes(64), b"CurveZMQHELLO---" + number(1), acceptor_open, c))
    yield "hello", frame(hello)
    s = at_acceptor.draw(32)
    cookie_key = at_acceptor.draw(32)
    baked = at_acceptor.draw(16)
    cookie = baked + secretbox(public_of(c) + s, b"COOKIE--" + baked, cookie_key)
    nonce = at_acceptor.draw(16)
    yield "welcome", frame(b"\x07WELCOME" + nonce +
                           box(public_of(s) + cookie, b"WELCOME-" + nonce, public_of(c), acceptor))
    nonce = at_dialler.draw(16)
    vouch = nonce + box(public_of(c) + acceptor_open, b"VOUCH---" + nonce, public_of(s), dialler)
    inner = dialler_open + vouch + metadata(b"DEALER")
    yield "inner", inner
    yield "initiate", frame(b"\x08INITIATE" + cookie + number(2) +
                            box(inner, b"CurveZMQINITIATE" + number(2), public_of(s), c))
    yield "ready", frame(b"\x05READY" + number(1) +
                         box(metadata(b"ROUTER"), b"CurveZMQREADY---" + number(1), public_of(c), s))
    yield "message of the dialler", frame(b"\x07MESSAGE" + number(3) +
                                          box(b"\0hello", b"CurveZMQMESSAGEC" + number(3), public_of(s), c), False)
    yield "message of the acceptor", frame(b"\x07MESSAGE" + number(2) +
                                           box(b"\2\4PONG", b"CurveZMQMESSAGES" + number(2), public_of(c), s), False)


if __name__ == "__main__":
    for name, data in transcript():
        print(name, len(data), proof(b"vector", name.encode(), data).hex())
