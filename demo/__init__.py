"""The example graph in a real ComfyUI: the demo, and the harness that the tests share."""
