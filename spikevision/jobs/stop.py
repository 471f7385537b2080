"""Ctrl-C and SIGTERM as a wish to stop that the run honours at the next safe point."""

import os
import signal
import threading
from types import FrameType, TracebackType
from typing import Any

NOTICE = b"\nstopping after this iteration; Ctrl-C again stops at once\n"


class TrainingStopped(Exception):
    """Training left its loop on request, with a resumable checkpoint on disk.

    Args:
        signum: The signal that asked for it.
    """

    def __init__(self, signum: int) -> None:
        super().__init__(f"stopped by {signal.Signals(signum).name}")
        self.signum = signum


class StopRequest:
    """While entered, the first SIGINT or SIGTERM is noted; a second Ctrl-C raises ``KeyboardInterrupt``.

    Outside the main thread, where Python takes no signal handlers, it stays unset.
    """

    def __init__(self) -> None:
        self.signum: int | None = None
        self._pid = os.getpid()
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "StopRequest":
        if threading.current_thread() is threading.main_thread():
            for signum in (signal.SIGINT, signal.SIGTERM):
                self._before[signum] = signal.signal(signum, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for signum, handler in self._before.items():
            signal.signal(signum, handler)

    def _note(self, signum: int, frame: FrameType | None) -> None:
        if signum == signal.SIGINT and self.signum is not None:
            raise KeyboardInterrupt
        self.signum = self.signum or signum
        if signal.SIGCHLD not in self._before:
            # torch raises at any point when a worker ends; the same signal may have ended them, so let the
            # iteration finish first
            self._before[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        if os.getpid() == self._pid:  # forked data loader workers inherit the handler
            os.write(2, NOTICE)  # a logger could be in the middle of writing
