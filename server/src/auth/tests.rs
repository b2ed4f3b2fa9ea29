use std::collections::BTreeMap;

use fieldbook_core::store::MemoryStore;
use jsonwebtoken::{Algorithm, EncodingKey, Header};

use super::access::{AUDIENCE, Claims};
use super::*;
use crate::config::KeyAlgorithm;

const NOW_MS: i64 = 1_790_000_000_000;
const USER: UserId = UserId([1; 8]);
const DEVICE: DeviceId = DeviceId([2; 8]);
const MAKER: Maker = Maker { user: USER, device: DEVICE };

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

/// A code that any phone may redeem, as a new device.
fn fresh(_: Offer) -> Result<Option<DeviceId>, CodeError> {
    Ok(None)
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
    let secret = hex::decode(&third.refresh[4 + 80..4 + 144]).unwrap();
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
    let one = world.auth.redeem_code(&typed, b"phone-a", fresh, NOW_MS + 1, &mut world.entropy).unwrap();
    assert_eq!(one.user, USER);
    assert_eq!(
        world.auth.redeem_code(&code.text, b"phone-a", fresh, NOW_MS + 2, &mut world.entropy).unwrap(),
        one
    );
    let other = world.auth.redeem_code(&code.text, b"phone-b", fresh, NOW_MS + 3, &mut world.entropy);
    assert!(matches!(other, Err(CodeError::Used)));
    assert_eq!(world.auth.list_codes(10).unwrap()[0].used_by, Some(one.device));
}

#[test]
fn a_code_expires_locks_and_can_be_revoked() {
    let mut world = world(KeyAlgorithm::EdDsa);
    let redeem = |world: &mut World, text: &str, now_ms| {
        world.auth.redeem_code(text, b"phone", fresh, now_ms, &mut world.entropy).map(|_| ())
    };
    let old = world.auth.issue_code(USER, None, NOW_MS, &mut world.entropy).unwrap();
    assert!(matches!(redeem(&mut world, &old.text, old.expires_ms), Err(CodeError::Expired)));

    let code = world.auth.issue_code(USER, Some(MAKER), NOW_MS, &mut world.entropy).unwrap();
    let last = if code.text.ends_with('7') { '8' } else { '7' };
    let wrong = format!("{}{last}", &code.text[..28]);
    for _ in 0..5 {
        assert!(matches!(redeem(&mut world, &wrong, NOW_MS), Err(CodeError::Invalid)));
    }
    assert!(matches!(redeem(&mut world, &code.text, NOW_MS), Err(CodeError::Locked)), "the right one too");
    assert!(world.auth.list_codes(10).unwrap().iter().any(|c| c.id == code.id && c.locked));

    let late = world.auth.issue_code(USER, None, NOW_MS + 1, &mut world.entropy).unwrap();
    let latest: Vec<_> = world.auth.list_codes(1).unwrap().iter().map(|listed| listed.id).collect();
    assert_eq!(latest, [late.id], "a bounded list has the latest");

    let gone = world.auth.issue_code(USER, None, NOW_MS, &mut world.entropy).unwrap();
    assert!(world.auth.revoke_code(gone.id, NOW_MS).unwrap());
    assert!(matches!(redeem(&mut world, &gone.text, NOW_MS), Err(CodeError::Invalid)));
    for rubbish in ["", "----", "XXXX-XXXX", "七七七七", &"A".repeat(1_000)] {
        assert!(matches!(redeem(&mut world, rubbish, NOW_MS), Err(CodeError::Invalid)));
    }
    world.auth.maintain(NOW_MS + 40 * 24 * 3_600_000, &mut world.entropy).unwrap();
    assert!(world.auth.list_codes(10).unwrap().is_empty(), "swept a month later");
}

/// The store as a backup has it, brought back in a new epoch.
fn restored(backup: Rows, now_ms: i64) -> World {
    let store = Arc::new(MemoryStore::from_rows(backup));
    let auth = Auth::new(store.clone(), "https://crm.example", config(KeyAlgorithm::EdDsa)).in_epoch(2);
    let mut entropy = Entropy::new([8; 32]);
    auth.maintain(now_ms, &mut entropy).unwrap();
    World { store, auth, entropy }
}

/// Every row of a store.
type Rows = BTreeMap<Vec<u8>, Vec<u8>>;

/// A company, its backup, the token that the backup knows as the newest, one from before it, and the tokens that it gave afterwards.
fn backed_up() -> (World, Rows, [String; 2], [String; 2]) {
    let mut world = world(KeyAlgorithm::EdDsa);
    let first = world.auth.sign_in(USER, DEVICE, Role::Rep, NOW_MS, &mut world.entropy).unwrap();
    let second = world.refresh(&first.refresh, NOW_MS + 1).unwrap();
    let newest = world.refresh(&second.refresh, NOW_MS + 2).unwrap();
    let backup = world.store.rows();
    let third = world.refresh(&newest.refresh, NOW_MS + 3).unwrap();
    let fourth = world.refresh(&third.refresh, NOW_MS + 4).unwrap();
    (world, backup, [first.refresh, newest.refresh], [third.refresh, fourth.refresh])
}

#[test]
fn a_restored_server_goes_on_with_what_it_gave_after_the_backup() {
    let (_, backup, _, [third, fourth]) = backed_up();
    for token in [&fourth, &third] {
        let mut again = restored(backup.clone(), NOW_MS + 5);
        again.refresh(token, NOW_MS + 6).unwrap();
        // The answer was lost: the same token once more, and then on as ever.
        let next = again.refresh(token, NOW_MS + 7).unwrap();
        assert!(again.refresh(&next.refresh, NOW_MS + 8).is_ok());
    }
}

#[test]
fn a_restored_server_takes_no_forged_old_or_second_token() {
    let (mut old_server, backup, [first, newest], [third, fourth]) = backed_up();
    let mut again = restored(backup.clone(), NOW_MS + 5);
    // The last digit of the number and of the MAC.
    let (number, mac) = (4 + 63, fourth.len() - 1);
    let with = |at: usize| {
        let digit = if fourth.as_bytes()[at] == b'9' { '8' } else { '9' };
        format!("{}{digit}{}", &fourth[..at], &fourth[at + 1..])
    };
    for (what, token) in [("another number", with(number)), ("another MAC", with(mac)), ("an old one", first)]
    {
        let refused = again.refresh(&token, NOW_MS + 6);
        assert!(matches!(refused, Err(RefreshError::Reused)), "{what}: {refused:?}");
        assert!(matches!(again.refresh(&newest, NOW_MS + 7), Err(RefreshError::Revoked)), "{what}");
        again = restored(backup.clone(), NOW_MS + 5);
    }
    // Whoever stole the token of the backup is found out when the phone comes with its own, and the other way round.
    again.refresh(&newest, NOW_MS + 6).unwrap();
    assert!(matches!(again.refresh(&fourth, NOW_MS + 7), Err(RefreshError::Reused)));
    let mut again = restored(backup, NOW_MS + 5);
    again.refresh(&fourth, NOW_MS + 6).unwrap();
    assert!(matches!(again.refresh(&third, NOW_MS + 7), Err(RefreshError::Reused)));
    // Without a restore a MAC changes nothing.
    let fifth = old_server.refresh(&fourth, NOW_MS + 5).unwrap();
    old_server.refresh(&fifth.refresh, NOW_MS + 6).unwrap();
    assert!(matches!(old_server.refresh(&fourth, NOW_MS + 7), Err(RefreshError::Reused)));
}

#[test]
fn a_newer_token_ends_when_it_says_itself_and_not_with_the_row_of_the_backup() {
    let day = 24 * 3_600_000;
    let mut world = world(KeyAlgorithm::EdDsa);
    let first = world.auth.sign_in(USER, DEVICE, Role::Rep, NOW_MS, &mut world.entropy).unwrap();
    let backup = world.store.rows();
    let second = world.refresh(&first.refresh, NOW_MS + 80 * day).unwrap();
    for (after_days, good) in [(91, true), (169, true), (171, false)] {
        let now_ms = NOW_MS + after_days * day;
        let mut again = restored(backup.clone(), now_ms);
        assert_eq!(again.refresh(&second.refresh, now_ms).is_ok(), good, "{after_days}");
        assert!(again.refresh(&first.refresh, now_ms).is_err());
    }
}

#[test]
fn a_token_vouches_for_its_device_and_user_until_the_keys_are_distrusted() {
    let (mut world, _, [first, _], [_, fourth]) = backed_up();
    let vouches = |world: &World, token: &str, user, device| world.auth.vouches(token, user, device).unwrap();
    assert!(vouches(&world, &fourth, USER, DEVICE) && vouches(&world, &first, USER, DEVICE));
    assert!(!vouches(&world, &fourth, UserId([9; 8]), DEVICE), "another user");
    assert!(!vouches(&world, &fourth, USER, DeviceId([9; 8])), "another device");
    assert!(!vouches(&world, "", USER, DEVICE));
    let other = self::world(KeyAlgorithm::EdDsa);
    let mut stranger = restored(other.store.rows(), NOW_MS);
    stranger.auth.rotate_keys(NOW_MS, &mut stranger.entropy, true).unwrap();
    assert!(!vouches(&stranger, &fourth, USER, DEVICE), "another company");
    let distrusted = world.auth.rotate_keys(NOW_MS + 9, &mut world.entropy, true).unwrap();
    assert_eq!(distrusted.len(), 2, "a signing key and the proof key");
    assert!(!vouches(&world, &fourth, USER, DEVICE));
    let next = world.refresh(&fourth, NOW_MS + 10).unwrap();
    assert!(vouches(&world, &next.refresh, USER, DEVICE), "the sign-in itself goes on");
}

#[test]
fn a_users_own_phones_have_three_codes_at_a_time() {
    let mut world = world(KeyAlgorithm::EdDsa);
    let own = |world: &mut World| world.auth.issue_own_code(MAKER, NOW_MS, &mut world.entropy).unwrap();
    let other = Maker { user: UserId([9; 8]), device: DEVICE };
    let foreign = world.auth.issue_own_code(other, NOW_MS, &mut world.entropy).unwrap();
    let office = world.auth.issue_code(USER, Some(other), NOW_MS, &mut world.entropy).unwrap();
    let codes: Vec<IssuedCode> = (0..50).map(|_| own(&mut world)).collect();
    let redeem = |world: &mut World, text: &str| {
        world.auth.redeem_code(text, b"phone", fresh, NOW_MS, &mut world.entropy).is_ok()
    };
    let good: Vec<usize> = (0..50).filter(|at| redeem(&mut world, &codes[*at].text)).collect();
    assert_eq!(good, [47, 48, 49], "the newest ones");
    assert!(redeem(&mut world, &foreign.text) && redeem(&mut world, &office.text));
    // Used ones make room.
    let again: Vec<IssuedCode> = (0..3).map(|_| own(&mut world)).collect();
    assert!(again.iter().all(|code| redeem(&mut world, &code.text)));
}

#[test]
fn every_page_of_codes_is_looked_at() {
    let mut world = world(KeyAlgorithm::EdDsa);
    for _ in 0..SWEEP_MAX_ROWS + 200 {
        world.auth.issue_code(USER, None, NOW_MS, &mut world.entropy).unwrap();
    }
    // Their names are random: some of these stand behind the first page.
    let own: Vec<IssuedCode> = (0..60)
        .map(|_| world.auth.issue_code(USER, Some(MAKER), NOW_MS, &mut world.entropy).unwrap())
        .collect();
    world.auth.revoke_own_codes(USER, NOW_MS).unwrap();
    for code in &own {
        let refused = world.auth.redeem_code(&code.text, b"thief", fresh, NOW_MS, &mut world.entropy);
        assert!(matches!(refused, Err(CodeError::Invalid)));
    }
    world.auth.maintain(NOW_MS + 40 * 24 * 3_600_000, &mut world.entropy).unwrap();
    assert!(!world.store.rows().keys().any(|key| key.starts_with(b"auth/code/")), "all are swept");
}

#[test]
fn whoever_decides_about_a_code_decides_before_it_is_used() {
    let mut world = world(KeyAlgorithm::EdDsa);
    let code = world.auth.issue_code(USER, Some(MAKER), NOW_MS, &mut world.entropy).unwrap();
    let refused = world.auth.redeem_code(
        &code.text,
        b"phone",
        |offer| {
            assert_eq!((offer.user, offer.made_at), (USER, Some(DEVICE)));
            Err(CodeError::OtherUser)
        },
        NOW_MS,
        &mut world.entropy,
    );
    assert!(matches!(refused, Err(CodeError::OtherUser)));
    let mine = |_: Offer| Ok(Some(DEVICE));
    let redeemed = world.auth.redeem_code(&code.text, b"phone", mine, NOW_MS, &mut world.entropy).unwrap();
    assert_eq!(redeemed.device, DEVICE, "it is as good as before");
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
