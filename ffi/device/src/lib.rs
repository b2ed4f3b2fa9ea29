//! fieldbook-device
