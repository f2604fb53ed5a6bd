"""Copies of a whole server: taken while it runs, brought back into an empty directory.

``archive`` is the file that holds one, ``databases`` copies and loads the two kinds of databases, ``taking`` and
``restoring`` say in which order.
"""
