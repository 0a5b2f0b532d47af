"""Pretrained base models: their files, modules, conditioning and noise process."""
