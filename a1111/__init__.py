"""The WebUI's face (Automatic1111, Forge): a tab, a job in its queue, and an API. Training is the command line's."""
