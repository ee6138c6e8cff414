//! Thousands of endpoints of both vendors at once.
