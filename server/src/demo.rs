//! `fieldbook demo`: the whole product at work on this machine. Not part of this build yet; the command says so and fails.

use std::process::ExitCode;

/// Arguments of the command.
#[derive(Debug, clap::Args)]
pub struct DemoArgs {
    /// Leave the server running afterwards.
    #[arg(long)]
    pub stay: bool,
}

/// Runs the demonstration; the exit status tells whether everything converged.
///
/// # Errors
/// Always, for now.
pub async fn run(_: DemoArgs) -> Result<ExitCode, Box<dyn std::error::Error + Send + Sync>> {
    Err("this build holds no demonstration".into())
}
