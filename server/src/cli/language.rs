//! `fieldbook note` and `fieldbook first-contact`: what the phone reads out of dictated words, a text a line in, a line of JSON out.

use std::io::{BufRead, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use fieldbook_core::language::{first_contact, read_note};
use fieldbook_core::limits;
use fieldbook_core::policy::Dictation;
use jiff::civil::Date;
use serde::Serialize;

use super::Failure;

#[derive(Debug, Args)]
pub(super) struct NoteArgs {
    /// The day on which the notes were dictated, as 2026-02-17.
    #[arg(long, value_parser = super::company::day)]
    on: Date,
    #[command(flatten)]
    words: WordsArgs,
}

#[derive(Debug, Args)]
pub(super) struct WordsArgs {
    /// A policy whose word lists count; without it those that ship.
    #[arg(long)]
    policy: Option<PathBuf>,
}

pub(super) fn note(args: &NoteArgs) -> Result<ExitCode, Failure> {
    let dictation = dictation(args.words.policy.as_deref())?;
    answer(|text| read_note(text, args.on, dictation.words()))
}

pub(super) fn contact(args: &WordsArgs) -> Result<ExitCode, Failure> {
    let dictation = dictation(args.policy.as_deref())?;
    answer(|text| first_contact(text, dictation.words()))
}

fn dictation(policy: Option<&Path>) -> Result<Dictation, Failure> {
    policy.map_or(Ok(Dictation::default()), |file| super::company::check(file).map(|policy| policy.dictation))
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
