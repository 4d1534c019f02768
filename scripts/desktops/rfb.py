"""A small client of the remote framebuffer protocol (RFC 6143), as kVDI's browser client uses it.

Raw pixels only: client and server are on one machine. `ExtendedDesktopSize` (pseudo-encoding -308 of the
community's extension of the protocol) is how a client changes the size of the desktop.
"""

import socket
import struct
import time
from collections.abc import Callable
from types import TracebackType

import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]  # height x width x 3: red, green, blue

PROTOCOL = b"RFB 003.008\n"
SECURITY_NONE = 1
RAW, DESKTOP_SIZE, EXTENDED_DESKTOP_SIZE = 0, -223, -308
# 32 bits per pixel, depth 24, little endian, true colour; blue is the lowest byte.
PIXEL_FORMAT = struct.pack(">BBBBHHHBBBxxx", 32, 24, 0, 1, 255, 255, 255, 16, 8, 0)
CLIENTS_OWN_REQUEST = 1  # reason in an ExtendedDesktopSize rectangle
REFUSALS = {1: "resizing is not allowed", 2: "out of resources", 3: "the screen layout is not valid"}

RETURN, CONTROL, ALT, SUPER = 0xFF0D, 0xFFE3, 0xFFE9, 0xFFEB  # keysymdef.h


class RfbError(Exception):
    """The server closed the connection, or said what this client does not understand."""


class ResizeRefusedError(RfbError):
    """The server does not change the size of the desktop."""


class Client:
    """A connection to a VNC server, on which one message after the other is read.

    Attributes:
        name: what the server calls the desktop.
        picture: the desktop as far as the server has sent it.
        clipboard: the text that the desktop last copied; None before the first.
        seconds: how long to wait for the server before `TimeoutError`.
    """

    def __init__(self, connected: socket.socket, seconds: float = 20.0) -> None:
        self.seconds = seconds
        self.clipboard: str | None = None
        self._socket = connected
        self._resized: tuple[int, int] | None = None  # reason and status of the last change of size
        try:
            connected.settimeout(seconds)
            width, height, self.name = self._shake_hands()
        except BaseException:
            self.close()
            raise
        self.picture: Picture = np.zeros((height, width, 3), np.uint8)

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the connection."""
        self._socket.close()

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the desktop in pixels."""
        height, width = self.picture.shape[:2]
        return width, height

    def screenshot(self) -> Picture:
        """The whole desktop as it is now."""
        self.request(whole=True)
        self.read_until_drawn()
        return self.picture.copy()

    def wait_for_picture(self, wanted: Callable[[Picture], bool], seconds: float | None = None) -> Picture:
        """Follow the desktop's changes until its picture is as wanted.

        Raises:
            TimeoutError: it did not become so in time.
        """
        deadline = time.monotonic() + (self.seconds if seconds is None else seconds)
        self.request(whole=True)
        while True:
            self.read_until_drawn(deadline)
            if wanted(self.picture):
                return self.picture.copy()
            self.request(whole=False)

    def wait_until_still(self, still: float, seconds: float) -> Picture:
        """The picture, when nothing was drawn for `still` seconds, or after `seconds` whatever happens."""
        deadline = time.monotonic() + seconds
        self.request(whole=True)
        self.read_until_drawn()
        while (now := time.monotonic()) < deadline:
            self.request(whole=False)
            try:
                self.read_until_drawn(min(now + still, deadline))
            except TimeoutError:
                break
        return self.picture.copy()

    def request(self, *, whole: bool) -> None:
        """Ask for the picture: all of it, or what changes from now on."""
        width, height = self.size
        self._send(struct.pack(">BBHHHH", 3, not whole, 0, 0, width, height))

    def read_until_drawn(self, deadline: float | None = None) -> None:
        """Read messages up to the next part of the picture; `deadline` in monotonic seconds."""
        deadline = time.monotonic() + self.seconds if deadline is None else deadline
        while not self._read_message(deadline):
            pass

    def resize(self, width: int, height: int) -> None:
        """Ask for another size (SetDesktopSize), and wait until the desktop has it.

        Raises:
            ResizeRefusedError: the server does not allow it.
        """
        # The server tells of its support in the first update after SetEncodings.
        self.screenshot()
        self._resized = None
        screen = struct.pack(">IHHHHI", 0, 0, 0, width, height, 0)
        self._send(struct.pack(">BxHHBx", 251, width, height, 1) + screen)
        self.request(whole=False)
        deadline = time.monotonic() + self.seconds
        while self._resized is None:
            self._read_message(deadline)
        reason, status = self._resized
        if reason == CLIENTS_OWN_REQUEST and status != 0:
            raise ResizeRefusedError(REFUSALS.get(status, f"status {status}"))

    def key(self, keysym: int, *, down: bool) -> None:
        """Press or release a key."""
        self._send(struct.pack(">BBxxI", 4, down, keysym))

    def press(self, *keysyms: int) -> None:
        """Press keys together, as in Control+C, and release them."""
        for keysym in keysyms:
            self.key(keysym, down=True)
        for keysym in reversed(keysyms):
            self.key(keysym, down=False)

    def write(self, text: str) -> None:
        """Type a text; a line's end is the Return key."""
        for character in text:
            self.press(RETURN if character == "\n" else keysym_of(character))

    def point(self, x: int, y: int, buttons: int = 0) -> None:
        """Move the pointer; `buttons` is a mask, 1 for the left one."""
        self._send(struct.pack(">BBHH", 5, buttons, x, y))

    def click(self, x: int, y: int, button: int = 1) -> None:
        """Click at a place; button 1 is the left one, 3 the right one."""
        self.point(x, y)
        self.point(x, y, 1 << (button - 1))
        self.point(x, y)

    def copy(self, text: str) -> None:
        """Give the desktop a text for its clipboard (Latin-1, as the protocol's own message has it)."""
        content = text.encode("latin-1")
        self._send(struct.pack(">BxxxI", 6, len(content)) + content)

    def wait_for_clipboard(self, text: str) -> None:
        """Read until the desktop has copied this text.

        Raises:
            TimeoutError: it did not in time.
        """
        deadline = time.monotonic() + self.seconds
        while self.clipboard != text:
            self._read_message(deadline)

    def _shake_hands(self) -> tuple[int, int, str]:
        if not self._read(12).startswith(b"RFB "):
            raise RfbError("it is not a VNC server")
        self._send(PROTOCOL)
        kinds = self._read(self._read(1)[0])
        if SECURITY_NONE not in kinds:
            reason = self._read(*self._unpack(">I")).decode(errors="replace") if not kinds else f"{kinds!r}"
            raise RfbError(f"the server asks for a login, or refuses: {reason}")
        self._send(bytes([SECURITY_NONE]))
        (refused,) = self._unpack(">I")
        if refused:
            raise RfbError(self._read(*self._unpack(">I")).decode(errors="replace"))
        self._send(b"\x01")  # shared: others stay connected
        width, height = self._unpack(">HH")
        self._read(16)
        name = self._read(*self._unpack(">I")).decode("utf-8", errors="replace")
        encodings = (RAW, EXTENDED_DESKTOP_SIZE, DESKTOP_SIZE)
        self._send(b"\0\0\0\0" + PIXEL_FORMAT)
        self._send(struct.pack(f">BxH{len(encodings)}i", 2, len(encodings), *encodings))
        return width, height, name

    def _read_message(self, deadline: float) -> bool:
        """Read one message; return whether it drew something."""
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the desktop did not become what was waited for")
        # A wait that ends before a message leaves the connection usable; within one it does not.
        self._socket.settimeout(left)
        kind = self._read(1)[0]
        self._socket.settimeout(self.seconds)
        if kind == 0:
            return self._read_update()
        if kind == 2:  # bell
            return False
        if kind == 3:
            self._read(3)
            self.clipboard = self._read(*self._unpack(">I")).decode("latin-1")
            return False
        raise RfbError(f"unknown message {kind}")

    def _read_update(self) -> bool:
        self._read(1)
        drawn = False
        for _ in range(*self._unpack(">H")):
            x, y, width, height, encoding = self._unpack(">HHHHi")
            if encoding == RAW:
                pixels = np.frombuffer(self._read(width * height * 4), np.uint8).reshape(height, width, 4)
                self.picture[y : y + height, x : x + width] = pixels[:, :, 2::-1]
                drawn = drawn or bool(width * height)
            elif encoding == EXTENDED_DESKTOP_SIZE:
                screens, *_ = self._unpack(">Bxxx")
                self._read(16 * screens)
                self._resized = (x, y)
                if (x, y) == (CLIENTS_OWN_REQUEST, 0) or x != CLIENTS_OWN_REQUEST:
                    self._set_size(width, height)
            elif encoding == DESKTOP_SIZE:
                self._set_size(width, height)
            else:
                raise RfbError(f"unknown encoding {encoding}")
        if not drawn:
            # TigerVNC answers a request for everything with the size alone; what it owes comes at the next.
            self.request(whole=False)
        return drawn

    def _set_size(self, width: int, height: int) -> None:
        if self.size != (width, height):
            self.picture = np.zeros((height, width, 3), np.uint8)

    def _send(self, message: bytes) -> None:
        self._socket.sendall(message)

    def _read(self, length: int) -> bytes:
        content = bytearray(length)
        missing = memoryview(content)
        while missing:
            count = self._socket.recv_into(missing)
            if not count:
                raise RfbError("the server closed the connection")
            missing = missing[count:]
        return bytes(content)

    def _unpack(self, layout: str) -> tuple[int, ...]:
        return struct.unpack(layout, self._read(struct.calcsize(layout)))


def connect_unix(path: str, seconds: float = 20.0) -> Client:
    """A client on a unix socket that listens already.

    Raises:
        OSError: nobody listens there.
    """
    plug = socket.socket(socket.AF_UNIX)
    plug.settimeout(seconds)
    try:
        plug.connect(path)
    except BaseException:
        plug.close()
        raise
    return Client(plug, seconds)


def keysym_of(character: str) -> int:
    """X's name for a character: Latin-1 is itself, others are Unicode plus 0x01000000 (keysymdef.h)."""
    code = ord(character)
    return code if code < 0x100 else 0x01000000 | code
