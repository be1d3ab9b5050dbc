"""The words of a record and a verdict, as types: standard library alone, imported by every room."""
