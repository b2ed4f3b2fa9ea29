//! What a Chinese keyboard writes instead of Excel's signs. Texts between quotation marks stay as they are.

/// A formula in Excel's signs, with `=` in front.
pub(super) struct Spelled {
    pub(super) text: String,
    /// For each byte of the text, how many characters of the source stand before it; one more entry for its end.
    before: Vec<usize>,
}

impl Spelled {
    pub(super) fn of(source: &str) -> Self {
        let mut spelled = Self { text: String::with_capacity(source.len() + 1), before: Vec::new() };
        spelled.put("=", 0);
        let skipped = source.chars().take_while(|c| c.is_whitespace()).count();
        let has_sign = source.trim_start().starts_with(['=', '＝']);
        let rest = source.chars().enumerate().skip(skipped + usize::from(has_sign));
        let (mut ends_with, mut before) = (None, ' ');
        let mut chars = 0;
        for (at, c) in rest {
            chars = at + 1;
            match ends_with {
                Some(mark) if c == mark => {
                    ends_with = None;
                    spelled.put("\"", at);
                    before = if c == '"' { '"' } else { CLOSED };
                    continue;
                }
                // Within marks of a Chinese keyboard the plain one is a character like any other.
                Some(mark) if c == '"' && mark != '"' => spelled.put("\"\"", at),
                Some(_) => spelled.put(c.encode_utf8(&mut [0; 4]), at),
                None => {
                    ends_with = match c {
                        '"' => Some('"'),
                        '“' | '”' => Some('”'),
                        '「' => Some('」'),
                        '＂' => Some('＂'),
                        _ => None,
                    };
                    match ends_with {
                        Some(_) => {
                            // Two texts side by side are not one text with a mark in it, unless both marks are plain.
                            if before == CLOSED || (before == '"' && c != '"') {
                                spelled.put(" ", at);
                            }
                            spelled.put("\"", at);
                        }
                        // A dash of a Chinese keyboard is two of them.
                        None if c == '—' && before == '—' => {}
                        None => spelled.put(plain(c, &mut [0; 4]), at),
                    }
                }
            }
            before = if ends_with.is_some() { ' ' } else { c };
        }
        let end = chars.max(skipped + usize::from(has_sign));
        spelled.before.push(end);
        spelled
    }

    /// How many characters of the source stand before this byte of the text.
    pub(super) fn chars_before(&self, byte: usize) -> usize {
        self.before.get(byte).or(self.before.last()).copied().unwrap_or_default()
    }

    fn put(&mut self, text: &str, chars_before: usize) {
        self.text.push_str(text);
        self.before.resize(self.text.len(), chars_before);
    }
}

/// A sign as Excel has it.
fn plain(c: char, buffer: &mut [u8; 4]) -> &str {
    match c {
        '，' | '、' => ",",
        '≥' => ">=",
        '≤' => "<=",
        '≠' => "<>",
        '×' => "*",
        '÷' => "/",
        '−' | '—' | '–' => "-",
        // What nobody sees, and comes with a paste.
        '\u{200b}' | '\u{feff}' => "",
        c if c.is_whitespace() && c != '\n' => " ",
        // The full-width forms of ASCII lie in its order.
        '！'..='～' => char::from_u32(c as u32 - 0xfee0).unwrap_or(c).encode_utf8(buffer),
        _ => c.encode_utf8(buffer),
    }
}

/// Stands for a mark of a Chinese keyboard that has just ended a text.
const CLOSED: char = '”';
