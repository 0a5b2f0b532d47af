"""The WebUI as this extension sees it. Only this folder asks for `modules`, `backend`, `ldm_patched` or `networks`."""
