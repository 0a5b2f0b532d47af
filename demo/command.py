"""The `demo` command: one run of the example graph, or all pictures of the repository anew."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..trainer.operating_system import exit_on_stop
from .environment import SetUpError
from .host_process import ComfyUIError
from .pictures import make_pictures
from .run import Demo


def run(arguments: argparse.Namespace) -> int:
    """Run the demo and return the exit status; what went wrong is printed, with the log's place."""
    exit_on_stop()
    output: Path = arguments.output
    output.mkdir(parents=True, exist_ok=True)
    try:
        if arguments.pictures:
            make_pictures(output)
        else:
            Demo(output, arguments.subject, arguments.method).run()
    except (ComfyUIError, SetUpError, ValueError) as error:
        print(f"\nThe demo stopped: {error}\nComfyUI's log: {output / 'comfyui.log'}")
        return 1
    except KeyboardInterrupt:
        print("\nstopped")
        return 130
    return 0
