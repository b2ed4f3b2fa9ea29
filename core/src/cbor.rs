//! Rows and messages as bytes.

use minicbor::Encode;
use minicbor::encode::write::Cursor;

/// The bytes of a row or a message.
pub(crate) fn encode<T: Encode<()>>(value: &T) -> Vec<u8> {
    // A vector that grows from nothing is copied some eight times; most rows fit here, and are copied once.
    let mut small = Cursor::new([0; SMALL_BYTES]);
    if minicbor::encode(value, &mut small).is_ok() {
        return small.get_ref()[..small.position()].to_vec();
    }
    // Encoding into memory has no way to fail.
    minicbor::to_vec(value).unwrap_or_default()
}

/// What hardly a row of an edit or of a push is larger than.
const SMALL_BYTES: usize = 512;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_there_as_well() {
        for len in [0, 1, SMALL_BYTES - 4, SMALL_BYTES - 3, SMALL_BYTES - 2, 2 * SMALL_BYTES] {
            let text = "x".repeat(len);
            assert_eq!(encode(&text), minicbor::to_vec(&text).unwrap(), "{len}");
        }
    }
}
