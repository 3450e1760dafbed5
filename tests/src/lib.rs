//! Suites that cross crates. Everything is in `tests/`; this library is empty.
