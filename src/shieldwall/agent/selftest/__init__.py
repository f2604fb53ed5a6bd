"""Asking a real machine everything that providers ask, and writing down question and answer for tests to replay."""
