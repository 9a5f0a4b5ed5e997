"""Compiled kernels: arrays and numbers in and out, nothing of the library above them."""
