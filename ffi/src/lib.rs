//! fieldbook-ffi
