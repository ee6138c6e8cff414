//! Plays the vendors' clients against any mirror and probes the surroundings; every finding has a remedy.
