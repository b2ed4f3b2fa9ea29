//! The `fieldbook` command.
fn main() {}
