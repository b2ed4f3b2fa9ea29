//! fieldbook-server
