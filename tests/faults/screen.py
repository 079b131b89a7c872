"""The workbench in a pseudo-terminal: what it draws is kept, its modes are compared, and nothing is read from it but
whether it holds the screen. Standard library only."""
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time

from faulty import ENV, PROGRAM


class Screen:
    """The program on a terminal of its own, its messages on a pipe."""

    def __init__(self, args, env=None, size=(120, 40), controlling=True):
        self.master, self.slave = pty.openpty()
        self.resize(*size, tell=False)
        self.before = termios.tcgetattr(self.slave)
        self.drawn = b""
        # With a controlling terminal its end comes as a signal, too; without one only as the end of input.
        take = (lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0)) if controlling else None
        self.p = subprocess.Popen([PROGRAM, *map(str, args)], stdin=self.slave, stdout=self.slave, stderr=subprocess.PIPE,
                                  env=dict(ENV, TERM="xterm-256color", **(env or {})), start_new_session=True, preexec_fn=take)
        os.set_blocking(self.master, False)

    def pump(self, seconds):
        """Takes what it draws for that long, or until it has ended."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            ready = select.select([self.master], [], [], min(left, 0.05))[0]
            try:
                self.drawn += os.read(self.master, 1 << 16) if ready else b""
            except OSError:
                pass
            if self.p.poll() is not None and not ready:
                break

    def drain(self):
        """What is left in the terminal when it has ended."""
        try:
            while chunk := os.read(self.master, 1 << 16):
                self.drawn += chunk
        except OSError:
            pass

    def wait_drawn(self, what, seconds=20):
        until = time.monotonic() + seconds
        while what not in self.drawn and self.p.poll() is None and time.monotonic() < until:
            self.pump(0.05)
        return what in self.drawn

    def settle(self, quiet=0.3, seconds=20):
        """Until it has drawn nothing for a while."""
        until = time.monotonic() + seconds
        while time.monotonic() < until and self.p.poll() is None:
            n = len(self.drawn)
            self.pump(quiet)
            if len(self.drawn) == n:
                break

    def send(self, keys):
        try:
            os.write(self.master, keys)
        except BlockingIOError:
            pass  # it does not read just now

    def resize(self, cols, rows, tell=True):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))
        if tell and self.p.poll() is None:
            self.p.send_signal(signal.SIGWINCH)

    def end(self, seconds=20):
        """Its exit code, or None when it does not end; and its messages."""
        until = time.monotonic() + seconds
        while self.p.poll() is None and time.monotonic() < until:
            self.pump(0.05)
        code = self.p.poll()
        if code is None:
            self.p.kill()
        self.p.wait()
        self.drain()
        said = self.p.stderr.read().decode("utf-8", "replace")
        self.p.stderr.close()
        return code, said

    def restored(self):
        """The terminal is as a shell expects it."""
        on, off = self.drawn.rfind(b"\033[?1049h"), self.drawn.rfind(b"\033[?1049l")
        hidden, shown = self.drawn.rfind(b"\033[?25l"), max(self.drawn.rfind(b"\033[?25h"), self.drawn.rfind(b"\033[34h\033[?25h"),
                                                           self.drawn.rfind(b"\033[?12l\033[?25h"))
        wrong = ["modes"] * (termios.tcgetattr(self.slave) != self.before) + ["screen"] * (on > off) + \
            ["cursor"] * (hidden > shown)
        if wrong:
            print(f"not restored: {wrong}, the end of what was drawn: {self.drawn[-200:]!r}", flush=True)
        return not wrong

    def vanish(self):
        os.close(self.master)
        os.close(self.slave)
        self.master = self.slave = -1

    def close(self):
        for fd in (self.master, self.slave):
            if fd >= 0:
                os.close(fd)

    def memory_kib(self):
        """What is resident, or 0 when it has ended."""
        try:
            with open(f"/proc/{self.p.pid}/status") as f:
                return next((int(x.split()[1]) for x in f if x.startswith("VmRSS:")), 0)
        except OSError:
            return 0
