"""The program on a device: it surveys, onboards, checks in, enforces and reports."""
