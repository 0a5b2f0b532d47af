"""Figures of models in a real ComfyUI's memory, taken in one process of it: `run.py` runs the modules that it is told.

Each module's `figures` returns {what is measured: its value}, ready for JSON. `measured` starts that process.
"""
