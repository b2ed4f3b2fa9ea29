//! The `fieldbook` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    fieldbook_server::cli::main()
}
