//! `fieldbook note` and `fieldbook first-contact`: what the phone reads out of dictated words, a text a line in, a line of JSON out.

use std::io::{BufRead, ErrorKind, Read, Write};
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
    answer(|text| read_note(text, args.on, Words::medical()))
}

pub(super) fn contact() -> Result<ExitCode, Failure> {
    answer(|text| first_contact(text, Words::medical()))
}

/// Answers standard input until it ends, or until nobody listens any more.
fn answer<T: Serialize>(read: impl Fn(&str) -> T) -> Result<ExitCode, Failure> {
    match each_line(std::io::stdin().lock(), std::io::stdout().lock(), read) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(ExitCode::SUCCESS),
    }
}

/// Answers every line, an empty one too, so that the nth answer belongs to the nth line.
fn each_line<T: Serialize>(
    mut input: impl BufRead,
    mut output: impl Write,
    read: impl Fn(&str) -> T,
) -> std::io::Result<()> {
    let mut line = Vec::new();
    loop {
        line.clear();
        // A line of any length costs what is read of it.
        let most = limits::DICTATION_MAX_CHARS * 4;
        if (&mut input).take(most as u64).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        if line.len() == most && !line.ends_with(b"\n") {
            input.skip_until(b'\n')?;
        }
        // What is not UTF-8 is read as far as it is.
        let text = String::from_utf8_lossy(&line);
        serde_json::to_writer(&mut output, &read(text.trim_matches(['\u{feff}', '\r', '\n'])))?;
        output.write_all(b"\n")?;
        output.flush()?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_has_its_answer_however_long_it_is() {
        let long = "长".repeat(limits::DICTATION_MAX_CHARS * 3);
        let input = format!("一\n\n{long}\n二\r\n三");
        let mut output = Vec::new();
        each_line(input.as_bytes(), &mut output, |text| text.chars().take(1).collect::<String>()).unwrap();
        assert_eq!(String::from_utf8(output).unwrap(), "\"一\"\n\"\"\n\"长\"\n\"二\"\n\"三\"\n");
    }
}
