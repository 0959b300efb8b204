"""Countersign: a portal for software support contracts."""

__version__ = "0.1.0"
