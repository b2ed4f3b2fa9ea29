//! How programs sign what they send each other over HTTP, the same way out (the webhook) and in (intake): the header `Fieldbook-Signature` is
//! `t=<milliseconds since 1970 UTC>,v1=<hex>`, the HMAC-SHA-256 of `<t>.<body>`. An old message that is sent again is told by its time.

use ring::hmac;

/// The header that carries it.
pub(crate) const HEADER: &str = "fieldbook-signature";

/// The key of a secret.
pub(crate) fn key(secret: &[u8]) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, secret)
}

/// The signature of a body that is sent at `now_ms`.
pub(crate) fn sign(key: &hmac::Key, body: &[u8], now_ms: i64) -> String {
    let signed = [format!("{now_ms}.").as_bytes(), body].concat();
    format!("t={now_ms},v1={}", hex::encode(hmac::sign(key, &signed)))
}

/// Whether a signature is that of this body, and was made within `tolerance_ms` of `now_ms`. Takes as long for a wrong one as for a right one.
pub(crate) fn verify(key: &hmac::Key, signature: &str, body: &[u8], now_ms: i64, tolerance_ms: u64) -> bool {
    let parsed = || {
        let (at, tag) = signature.strip_prefix("t=")?.split_once(",v1=")?;
        Some((at, at.parse::<i64>().ok()?, hex::decode(tag).ok()?))
    };
    let (at, at_ms, tag) = parsed().unwrap_or_default();
    let signed = [at.as_bytes(), b".", body].concat();
    let is_right = hmac::verify(key, &signed, &tag).is_ok();
    is_right && now_ms.abs_diff(at_ms) <= tolerance_ms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_signed_is_known_for_a_while_and_nothing_else_is() {
        let (ours, other) = (key(b"secret"), key(b"other"));
        let signature = sign(&ours, b"body", 1_000);
        let is_good = |signature: &str, body: &[u8], now_ms| verify(&ours, signature, body, now_ms, 300);
        assert!([700, 1_000, 1_300].iter().all(|now_ms| is_good(&signature, b"body", *now_ms)));
        assert!([699, 1_301, i64::MIN].iter().all(|now_ms| !is_good(&signature, b"body", *now_ms)));
        assert!(!is_good(&signature, b"bodY", 1_000) && !verify(&other, &signature, b"body", 1_000, 300));
        let later = signature.replace("t=1000", "t=1001");
        for wrong in ["", "t=1000", "t=,v1=", "t=1000,v1=zz", &signature[..signature.len() - 2], &later] {
            assert!(!is_good(wrong, b"body", 1_000), "{wrong}");
        }
    }

    /// As a shell computes it: `printf %s '1000.{}' | openssl dgst -sha256 -hmac secret`.
    #[test]
    fn others_compute_it_too() {
        let expected = "t=1000,v1=026360fb6284f077f1148b1ae7c62679730497810a6a0321574de01e8b009e7a";
        assert_eq!(sign(&key(b"secret"), b"{}", 1_000), expected);
    }
}
