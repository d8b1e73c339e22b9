"""Becomes the program it is given, as another user and bound to its parent's life if that is asked for.

Run as a script: `python -I -S launch.py PARENT SIGNAL UID GID PROGRAM [ARGUMENT ...]`; a SIGNAL of 0 and a
UID of `-` ask for nothing. It is a separate program since code between fork and exec is unsafe with threads.
"""

import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    parent, death_signal, uid, gid, *argv = sys.argv[1:]
    prctl = None
    if int(death_signal) and sys.platform == "linux":
        import ctypes  # now, since the other user may not be able to read our standard library

        prctl = ctypes.CDLL(None).prctl
    if uid != "-":
        os.setgroups([])
        os.setgid(int(gid))
        os.setuid(int(uid))
    if prctl:
        # After setuid, which clears it. The kernel sends it when the *thread* that started us ends.
        prctl(PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
        if os.getppid() != int(parent):  # the parent died before we asked
            sys.exit(1)
    # Python ignores these two signals, and an ignored signal stays so across exec.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    try:
        os.execvp(argv[0], argv)
    except OSError as error:
        print(f"{argv[0]}: {error.strerror}", file=sys.stderr)
        sys.exit(127)


if __name__ == "__main__":
    main()
