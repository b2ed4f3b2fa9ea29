//! Enrolment and tokens. A refresh token is used once and replaced in the same breath; a lost answer costs nothing, because the
//! enrolment carries a claim of the phone's own and the server honours the refresh token before the newest.
//!
//! A phone whose sign-in is over (it was silent for too long, its store or its server came back from a backup) is enrolled again as the device
//! that it is: it keeps what it holds, and its outbox goes up.

use fieldbook_core::ids::{DeviceId, UserId};
use fieldbook_core::replica::Identity;
use fieldbook_core::store::{Batch, Store};
use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::net::{Address, Http, Invitation};
use crate::shared::Shared;
use crate::timing::TOKEN_MARGIN_MS;

#[derive(Debug, Serialize)]
struct EnrolRequest<'a> {
    code: &'a str,
    claim: &'a str,
    device_name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    resumes: Option<Resumes<'a>>,
}

/// Who a signed-out phone is.
#[derive(Debug, Serialize)]
struct Resumes<'a> {
    device: DeviceId,
    user: UserId,
    /// Proves to a server that was restored from an older backup that the company enrolled this device. It opens nothing any more.
    refresh_token: &'a str,
}

#[derive(Debug, Deserialize)]
struct EnrolAnswer {
    device: DeviceId,
    user: UserId,
    user_name: String,
    company: String,
    timezone: String,
    #[serde(flatten)]
    tokens: Tokens,
}

#[derive(Debug, Serialize)]
struct RefreshRequest<'a> {
    refresh_token: &'a str,
}

#[derive(Debug, Deserialize)]
struct Tokens {
    access_token: String,
    access_expires_ms: i64,
    refresh_token: String,
}

/// The access token as it is kept, so that an app that starts again needs no round trip for one.
#[derive(Debug, Encode, Decode)]
struct AccessRow {
    #[n(0)]
    token: String,
    #[n(1)]
    expires_ms: i64,
}

/// An enrolment under way.
#[derive(Debug, Encode, Decode)]
struct ClaimRow {
    #[n(0)]
    code: String,
    #[n(1)]
    claim: String,
}

/// Redeems an invitation. A phone that is signed out comes back by it as the device that it is, with all that it holds.
///
/// # Errors
/// [`Error::AlreadyEnrolled`] when the sign-in is good, or the code is of another server; [`Error::SomebodyElse`], [`Error::Forgotten`];
/// [`Error::Server`] with the server's code, and those of the way.
pub(crate) async fn enrol(shared: &Shared, invitation: &Invitation, device_name: &str) -> Result<(), Error> {
    let _alone = shared.refreshing.lock().await;
    let (old, wipes) = shared.with(|replica, _| {
        // Before the code is redeemed: it would be spent, and what remembers it deleted.
        replica.end_wipe()?;
        Ok::<_, Error>((replica.identity().ok().cloned(), replica.wipes()))
    })?;
    if let Some(old) = &old {
        check_signed_out(shared, old, invitation).await?;
    }
    shared.dialer.check(&invitation.server)?;
    let claim = claim(shared, &invitation.code)?;
    let mut http = Http::connect(&shared.dialer, &invitation.server, &shared.agent).await?;
    let resumes = old.as_ref().map(|old| Resumes {
        device: old.device,
        user: old.user,
        refresh_token: &old.refresh_token,
    });
    let request = EnrolRequest { code: &invitation.code, claim: &claim, device_name, resumes };
    let answer = http.post("/api/enrol", None, &request).await;
    let answer: EnrolAnswer = answer.map_err(|error| match (error, &old) {
        (Error::Server { code, .. }, _) if SOMEBODY_ELSE.contains(&code.as_str()) => Error::SomebodyElse,
        (Error::Server { code, .. }, Some(old)) if code == FORGOTTEN => Error::Forgotten(old.user),
        (other, _) => other,
    })?;
    let identity = Identity {
        device: answer.device,
        user: answer.user,
        user_name: answer.user_name,
        company: answer.company,
        server_url: invitation.server.to_string(),
        refresh_token: answer.tokens.refresh_token.clone(),
        zone: answer.timezone,
    };
    keep(shared, identity, &answer.tokens, wipes)?;
    let mut batch = Batch::new();
    batch.delete(CLAIM);
    shared.store.commit_one(batch)?;
    Ok(())
}

/// Lets an enrolled phone redeem a code only when its sign-in is over, which its own server says, and only at that server: a foreign
/// invitation must not get to see a token of ours.
async fn check_signed_out(shared: &Shared, old: &Identity, invitation: &Invitation) -> Result<(), Error> {
    if invitation.server.to_string() != old.server_url {
        return Err(Error::AlreadyEnrolled);
    }
    match refresh(shared, old).await {
        Ok(_) => Err(Error::AlreadyEnrolled),
        Err(Error::SignedOut(_)) => Ok(()),
        Err(other) => Err(other),
    }
}

/// An access token that is good for a handshake.
///
/// # Errors
/// [`Error::NotEnrolled`], [`Error::SignedOut`], and those of the way.
pub(crate) async fn access_token(shared: &Shared) -> Result<String, Error> {
    let _alone = shared.refreshing.lock().await;
    let (identity, now_ms) =
        shared.with(|replica, now| Ok::<_, Error>((replica.identity()?.clone(), replica.now_ms(now))))?;
    if let Some(row) = shared.store.get(ACCESS)?.and_then(|row| minicbor::decode::<AccessRow>(&row).ok())
        && now_ms.saturating_add(TOKEN_MARGIN_MS) < row.expires_ms
    {
        return Ok(row.token);
    }
    refresh(shared, &identity).await
}

/// Exchanges the refresh token; the caller holds [`Shared::refreshing`].
async fn refresh(shared: &Shared, identity: &Identity) -> Result<String, Error> {
    let server = Address::parse(&identity.server_url)?;
    let wipes = shared.with(|replica, _| {
        // The phone may have left since the caller looked.
        let same = replica.identity()?.device == identity.device;
        same.then(|| replica.wipes()).ok_or(Error::NotEnrolled)
    })?;
    let mut http = Http::connect(&shared.dialer, &server, &shared.agent).await?;
    let request = RefreshRequest { refresh_token: &identity.refresh_token };
    let tokens: Tokens = http.post("/api/token/refresh", None, &request).await?;
    let refresh_token = tokens.refresh_token.clone();
    keep(shared, Identity { refresh_token, ..identity.clone() }, &tokens, wipes)?;
    Ok(tokens.access_token)
}

/// Keeps who this phone is and its tokens, unless everything was deleted while the server was being asked: a phone that left stays so,
/// however late the answer.
fn keep(shared: &Shared, identity: Identity, tokens: &Tokens, wipes: u64) -> Result<(), Error> {
    shared.with(|replica, _| {
        if replica.wipes() != wipes {
            return Err(Error::NotEnrolled);
        }
        replica.enrol(identity)?;
        keep_access(shared, tokens)
    })
}

/// Makes the next [`access_token`] a fresh one: the server did not like the last.
///
/// # Errors
/// [`Error`] of the store.
pub(crate) fn forget_access(shared: &Shared) -> Result<(), Error> {
    let mut batch = Batch::new();
    batch.delete(ACCESS);
    shared.store.commit_one(batch)?;
    Ok(())
}

/// A connection to the REST face with a good token.
///
/// # Errors
/// As [`access_token`].
pub(crate) async fn signed_in(shared: &Shared) -> Result<(Http, String), Error> {
    let token = access_token(shared).await?;
    let url = shared.with(|replica, _| Ok::<_, Error>(replica.identity()?.server_url.clone()))?;
    let http = Http::connect(&shared.dialer, &Address::parse(&url)?, &shared.agent).await?;
    Ok((http, token))
}

fn keep_access(shared: &Shared, tokens: &Tokens) -> Result<(), Error> {
    let row = AccessRow { token: tokens.access_token.clone(), expires_ms: tokens.access_expires_ms };
    put(shared, ACCESS, &row)
}

/// The claim of this code: drawn once and kept until the enrolment succeeded.
fn claim(shared: &Shared, code: &str) -> Result<String, Error> {
    let kept = shared.store.get(CLAIM)?.and_then(|row| minicbor::decode::<ClaimRow>(&row).ok());
    if let Some(row) = kept.filter(|row| row.code == code) {
        return Ok(row.claim);
    }
    let claim = hex::encode(shared.entropy.seed());
    put(shared, CLAIM, &ClaimRow { code: code.to_owned(), claim: claim.clone() })?;
    Ok(claim)
}

fn put<T: Encode<()>>(shared: &Shared, key: &[u8], row: &T) -> Result<(), Error> {
    let mut batch = Batch::new();
    // Encoding into memory has no way to fail.
    batch.put(key, minicbor::to_vec(row).unwrap_or_default());
    shared.store.commit_one(batch)?;
    Ok(())
}

/// What the server answers when the phone is not what the code is for.
const SOMEBODY_ELSE: [&str; 2] = ["code_other_user", "device_stranger"];
/// What a restored server answers that knows the phone's user no more.
const FORGOTTEN: &str = "user_forgotten";
/// Beside the replica's own rows; below its wipe, which deletes every key from `a` on.
const ACCESS: &[u8] = b"d/access";
const CLAIM: &[u8] = b"d/claim";
