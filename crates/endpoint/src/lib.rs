//! Reference endpoints: stand-ins that behave towards a mirror as the vendors' own do, and swarms of them.
