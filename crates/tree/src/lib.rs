//! A ring as a plain folder beside HTTP: whole, swapped, repaired.
