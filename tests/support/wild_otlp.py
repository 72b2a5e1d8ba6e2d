"""Trace requests as nobody should encode them, written field by field: legal, odd, and broken ones.

Everything is driven by a ``random.Random``: hypothesis gives one that it can shrink, the fuzzer a plain one.
"""

from __future__ import annotations

import struct
from random import Random

_TEXTS = (
    "",
    "a",
    "GET /cart",
    "naïve café",
    "日本語のテキスト",
    "emoji 😀 and 𝔘𝔫𝔦",
    'quotes " and \\ backslashes \\"',
    "tab\tnewline\ncarriage\rbell\x07null\x00escape\x1bdelete\x7f",
    "$", "$$x", "$bytes", "$double",
    "x" * 31, "x" * 32, "x" * 33, "y" * 63, "y" * 64, "z" * 127, "z" * 128, "w" * 300,
    "é" * 16, "x" * 31 + "é", "x" * 29 + "😀", "x" * 15 + "\n" + "x" * 16,
    "\u2028\u2029\ufeff\uffff", "\x80\x9f", "\ud7ff\ue000",
    "123", "0", "503", "007", "2147483647", "2147483648", "9999999999999999999", "-5", "١٢٣",
)  # fmt: skip
_KEYS = (
    "note", "count", "ratio", "flag",
    "http.request.method", "http.method", "http.response.status_code", "http.status_code", "server.port",
    "net.peer.port", "server.address", "net.peer.name", "db.system", "db.system.name", "peer.service",
    "service.peer.name", "messaging.destination", "messaging.destination.name", "rpc.service", "user.id",
    "app.é", "$ref", "$$", "", "a", "b", "k" * 32, "k" * 33, "k" * 127, "k" * 128, 'k"', "k\n",
)  # fmt: skip
_BAD_TEXTS = (b"\xff", b"abc\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"x" * 31 + b"\xe2\x82", b"\x80")
_NUMBERS = (
    0,
    1,
    9,
    10,
    99,
    127,
    128,
    255,
    300,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**32,
    2**63 - 1,
    2**63,
    2**64 - 1,
)
_DOUBLES = (0.0, -0.0, 1.0, -1.5, 0.1, 1e22, 1e16, 1e-5, 5e-324, 1.7976931348623157e308)
_DOUBLES += (float("inf"), float("-inf"), float("nan"), 123456789.125, 2.0**53)


def varint(number: int, padding: int = 0) -> bytes:
    """``number`` (of 64 bits) as a varint, with ``padding`` bytes more than it needs."""
    number &= 2**64 - 1
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    for _ in range(min(padding, 10 - len(out))):
        out[-1] |= 0x80
        out.append(0)
    return bytes(out)


def tagged(number: int, wire_type: int) -> bytes:
    return varint(number << 3 | wire_type)


def run(number: int, content: bytes) -> bytes:
    """A length-delimited field."""
    return tagged(number, 2) + varint(len(content)) + content


class Wild:
    """Makes requests; ``oddness`` is the chance of each thing that no SDK does."""

    def __init__(self, random: Random, oddness: float) -> None:
        self._random = random
        self._oddness = oddness

    def odd(self) -> bool:
        return self._random.random() < self._oddness

    def request(self) -> bytes:
        return self._message([run(1, self._resource_spans()) for _ in range(self._few())])

    def _few(self) -> int:
        return self._random.choice((0, 1, 1, 1, 2, 3))

    def _number(self, number: int, value: int) -> bytes:
        padding = self._random.randrange(1, 9) if self.odd() else 0
        return tagged(number, 0) + varint(value, padding)

    def _any_number(self) -> int:
        if self._random.random() < 0.5:
            return self._random.choice(_NUMBERS)
        return self._random.getrandbits(self._random.choice((4, 8, 16, 32, 63, 64)))

    def _text(self) -> bytes:
        if self.odd() and self.odd():
            return self._random.choice(_BAD_TEXTS)
        return self._random.choice(_TEXTS).encode()

    def _unknown(self) -> bytes:
        number = self._random.choice((19, 31, 77, 200, 2000, 1 << 20))
        kind = self._random.randrange(6)
        if kind == 0:
            return self._number(number, self._any_number())
        if kind == 1:
            return tagged(number, 1) + b"12345678"
        if kind == 2:
            return run(number, self._text())
        if kind == 3:
            return tagged(number, 5) + b"1234"
        if kind == 4:  # a group, and one inside it
            inner = tagged(3, 3) + run(1, b"x") + tagged(3, 4)
            return tagged(number, 3) + inner + self._number(1, 5) + tagged(number, 4)
        return run(self._random.choice((1, 2, 9)), b"")  # a known number with nothing in it

    def _message(self, fields: list[bytes]) -> bytes:
        if self.odd():
            self._random.shuffle(fields)
        if self.odd():
            fields.insert(self._random.randrange(len(fields) + 1), self._unknown())
        if self.odd() and fields:
            fields.append(self._random.choice(fields))
        content = b"".join(fields)
        return content[: self._random.randrange(len(content) + 1)] if self.odd() and self.odd() else content

    def _resource_spans(self) -> bytes:
        fields = []
        if self._random.random() < 0.9:
            attributes = [run(1, self._pair(b"service.name"))] if self._random.random() < 0.7 else []
            fields.append(run(1, self._message(attributes + self._attributes(1, self._few()))))
        fields += [run(2, self._scope_spans()) for _ in range(self._few())]
        if self._random.random() < 0.3:
            fields.append(run(3, self._text()))
        return self._message(fields)

    def _scope_spans(self) -> bytes:
        fields = []
        if self._random.random() < 0.8:
            scope = [run(1, self._text()), run(2, self._text()), *self._attributes(3, self._few())]
            fields.append(run(1, self._message(scope)))
        fields += [run(2, self.span()) for _ in range(self._random.choice((0, 1, 2, 3, 5, 9)))]
        if self._random.random() < 0.3:
            fields.append(run(3, self._text()))
        return self._message(fields)

    def _id(self, length: int) -> bytes:
        if self.odd():
            return self._random.choice((b"", b"\0" * length, b"x" * (length - 1), b"y" * (length + 1)))
        return self._random.randbytes(length)

    def _time(self) -> int:
        return self._any_number() if self.odd() else self._random.randrange(10**18, 2 * 10**18)

    def span(self) -> bytes:
        start = self._time()
        end = self._time() if self.odd() else start + self._random.randrange(10**9)
        fields = [run(1, self._id(16)), run(2, self._id(8))]
        if self._random.random() < 0.2:
            fields.append(run(3, self._text()))
        if self._random.random() < 0.7:
            fields.append(run(4, self._id(8)))
        fields.append(run(5, self._text()))
        fields.append(self._number(6, self._any_number() if self.odd() else self._random.randrange(6)))
        fields.append(tagged(7, 1) + struct.pack("<Q", start % 2**64))
        fields.append(tagged(8, 1) + struct.pack("<Q", end % 2**64))
        many = 300 if self.odd() and self.odd() else self._random.choice((0, 1, 2, 4, 8))
        fields += self._attributes(9, many)
        fields += self._some(self._number(10, self._any_number()))
        fields += [run(11, self._event()) for _ in range(self._random.choice((0, 0, 0, 1, 2)))]
        fields += self._some(self._number(12, self._any_number()))
        fields += [run(13, self._link()) for _ in range(self._random.choice((0, 0, 0, 1, 2)))]
        fields += self._some(self._number(14, self._any_number()))
        if self._random.random() < 0.3:
            code = self._any_number() if self.odd() else self._random.randrange(3)
            fields.append(run(15, self._message([run(2, self._text()), self._number(3, code)])))
        fields += self._some(tagged(16, 5) + struct.pack("<I", self._any_number() % 2**32))
        return self._message(fields)

    def _some(self, field: bytes) -> list[bytes]:
        return [field] if self._random.random() < 0.2 else []

    def _event(self) -> bytes:
        fields = [tagged(1, 1) + struct.pack("<Q", self._time() % 2**64), run(2, self._text())]
        return self._message([*fields, *self._attributes(3, self._few()), *self._some(self._number(4, 7))])

    def _link(self) -> bytes:
        fields = [run(1, self._id(16)), run(2, self._id(8)), *self._some(run(3, self._text()))]
        fields += [*self._attributes(4, self._few()), *self._some(self._number(5, 3))]
        return self._message([*fields, *self._some(tagged(6, 5) + b"\1\0\0\1")])

    def _attributes(self, number: int, count: int) -> list[bytes]:
        if count > len(_KEYS):
            return [run(number, self._pair(b"key %d" % place)) for place in range(count)]
        keys = self._random.sample(_KEYS, count)
        return [run(number, self._pair(key.encode())) for key in keys]

    def _pair(self, key: bytes, depth: int = 0) -> bytes:
        if self.odd() and self.odd():
            key = self._text()
        value = [] if self.odd() else [run(2, self._value(depth))]
        return self._message([run(1, key), *value])

    def _value(self, depth: int) -> bytes:
        if self.odd() and self.odd():
            return b""
        kind = self._random.choice((1, 1, 1, 1, 2, 3, 3, 4, 5, 6, 7, 8 if self.odd() else 1))
        if kind == 1:
            return self._message([run(1, self._text())])
        if kind == 2:
            return self._message([self._number(2, self._random.randrange(2))])
        if kind == 3:
            return self._message([self._number(3, self._any_number())])
        if kind == 4:
            double = self._random.choice(_DOUBLES)
            return self._message([tagged(4, 1) + struct.pack("<d", double)])
        if kind == 7:
            return self._message([run(7, self._random.randbytes(self._random.randrange(6)))])
        if kind == 8:
            return self._message([self._number(8, 3)])
        if depth > (40 if self.odd() else 3):
            return b""
        count = self._few()
        deeper = depth + 1
        if kind == 5:
            items = [run(1, self._value(deeper)) for _ in range(count)]
        else:
            items = [run(1, self._pair(key.encode(), deeper)) for key in self._random.sample(_KEYS, count)]
        return self._message([run(kind, self._message(items))])


def wild_request(random: Random, oddness: float) -> bytes:
    return Wild(random, oddness).request()


def mutated(random: Random, data: bytes) -> bytes:
    """``data`` with a few bytes changed, cut out, doubled or swapped."""
    out = bytearray(data)
    for _ in range(random.choice((1, 1, 1, 2, 3, 8))):
        if not out:
            break
        at = random.randrange(len(out))
        kind = random.randrange(8)
        if kind < 3:
            out[at] = random.getrandbits(8)
        elif kind == 3:
            out[at] ^= 1 << random.randrange(8)
        elif kind == 4:
            del out[at : at + random.choice((1, 2, 8, 40))]
        elif kind == 5:
            out[at:at] = out[at : at + random.choice((1, 2, 8, 40))]
        elif kind == 6:
            out[at] = random.choice((0, 1, 0x7F, 0x80, 0xFF))
        else:
            del out[at:]
    return bytes(out)
