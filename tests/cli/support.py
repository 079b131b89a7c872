"""What the tests of the command line share: running the command and counting checks. Standard library only."""
import os
import subprocess
import sys

TABES = os.environ.get("TABES", "build/tabes")
# A sanitizer's leak check must not turn exit codes into its own when a signal ends the program.
ENV = dict(os.environ, LC_ALL="C.UTF-8")


class Checks:
    """Counts checks; the last line of a test is made by finish()."""

    def __init__(self, name):
        self.name, self.n, self.failed = name, 0, 0

    def check(self, ok, what):
        self.n += 1
        if not ok:
            self.failed += 1
            print(f"{self.name}: FAILED: {what}")
        return ok

    def finish(self, note=""):
        print(f"{self.name}: {self.n} checks, {self.failed} failed{note}")
        sys.exit(1 if self.failed else 0)


def tabes(*args, stdin=b"", timeout=120, env=None):
    """Runs the command: exit code, stdout and stderr as text."""
    p = subprocess.run([TABES, *map(str, args)], input=stdin, capture_output=True, timeout=timeout, env=env or ENV)
    return p.returncode, p.stdout.decode("utf-8", "surrogateescape"), p.stderr.decode("utf-8", "surrogateescape")
