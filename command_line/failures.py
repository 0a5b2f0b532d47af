"""What ends a command, in one line that says what to change."""

from __future__ import annotations

NO_MEMORY = (
    "there is not enough memory ({0}). Smaller pictures need less, and fewer of them at once, a smaller base, or "
    "another device"
)


def in_one_line(error: BaseException) -> str | None:
    """What a user can change; None for a bug, whose traceback is wanted."""
    if isinstance(error, OSError):
        return f"{error.filename}: {error.strerror}" if error.filename and error.strerror else f"{error}"
    if isinstance(error, ValueError):
        return " ".join(str(error).split())
    if isinstance(error, RuntimeError | MemoryError):
        # torch is there already, where it has no memory left; a command that fails before stays quick.
        from ..trainer.out_of_memory import is_out_of_memory

        if is_out_of_memory(error):
            return NO_MEMORY.format(str(error).partition("\n")[0].strip() or type(error).__name__)
    return None
