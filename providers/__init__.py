"""E-signature providers behind one small interface. Nothing here knows the portal."""
