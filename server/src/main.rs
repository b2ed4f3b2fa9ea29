//! The `fieldbook` command.

use std::process::ExitCode;

use mimalloc::MiMalloc;

// The gate makes and drops thousands of small things for every change it judges; see docs/performance.md.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    fieldbook_server::cli::main()
}
