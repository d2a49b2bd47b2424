"""What stands on Troupe's wire, values, errors and proofs, and how a node of this host is found: bus/PROTOCOL.md."""
import fcntl
import hmac
import os
import stat
import struct
from dataclasses import dataclass
from pathlib import Path

import msgpack

CODES = dict(enumerate("""none timeout noproc noconnection name_taken not_allowed bad_message too_large overloaded
    system_limit undef bad_cookie unsupported stale shutting_down bad_argument exception exited already_started
    already_named bad_name not_found bad_config cannot_wait io closed cancelled running restarting""".split()))
NUMBERS = {name: code for code, name in CODES.items()}


class Failure(Exception):
    """An error of the wire; `name` is that of its code, "code 99" for one that this module does not know."""

    def __init__(self, code, text="", maybe_executed=False):
        self.code = NUMBERS[code] if isinstance(code, str) else code
        self.name, self.text, self.maybe_executed = CODES.get(self.code, f"code {self.code}"), text, maybe_executed
        super().__init__(f"{self.name}: {text}" if text else self.name)

    def to_wire(self):
        return {"code": self.code, "name": self.name, "text": self.text, "maybe_executed": self.maybe_executed}

    @staticmethod
    def from_wire(error):
        return Failure(error.get("code", 0), error.get("text", ""), error.get("maybe_executed", False))


@dataclass(frozen=True)
class Pid:
    name: str
    creation: int
    id: int

    def __str__(self):
        return f"<{self.name}#{self.creation:x}.{self.id}>" if self.name else "<nobody#0.0>"


class Reference(Pid):
    def __str__(self):
        return "#ref" + super().__str__()


def pack(value):
    return msgpack.packb(value, default=_to_extension, unicode_errors="surrogateescape")


def _to_extension(value):
    if isinstance(value, Pid):
        return msgpack.ExtType(2 if isinstance(value, Reference) else 1, pack([value.name, value.creation, value.id]))
    raise TypeError(f"{type(value).__name__} has no form on the wire")


def unpack_all(data):
    """The values that stand one behind the other. A length beyond the data is refused at its header."""
    unpacker = msgpack.Unpacker(raw=False, strict_map_key=False, unicode_errors="surrogateescape", ext_hook=_extension,
                                object_pairs_hook=lambda pairs: {_key(key): value for key, value in pairs},
                                max_buffer_size=max(len(data), 1))
    unpacker.feed(data)
    values = list(unpacker)
    if unpacker.tell() != len(data):
        raise ValueError("bytes end inside a value")
    return values


def unpack(data):
    value, = unpack_all(data)
    return value


def _extension(code, data):
    if code not in (1, 2):
        return tuple.__new__(msgpack.ExtType, (code, data))  # its own constructor takes no negative code
    parts = unpack(data)
    if not isinstance(parts, list) or [type(part) for part in parts] != [str, int, int] or min(parts[1:]) < 0:
        raise ValueError("a pid or reference that is none")
    return (Pid if code == 1 else Reference)(*parts)


def _key(value):
    """Lists and maps may be keys on the wire; in Python only what cannot change."""
    if isinstance(value, dict):
        value = [list(pair) for pair in value.items()]
    return tuple(map(_key, value)) if isinstance(value, list) else value


# -- finding a node of this host, and the secrets


def run_directory():
    user = os.geteuid()
    return os.environ.get("TROUPE_RUN_DIR") or (f"/tmp/troupe-{user}" if user else "/run/troupe")


def find(name, directory=None):
    """What the live node NAME (or NAME@localhost) of this host has announced, and its control key."""
    folder, name = Path(directory or run_directory()), name if "@" in name else name + "@localhost"
    try:
        check_private(folder, stat.S_ISDIR)
        entry = unpack((folder / f"{name}.node").read_bytes())
        entry["control_key"] = read_secret(folder / f"{name}.key")
        with open(folder / f"{name}.lock", "r+b") as lock:  # asked last: what was read is then of who holds it
            asked = struct.pack("hhqqi0q", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
            held = struct.unpack("hhqqi0q", fcntl.fcntl(lock, fcntl.F_OFD_GETLK, asked))[0] != fcntl.F_UNLCK
            if held and int(lock.read()) == entry["os_pid"] and entry["name"] == name:
                return entry
    except FileNotFoundError:
        pass
    raise Failure("noproc", f"{name} does not run here ({folder})")


def check_private(path, is_kind):
    about = os.lstat(path)
    if not is_kind(about.st_mode) or about.st_uid not in (os.geteuid(), 0) or about.st_mode & 0o077:
        raise Failure("not_allowed", f"{path} must belong to this user and be closed to others: chmod go= {path}")


def read_secret(path):
    check_private(path, stat.S_ISREG)
    return Path(path).read_text("ascii").strip()


def cookie(file=None):
    given = None if file else os.environ.get("TROUPE_COOKIE")
    return given.strip() if given else read_secret(file or Path.home() / ".troupe" / "cookie")


def prove(secret, role, *parts):
    parts = (b"troupe 1 " + role.encode(), *parts)
    return hmac.digest(secret.encode(), b"".join(struct.pack(">I", len(part)) + part for part in parts), "sha256")
