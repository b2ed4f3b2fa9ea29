use fieldbook_core::store::MemoryStore;
use jsonwebtoken::{Algorithm, EncodingKey, Header};

use super::access::{AUDIENCE, Claims};
use super::*;
use crate::config::KeyAlgorithm;

const NOW_MS: i64 = 1_790_000_000_000;
const USER: UserId = UserId([1; 8]);
const DEVICE: DeviceId = DeviceId([2; 8]);

fn config(algorithm: KeyAlgorithm) -> AuthConfig {
    AuthConfig {
        algorithm,
        access_ttl_s: 900,
        leeway_s: 30,
        refresh_ttl_days: 90,
        enrol_ttl_hours: 72,
        key_rotate_days: 30,
    }
}

struct World {
    store: Arc<MemoryStore>,
    auth: Auth,
    entropy: Entropy,
}

fn world(algorithm: KeyAlgorithm) -> World {
    let store = Arc::new(MemoryStore::new());
    let auth = Auth::new(store.clone(), "https://crm.example", config(algorithm));
    let mut entropy = Entropy::new([7; 32]);
    auth.maintain(NOW_MS, &mut entropy).unwrap();
    World { store, auth, entropy }
}

impl World {
    fn access(&mut self, now_ms: i64) -> String {
        self.auth.issue_access(USER, DEVICE, Role::Rep, Scope::Full, now_ms, &mut self.entropy).unwrap().0
    }

    fn refresh(&mut self, token: &str, now_ms: i64) -> Result<Tokens, RefreshError> {
        self.auth.refresh(token, |_, _| Ok(Standing::Active(Role::Rep)), now_ms, &mut self.entropy)
    }
}

fn claims() -> Claims {
    let now = NOW_MS / 1_000;
    Claims {
        iss: "https://crm.example".into(),
        aud: AUDIENCE.into(),
        sub: USER,
        dev: DEVICE,
        role: Role::Admin,
        scp: Scope::Full,
        iat: now,
        nbf: now,
        exp: now + 900,
        jti: "1".into(),
    }
}

/// Signs `claims` with the world's own current key, so that only the claims can be the reason of a refusal.
fn signed(world: &World, claims: &Claims) -> String {
    let key = world.auth.ring.signing(&*world.store, NOW_MS).unwrap();
    let mut header = Header::new(key.algorithm);
    header.kid = Some(key.kid.to_string());
    jsonwebtoken::encode(&header, claims, &key.encoding).unwrap()
}

fn refused(world: &World, token: &str, now_ms: i64) -> TokenError {
    world.auth.verify_access(token, now_ms).expect_err("must be refused")
}

#[test]
fn a_token_says_who_and_lives_as_long_as_configured_under_both_algorithms() {
    for algorithm in [KeyAlgorithm::EdDsa, KeyAlgorithm::Hs256] {
        let mut world = world(algorithm);
        let token = world.access(NOW_MS);
        let who = world.auth.verify_access(&token, NOW_MS + 900_000).unwrap();
        assert_eq!((who.user, who.device, who.role, who.scope), (USER, DEVICE, Role::Rep, Scope::Full));
        assert!(world.auth.verify_access(&token, NOW_MS + 929_000).is_ok(), "within the leeway");
        assert!(matches!(refused(&world, &token, NOW_MS + 930_000), TokenError::Expired));
        assert!(world.auth.verify_access(&token, NOW_MS - 30_000).is_ok(), "within the leeway");
        assert!(matches!(refused(&world, &token, NOW_MS - 31_000), TokenError::NotYetValid));
        assert_ne!(token, world.access(NOW_MS), "every token has an id of its own");
    }
}

#[test]
fn wrong_audience_issuer_or_shape_is_refused() {
    let world = world(KeyAlgorithm::EdDsa);
    assert!(world.auth.verify_access(&signed(&world, &claims()), NOW_MS).is_ok());
    let aud = signed(&world, &Claims { aud: "other".into(), ..claims() });
    assert!(matches!(refused(&world, &aud, NOW_MS), TokenError::WrongAudience));
    let iss = signed(&world, &Claims { iss: "https://evil.example".into(), ..claims() });
    assert!(matches!(refused(&world, &iss, NOW_MS), TokenError::WrongIssuer));
    for rubbish in ["", "a", "a.b", "a.b.c", "....", &"x".repeat(100_000)] {
        assert!(matches!(refused(&world, rubbish, NOW_MS), TokenError::Malformed));
    }
}

#[test]
fn a_changed_token_or_another_servers_key_is_refused() {
    let mut world = world(KeyAlgorithm::EdDsa);
    let token = world.access(NOW_MS);
    let (body, signature) = token.rsplit_once('.').unwrap();
    let (head, payload) = body.split_once('.').unwrap();
    let other_payload = signed(&world, &claims());
    let other_payload = other_payload.split('.').nth(1).unwrap();
    assert_ne!(payload, other_payload);
    let forged = format!("{head}.{other_payload}.{signature}");
    assert!(matches!(refused(&world, &forged, NOW_MS), TokenError::BadSignature));

    // Another key under our kid, and our shape under a kid that we never gave.
    let ours = world.auth.ring.signing(&*world.store, NOW_MS).unwrap();
    let mut header = Header::new(Algorithm::EdDSA);
    header.kid = Some(ours.kid.to_string());
    let stranger = jsonwebtoken::encode(&header, &claims(), &EncodingKey::from_ed_der(&[9; 32])).unwrap();
    assert!(matches!(refused(&world, &stranger, NOW_MS), TokenError::BadSignature));
    header.kid = Some("0011223344556677".into());
    let unknown = jsonwebtoken::encode(&header, &claims(), &ours.encoding).unwrap();
    assert!(matches!(refused(&world, &unknown, NOW_MS), TokenError::UnknownKey));
    header.kid = None;
    let nameless = jsonwebtoken::encode(&header, &claims(), &ours.encoding).unwrap();
    assert!(matches!(refused(&world, &nameless, NOW_MS), TokenError::Malformed));
}

#[test]
fn the_public_key_as_an_hmac_secret_signs_nothing() {
    let world = world(KeyAlgorithm::EdDsa);
    let ours = world.auth.ring.signing(&*world.store, NOW_MS).unwrap();
    let public = ours.decoding.try_get_as_bytes().unwrap();
    for algorithm in [Algorithm::HS256, Algorithm::HS384] {
        let mut header = Header::new(Algorithm::HS256);
        header.kid = Some(ours.kid.to_string());
        let token = jsonwebtoken::encode(&header, &claims(), &EncodingKey::from_secret(public)).unwrap();
        let header_text = format!("{{\"typ\":\"JWT\",\"alg\":\"{algorithm:?}\",\"kid\":\"{}\"}}", ours.kid);
        let token = format!("{}.{}", b64(header_text.as_bytes()), token.split_once('.').unwrap().1);
        assert!(matches!(refused(&world, &token, NOW_MS), TokenError::WrongAlgorithm), "{algorithm:?}");
    }
    let none = format!("{{\"typ\":\"JWT\",\"alg\":\"none\",\"kid\":\"{}\"}}", ours.kid);
    let token = format!("{}.{}.", b64(none.as_bytes()), b64(&serde_json::to_vec(&claims()).unwrap()));
    assert!(matches!(refused(&world, &token, NOW_MS), TokenError::Malformed));
}

#[test]
fn rotation_keeps_the_old_key_until_its_last_token_expired_then_removes_it() {
    let mut world = world(KeyAlgorithm::EdDsa);
    let day = 24 * 3_600_000;
    let before_ms = NOW_MS + 30 * day - 1;
    let old = world.access(before_ms);
    let after_ms = before_ms + 1;
    world.auth.maintain(after_ms, &mut world.entropy).unwrap();
    let new = world.access(after_ms);
    let kid = |t: &str| jsonwebtoken::decode_header(t).unwrap().kid;
    assert_ne!(kid(&old), kid(&new), "a month old: rotated");
    assert!(world.auth.verify_access(&old, before_ms + 900_000).is_ok());
    assert!(world.auth.verify_access(&new, after_ms).is_ok());

    let gone_ms = after_ms + (900 + 30 + 120) * 1_000;
    assert!(matches!(refused(&world, &old, gone_ms), TokenError::UnknownKey));
    world.auth.maintain(gone_ms, &mut world.entropy).unwrap();
    let rows = world.store.rows();
    assert_eq!(rows.keys().filter(|k| k.starts_with(b"auth/key/")).count(), 1, "the old key is removed");
    // Maintaining again changes nothing.
    world.auth.maintain(gone_ms + 1, &mut world.entropy).unwrap();
    assert_eq!(world.store.rows(), rows);
}

#[test]
fn a_leaked_key_is_distrusted_at_once_and_a_new_algorithm_takes_over() {
    let mut world = world(KeyAlgorithm::EdDsa);
    let old = world.access(NOW_MS);
    world.auth.rotate_keys(NOW_MS + 1, &mut world.entropy, true).unwrap();
    assert!(matches!(refused(&world, &old, NOW_MS + 2), TokenError::UnknownKey));

    let other = Auth::new(world.store.clone(), "https://crm.example", config(KeyAlgorithm::Hs256));
    other.maintain(NOW_MS + 3, &mut world.entropy).unwrap();
    let (token, _) =
        other.issue_access(USER, DEVICE, Role::Rep, Scope::Full, NOW_MS + 4, &mut world.entropy).unwrap();
    assert_eq!(jsonwebtoken::decode_header(&token).unwrap().alg, Algorithm::HS256);
    assert!(world.auth.verify_access(&token, NOW_MS + 5).is_ok(), "another node that never heard of the key");
}

#[test]
fn a_refresh_token_changes_with_every_use_and_an_old_one_ends_the_sign_in() {
    let mut world = world(KeyAlgorithm::EdDsa);
    let first = world.auth.sign_in(USER, DEVICE, Role::Rep, NOW_MS, &mut world.entropy).unwrap();
    let second = world.refresh(&first.refresh, NOW_MS + 1).unwrap();
    let third = world.refresh(&second.refresh, NOW_MS + 2).unwrap();
    assert_ne!(second.refresh, third.refresh);
    assert!(matches!(world.refresh(&first.refresh, NOW_MS + 3), Err(RefreshError::Reused)));
    assert!(matches!(world.refresh(&third.refresh, NOW_MS + 4), Err(RefreshError::Revoked)));
    let stored: Vec<u8> = world.store.rows().into_iter().flat_map(|(k, v)| [k, v].concat()).collect();
    let secret = hex::decode(&third.refresh[4 + 48..]).unwrap();
    assert!(!stored.windows(32).any(|w| w == secret), "no token lies in the store");
}

#[test]
fn a_lost_answer_costs_nothing_but_whoever_stole_it_is_found_out() {
    let mut world = world(KeyAlgorithm::EdDsa);
    let first = world.auth.sign_in(USER, DEVICE, Role::Rep, NOW_MS, &mut world.entropy).unwrap();
    let lost = world.refresh(&first.refresh, NOW_MS + 1).unwrap();
    let again = world.refresh(&first.refresh, NOW_MS + 2).unwrap();
    assert!(world.refresh(&again.refresh, NOW_MS + 3).is_ok());
    // The answer was not lost but read by somebody else, who now comes with it.
    assert!(matches!(world.refresh(&lost.refresh, NOW_MS + 4), Err(RefreshError::Reused)));
}

#[test]
fn refresh_asks_the_company_and_ends_with_time() {
    let mut world = world(KeyAlgorithm::EdDsa);
    let first = world.auth.sign_in(USER, DEVICE, Role::Rep, NOW_MS, &mut world.entropy).unwrap();
    let farewell = world.auth.refresh(
        &first.refresh,
        |_, _| Ok(Standing::Farewell(Role::Rep)),
        NOW_MS + 1,
        &mut world.entropy,
    );
    let farewell = farewell.unwrap();
    assert_eq!(world.auth.verify_access(&farewell.access, NOW_MS + 1).unwrap().scope, Scope::Farewell);
    let unknown =
        world.auth.refresh(&farewell.refresh, |_, _| Ok(Standing::Unknown), NOW_MS + 2, &mut world.entropy);
    assert!(matches!(unknown, Err(RefreshError::Unknown)));
    let late_ms = farewell.refresh_expires_ms;
    assert!(matches!(world.refresh(&farewell.refresh, late_ms), Err(RefreshError::Expired)));
    world.auth.maintain(late_ms, &mut world.entropy).unwrap();
    assert!(matches!(world.refresh(&farewell.refresh, late_ms), Err(RefreshError::Unknown)), "swept");
    for rubbish in ["", "fbr_", "fbr_00", &first.access] {
        assert!(matches!(world.refresh(rubbish, NOW_MS), Err(RefreshError::Unknown)));
    }
}

#[test]
fn a_code_enrols_one_device_however_often_the_phone_asks() {
    let mut world = world(KeyAlgorithm::EdDsa);
    let code = world.auth.issue_code(USER, None, NOW_MS, &mut world.entropy).unwrap();
    assert_eq!(code.text.len(), 29);
    let typed = code.text.to_lowercase().replace('-', " ").replace('0', "o").replace('1', "l");
    let one = world.auth.redeem_code(&typed, b"phone-a", NOW_MS + 1, &mut world.entropy).unwrap();
    assert_eq!(one.user, USER);
    assert_eq!(world.auth.redeem_code(&code.text, b"phone-a", NOW_MS + 2, &mut world.entropy).unwrap(), one);
    let other = world.auth.redeem_code(&code.text, b"phone-b", NOW_MS + 3, &mut world.entropy);
    assert!(matches!(other, Err(CodeError::Used)));
    assert_eq!(world.auth.list_codes(10).unwrap()[0].used_by, Some(one.device));
}

#[test]
fn a_code_expires_locks_and_can_be_revoked() {
    let mut world = world(KeyAlgorithm::EdDsa);
    let redeem = |world: &mut World, text: &str, now_ms| {
        world.auth.redeem_code(text, b"phone", now_ms, &mut world.entropy).map(|_| ())
    };
    let old = world.auth.issue_code(USER, None, NOW_MS, &mut world.entropy).unwrap();
    assert!(matches!(redeem(&mut world, &old.text, old.expires_ms), Err(CodeError::Expired)));

    let code = world.auth.issue_code(USER, Some(USER), NOW_MS, &mut world.entropy).unwrap();
    let last = if code.text.ends_with('7') { '8' } else { '7' };
    let wrong = format!("{}{last}", &code.text[..28]);
    for _ in 0..5 {
        assert!(matches!(redeem(&mut world, &wrong, NOW_MS), Err(CodeError::Invalid)));
    }
    assert!(matches!(redeem(&mut world, &code.text, NOW_MS), Err(CodeError::Locked)), "the right one too");
    assert!(world.auth.list_codes(10).unwrap().iter().any(|c| c.id == code.id && c.locked));

    let gone = world.auth.issue_code(USER, None, NOW_MS, &mut world.entropy).unwrap();
    assert!(world.auth.revoke_code(gone.id).unwrap());
    assert!(matches!(redeem(&mut world, &gone.text, NOW_MS), Err(CodeError::Invalid)));
    for rubbish in ["", "----", "XXXX-XXXX", "七七七七", &"A".repeat(1_000)] {
        assert!(matches!(redeem(&mut world, rubbish, NOW_MS), Err(CodeError::Invalid)));
    }
    world.auth.maintain(NOW_MS + 40 * 24 * 3_600_000, &mut world.entropy).unwrap();
    assert!(world.auth.list_codes(10).unwrap().is_empty(), "swept a month later");
}

/// Base64url without padding, for headers that no library would write.
fn b64(bytes: &[u8]) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let number = three.iter().fold(0u32, |n, b| n << 8 | u32::from(*b)) << (8 * (3 - three.len()));
        for k in 0..=three.len() {
            text.push(char::from(DIGITS[(number >> (18 - 6 * k) & 63) as usize]));
        }
    }
    text
}
