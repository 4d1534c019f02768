"""A client of the X protocol (X Window System Protocol, version 11), as an application's container has it.

Run as a program inside a container: `x_client.py fill RED GREEN BLUE` covers the screen with a colour and
stays until it is ended; `x_client.py look` prints the screen as `WIDTH HEIGHT` and one hexadecimal RRGGBB for
each of nine points. `DISPLAY` and `XAUTHORITY` say where, as for every X client. Exit status 3: refused.
"""

import os
import signal
import socket
import struct
import sys
from pathlib import Path

CREATE_WINDOW, MAP_WINDOW, GET_IMAGE, GET_INPUT_FOCUS = 1, 8, 73, 43
BACK_PIXEL, OVERRIDE_REDIRECT = 0x2, 0x200
Z_PIXMAP = 2


def connect() -> "tuple[socket.socket, bytes]":
    """A connection, and the server's description of itself."""
    number = os.environ["DISPLAY"].lstrip(":")
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.connect(f"/tmp/.X11-unix/X{number}")
    name, data = _cookie()
    head = struct.pack("<cxHHHHxx", b"l", 11, 0, len(name), len(data))
    connection.sendall(head + _padded(name) + _padded(data))
    success, length, _, _, units = struct.unpack("<BBHHH", _read(connection, 8))
    rest = _read(connection, units * 4)
    if success != 1:
        print(rest[:length].decode(errors="replace").strip(), file=sys.stderr)
        sys.exit(3)
    return connection, rest


def _cookie() -> "tuple[bytes, bytes]":
    try:
        content = Path(os.environ["XAUTHORITY"]).read_bytes()
    except (KeyError, OSError) as error:
        print(f"no cookie: {error}", file=sys.stderr)
        return b"", b""
    fields, offset = [], 2
    for _ in range(4):
        (length,) = struct.unpack_from(">H", content, offset)
        fields.append(content[offset + 2 : offset + 2 + length])
        offset += 2 + length
    return fields[2], fields[3]


def screen(setup: bytes) -> "tuple[int, int, int, int]":
    """Identifier of a new window, root window, width and height."""
    base, _, _, vendor = struct.unpack_from("<IIIH", setup, 4)
    formats = setup[21]
    first = 32 + vendor + (-vendor % 4) + 8 * formats
    root = struct.unpack_from("<I", setup, first)[0]
    width, height = struct.unpack_from("<HH", setup, first + 20)
    return base, root, width, height


def fill(red: int, green: int, blue: int) -> None:
    """Cover the screen with one window of this colour."""
    connection, setup = connect()
    window, root, width, height = screen(setup)
    values = struct.pack("<II", red << 16 | green << 8 | blue, 1)
    geometry = struct.pack("<hhHHHHI", 0, 0, width, height, 0, 1, 0)
    mask = struct.pack("<I", BACK_PIXEL | OVERRIDE_REDIRECT)
    body = struct.pack("<II", window, root) + geometry + mask + values
    connection.sendall(struct.pack("<BBH", CREATE_WINDOW, 0, 1 + len(body) // 4) + body)
    connection.sendall(struct.pack("<BBHI", MAP_WINDOW, 0, 2, window))
    # The answer to any question tells that what came before it is done.
    connection.sendall(struct.pack("<BBH", GET_INPUT_FOCUS, 0, 1))
    kind = _read(connection, 32)[0]
    assert kind == 1, f"the server answered with {kind}"
    print("drawn", flush=True)
    signal.pause()


def look() -> None:
    """Print nine points of the screen: corners, edges, centre."""
    connection, setup = connect()
    _, root, width, height = screen(setup)
    area = struct.pack("<IhhHHI", root, 0, 0, width, height, 0xFFFFFFFF)
    connection.sendall(struct.pack("<BBH", GET_IMAGE, Z_PIXMAP, 1 + len(area) // 4) + area)
    head = _read(connection, 32)
    assert head[0] == 1, f"the server answered with {head[0]}"
    pixels = _read(connection, struct.unpack_from("<I", head, 4)[0] * 4)
    print(width, height)
    for row in (0, height // 2, height - 1):
        for column in (0, width // 2, width - 1):
            (pixel,) = struct.unpack_from("<I", pixels, 4 * (row * width + column))
            print(f"{pixel & 0xFFFFFF:06x}")


def _read(connection: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = connection.recv(count - len(data))
        if not more:
            raise ConnectionError("the X server closed the connection")
        data += more
    return data


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)


if __name__ == "__main__":
    if sys.argv[1] == "fill":
        fill(*map(int, sys.argv[2:5]))
    else:
        look()
