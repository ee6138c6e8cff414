//! What endpoints are set to: made for a ring, merged into what is there, checked for what is known to break.
