"""The query language of listings, a subset of OData 4.01: text → tree → checked against fields → SQL or a predicate.

``parse`` reads a text by the grammar, ``check`` gives every name its field and every literal its type, ``sql`` makes
conditions with bound parameters of it, ``memory`` decides about resources that are held as JSON. ``fields`` says what
a listing may be asked about. Nothing here knows requests or storage functions.
"""
