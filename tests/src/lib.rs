//! Suites that cross Quorate's crates: they need two layers at once, or the simulator, on which no
//! layer may depend.
//!
//! The suites stand in `tests/tests`, one scenario per file with a sentence as its name; what they
//! share stands here. Fuzz targets, published peers and downstream builds are workspaces of their
//! own beside it (`fuzz`, `peers`, `downstream`), because they need other tools or other versions.
