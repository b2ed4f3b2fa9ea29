//! fieldbook-tests
