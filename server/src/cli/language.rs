//! `fieldbook note` and `fieldbook first-contact`: what the phone reads out of dictated words, a text a line in, a line of JSON out.

use std::io::{BufRead, Write};
use std::process::ExitCode;

use clap::Args;
use fieldbook_core::language::{Words, first_contact, read_note};
use fieldbook_core::limits;
use jiff::civil::Date;
use serde::Serialize;

use super::Failure;

#[derive(Debug, Args)]
pub(super) struct NoteArgs {
    /// The day on which the notes were dictated, as 2026-02-17.
    #[arg(long, value_parser = super::company::day)]
    on: Date,
}

pub(super) fn note(args: &NoteArgs) -> Result<ExitCode, Failure> {
    each_line(|text| read_note(text, args.on, Words::medical()))
}

pub(super) fn contact() -> Result<ExitCode, Failure> {
    each_line(|text| first_contact(text, Words::medical()))
}

/// Answers every line of standard input, an empty one too, so that the nth answer belongs to the nth line.
fn each_line<T: Serialize>(read: impl Fn(&str) -> T) -> Result<ExitCode, Failure> {
    let (mut input, mut output) = (std::io::stdin().lock(), std::io::stdout().lock());
    let mut line = Vec::new();
    loop {
        line.clear();
        if input.read_until(b'\n', &mut line)? == 0 {
            return Ok(ExitCode::SUCCESS);
        }
        // What is not UTF-8 is read as far as it is; a line of any length costs what is read of it.
        line.truncate(limits::DICTATION_MAX_CHARS * 4);
        let text = String::from_utf8_lossy(&line);
        serde_json::to_writer(&mut output, &read(text.trim_matches(['\u{feff}', '\r', '\n'])))?;
        output.write_all(b"\n")?;
        output.flush()?;
    }
}
