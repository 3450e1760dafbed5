//! A transport on iroh.
