//! The log of one run, in words: what a person reads when a seed fails.

use std::fmt::Write as _;

/// Lines with their virtual time.
#[derive(Debug, Default)]
pub struct Story {
    lines: Vec<(i64, String)>,
    aloud: bool,
}

impl Story {
    /// A story that is also printed while it happens.
    pub fn new(aloud: bool) -> Self {
        Self { lines: Vec::new(), aloud }
    }

    /// Adds a line at `now_ms` of virtual time.
    #[expect(clippy::print_stdout, reason = "asked for by whoever replays a seed")]
    pub fn tell(&mut self, now_ms: i64, line: String) {
        if self.aloud {
            println!("{} {line}", clock(now_ms));
        }
        self.lines.push((now_ms, line));
    }

    /// The last `most` lines.
    pub fn text(&self, most: usize) -> String {
        let mut text = String::new();
        let skipped = self.lines.len().saturating_sub(most);
        if skipped > 0 {
            let _ = writeln!(text, "({skipped} earlier lines left out)");
        }
        for (now_ms, line) in &self.lines[skipped..] {
            let _ = writeln!(text, "{} {line}", clock(*now_ms));
        }
        text
    }
}

/// Virtual time since the beginning: days, hours, minutes, seconds.
fn clock(now_ms: i64) -> String {
    let since = now_ms - super::T0;
    let (s, ms) = (since / 1_000, since % 1_000);
    format!("{:>3}d {:02}:{:02}:{:02}.{ms:03}", s / 86_400, s / 3_600 % 24, s / 60 % 60, s % 60)
}
