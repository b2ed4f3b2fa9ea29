//! fieldbook
fn main() {}
