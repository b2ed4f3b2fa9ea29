//! fieldbook-engines
