"""What a support contract promises, as data: terms, their rules, their words and their tables.

Pure functions only: no table, no request, no clock of its own. docs/sla.md describes the document.
"""
