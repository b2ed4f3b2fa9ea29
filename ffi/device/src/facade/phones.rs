//! The user's other phones: a code for the next one, the list, and ending one that is lost. These need the server.

use std::sync::Arc;
use std::time::Duration;

use fieldbook_core::ids::{DeviceId, UserId};
use serde::Deserialize;

use super::Fieldbook;
use crate::cancel::CancelToken;
use crate::error::Error;
use crate::records::{Handover, Phone};
use crate::sync::{sign_in, upload};

#[derive(Debug, Deserialize)]
struct NewCode {
    code: String,
    qr: String,
    expires_ms: i64,
}

#[derive(Debug, Deserialize)]
struct Listed {
    id: DeviceId,
    user: UserId,
    name: String,
    status: String,
    enrolled_ms: i64,
    last_contact_ms: i64,
}

impl Fieldbook {
    /// A one-time code for the user's next phone, and what this one has yet to send. Both phones work from then on; sync this one before it
    /// is put away.
    ///
    /// # Errors
    /// As [`Fieldbook::sync_now`], and [`Error::Server`].
    pub fn handover(&self, limit: Duration, cancel: Option<Arc<CancelToken>>) -> Result<Handover, Error> {
        let shared = self.shared.clone();
        let NewCode { code, qr, expires_ms } = self.long(limit, cancel, async move {
            let (mut http, token) = sign_in::signed_in(&shared).await?;
            http.post("/api/handover", Some(&token), &serde_json::json!({})).await
        })?;
        // Counted when the code is there: what was edited meanwhile is unsent too.
        let waiting = upload::waiting(&self.shared)?;
        let unsent = self.shared.with(|replica, _| Ok::<_, Error>(replica.unanswered()))?;
        let evidence_unsent = waiting.to_send + waiting.refused;
        Ok(Handover { invitation: qr, code, expires_ms, unsent, evidence_unsent })
    }

    /// The phones of this user, this one included.
    ///
    /// # Errors
    /// As [`Fieldbook::handover`].
    pub fn phones(&self, limit: Duration, cancel: Option<Arc<CancelToken>>) -> Result<Vec<Phone>, Error> {
        let me = self.me()?;
        let shared = self.shared.clone();
        let listed: Vec<Listed> = self.long(limit, cancel, async move {
            let (mut http, token) = sign_in::signed_in(&shared).await?;
            http.get("/api/devices", &token).await
        })?;
        let phone = |listed: Listed| Phone {
            this: listed.id == me.device,
            device: listed.id,
            name: listed.name,
            status: listed.status,
            enrolled_ms: listed.enrolled_ms,
            last_contact_ms: listed.last_contact_ms,
        };
        // An administrator is shown everybody's.
        Ok(listed.into_iter().filter(|listed| listed.user == me.user).map(phone).collect())
    }

    /// Ends another phone of this user. One that is lost hands over what it holds once and is wiped at its next contact; a stolen one is
    /// wiped and nothing that it sends is kept.
    ///
    /// # Errors
    /// As [`Fieldbook::handover`]; [`Error::Invalid`] for this very phone.
    pub fn end_phone(
        &self,
        device: DeviceId,
        stolen: bool,
        limit: Duration,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<(), Error> {
        if self.me()?.device == device {
            return Err(Error::Invalid("a phone does not end itself; use leave".into()));
        }
        let verb = if stolen { "stolen" } else { "revoke" };
        let shared = self.shared.clone();
        self.long(limit, cancel, async move {
            let (mut http, token) = sign_in::signed_in(&shared).await?;
            let _: Listed = http
                .post(&format!("/api/devices/{device}/{verb}"), Some(&token), &serde_json::json!({}))
                .await?;
            Ok(())
        })
    }
}
