//! Tests of what only one implementation has.
