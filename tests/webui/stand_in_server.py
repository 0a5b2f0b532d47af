"""The stand-in's page, with every extension's tab in it.

`stand_in_server.py PACKAGES EXTENSION DATA PORT KIND [API_AUTH]`. PACKAGES: the folder of a Gradio, or "". KIND: a list
in surfaces/. Its "Generate" waits in the queue and writes down when its turn came.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import threading
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from stand_in import WebUI  # type: ignore[import-not-found]  # a script's neighbour, as in a host


def load_scripts(extension: Path) -> None:
    """As modules.scripts.load_scripts does: flat, with the extension's root on sys.path for that long only."""
    before = sys.path
    for file in sorted((extension / "scripts").glob("*.py")):
        sys.path = [str(extension), *sys.path]
        try:
            spec = importlib.util.spec_from_file_location(os.path.basename(file), file)  # noqa: PTH119
            assert spec is not None and spec.loader is not None
            spec.loader.exec_module(importlib.util.module_from_spec(spec))
        finally:
            sys.path = before


def generate(webui: WebUI, prompt: str) -> str:
    """As txt2img: it waits for its turn."""
    webui.pending["task(txt2img)"] = 0.0
    webui.log("txt2img waits")
    with webui.queue_lock:
        webui.pending.clear()
        webui.state.begin("txt2img")
        webui.log("txt2img")
        webui.state.end()
    return f"drawn: {prompt}"


def page(webui: WebUI) -> Any:
    """txt2img, and every extension's tab."""
    import gradio as gr

    tabs = [tab for build in webui.tabs for tab in build()]
    with gr.Blocks(title="stand-in") as demo:
        with gr.Tabs(elem_id="tabs"):
            with gr.Tab("txt2img", id="txt2img", elem_id="tab_txt2img"):
                prompt = gr.Textbox(label="Prompt", elem_id="txt2img_prompt")
                drawn = gr.Textbox(label="Drawn", elem_id="txt2img_drawn")
                gr.Button("Generate", elem_id="txt2img_generate").click(partial(generate, webui), [prompt], [drawn])
            for blocks, title, name in tabs:
                with gr.Tab(title, id=name, elem_id=f"tab_{name}"):
                    blocks.render()
        for binding in webui.bindings:
            binding.paste_button.click(lambda text: text, [binding.source_text_component], [prompt])
    return demo


def main(extension: Path, data: Path, port: int, kind: str, api_auth: str | None = None) -> None:
    """Serve until killed."""
    webui = WebUI(data, kind, api_auth)
    load_scripts(extension)
    demo = page(webui)
    demo.queue(64)
    app, *_ = demo.launch(server_name="127.0.0.1", server_port=port, prevent_thread_lock=True, quiet=True)
    for callback in webui.started:
        callback(demo, app)
    app.add_api_route("/sdapi/v1/interrupt", webui.state.interrupt, methods=["POST"])
    app.add_api_route("/sdapi/v1/txt2img", lambda: generate(webui, ""), methods=["POST"])
    print("ready", flush=True)
    with suppress(KeyboardInterrupt):
        threading.Event().wait()


if __name__ == "__main__":
    packages, place, folder, number, *rest = sys.argv[1:]
    # Not by PYTHONPATH, which the training process would inherit.
    if packages:
        sys.path.insert(0, packages)
    main(Path(place), Path(folder), int(number), *rest)
