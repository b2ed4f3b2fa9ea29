//! Why a request was refused, as `application/problem+json` (RFC 9457): a status, a stable code for programs, a sentence for people.
//! Failures of the server are logged here, once, and told without their inside.

use axum::extract::rejection::{BytesRejection, JsonRejection, PathRejection, QueryRejection};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use fieldbook_core::company::{CompanyError, ReadRefused};
use fieldbook_core::store::StoreError;
use serde::Serialize;
use utoipa::ToSchema;

use super::progress::Stalled;
use crate::auth::{CodeError, RefreshError, TokenError};
use crate::evidence::EvidenceError;
use crate::import::ImportError;

/// A refused request.
#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    code: &'static str,
    detail: String,
    /// For evidence: where the next part begins.
    received_bytes: Option<u64>,
    /// For a caller that has to wait: seconds, also as the header `Retry-After`.
    retry_after_s: Option<u64>,
}

/// The body of a refusal.
#[derive(Debug, Serialize, ToSchema)]
pub struct Problem {
    /// `urn:fieldbook:problem:` and the code.
    #[serde(rename = "type")]
    kind: String,
    /// What the status means.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// Stable, for programs.
    code: &'static str,
    /// A sentence, for people.
    detail: String,
    /// For evidence uploads: where the next part begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    received_bytes: Option<u64>,
    /// After too many attempts: seconds to wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_s: Option<u64>,
}

impl ApiError {
    /// A refusal with this status, code and sentence.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), received_bytes: None, retry_after_s: None }
    }

    /// 400: the request is not what the document asks for.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad_request", detail)
    }

    /// 401: nobody is signed in.
    pub fn unauthorized(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, code, detail)
    }

    /// 401: no key of ours signed it, for whatever reason: whoever guesses learns nothing.
    pub fn unsigned() -> Self {
        let detail = "this address needs `Fieldbook-Key` and a `Fieldbook-Signature` of this body that is not older than five minutes";
        Self::unauthorized(UNSIGNED, detail)
    }

    /// 403: somebody is, and may not.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", detail)
    }

    /// 404.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", detail)
    }

    /// 409: something stands in the way of it.
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "refused", detail)
    }

    /// 429: this network has to wait for so many seconds.
    pub fn too_many_attempts(wait_s: u64) -> Self {
        let minutes = wait_s.div_ceil(60).max(1);
        let detail = format!(
            "too many wrong codes came from this network; wait {minutes} minute{} and try again",
            if minutes == 1 { "" } else { "s" }
        );
        let refused = Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_attempts", detail);
        Self { retry_after_s: Some(wait_s), ..refused }
    }

    /// A failure of the server itself, which goes to the log and not to the caller.
    fn failure(error: &dyn std::error::Error) -> Self {
        tracing::error!(error = %error, "a request failed in the server");
        let detail = "the server failed to do this; nothing was changed, try again later";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "server_failed", detail)
    }
}

impl std::fmt::Display for ApiError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.detail)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let problem = Problem {
            kind: format!("urn:fieldbook:problem:{}", self.code),
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            code: self.code,
            detail: self.detail,
            received_bytes: self.received_bytes,
            retry_after_s: self.retry_after_s,
        };
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        let mut response = (self.status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(wait_s) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, wait_s.into());
        }
        if self.status == StatusCode::UNAUTHORIZED {
            let scheme = if self.code == UNSIGNED { "Fieldbook-Signature" } else { "Bearer" };
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(scheme));
        }
        response
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Io(_) => {
                tracing::error!(%error, "a request failed in the store");
                let detail =
                    "the server's disk is full or failed; nothing was changed, tell who runs the server";
                Self::new(StatusCode::INSUFFICIENT_STORAGE, "store_failed", detail)
            }
            other => Self::failure(&other),
        }
    }
}

impl From<CompanyError> for ApiError {
    fn from(error: CompanyError) -> Self {
        match &error {
            CompanyError::Unknown { .. } => Self::not_found(error.to_string()),
            CompanyError::Refused(reason) => Self::conflict(reason),
            CompanyError::Contended => Self::new(StatusCode::CONFLICT, "contended", error.to_string()),
            CompanyError::Store(store) => store.clone().into(),
            CompanyError::Row { .. } => Self::failure(&error),
        }
    }
}

impl From<ReadRefused> for ApiError {
    fn from(error: ReadRefused) -> Self {
        match error {
            ReadRefused::Unknown => Self::not_found(error.to_string()),
            ReadRefused::Company(error) => error.into(),
        }
    }
}

impl From<TokenError> for ApiError {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::Store(error) => error.into(),
            TokenError::Expired => Self::unauthorized("token_expired", error.to_string()),
            other => Self::unauthorized("token_refused", other.to_string()),
        }
    }
}

impl From<CodeError> for ApiError {
    fn from(error: CodeError) -> Self {
        let code = match error {
            CodeError::Store(error) => return error.into(),
            CodeError::Invalid => "code_invalid",
            CodeError::Expired => "code_expired",
            CodeError::Used => "code_used",
            CodeError::Locked => "code_locked",
            CodeError::OtherUser => "code_other_user",
            CodeError::Forgotten(_) => "user_forgotten",
            CodeError::Stranger => "device_stranger",
            CodeError::Ended => "device_revoked",
        };
        Self::new(StatusCode::FORBIDDEN, code, error.to_string())
    }
}

impl From<RefreshError> for ApiError {
    fn from(error: RefreshError) -> Self {
        let code = match error {
            RefreshError::Store(error) => return error.into(),
            RefreshError::Unknown => "refresh_unknown",
            RefreshError::Expired => "refresh_expired",
            RefreshError::Reused => "refresh_reused",
            RefreshError::Revoked => "refresh_revoked",
        };
        Self::unauthorized(code, error.to_string())
    }
}

impl From<EvidenceError> for ApiError {
    fn from(error: EvidenceError) -> Self {
        let detail = error.to_string();
        match error {
            EvidenceError::Size { .. } => Self::new(StatusCode::PAYLOAD_TOO_LARGE, "evidence_size", detail),
            EvidenceError::Part { .. } => Self::new(StatusCode::BAD_REQUEST, "evidence_part", detail),
            EvidenceError::Gap { received_bytes } => Self {
                received_bytes: Some(received_bytes),
                ..Self::new(StatusCode::CONFLICT, "evidence_gap", detail)
            },
            EvidenceError::WrongHash => Self {
                received_bytes: Some(0),
                ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, "evidence_hash", detail)
            },
            EvidenceError::TooManyUploads { .. } => {
                Self::new(StatusCode::TOO_MANY_REQUESTS, "evidence_uploads", detail)
            }
            EvidenceError::NotFound => Self::not_found(detail),
            EvidenceError::DiskFull => Self::new(StatusCode::INSUFFICIENT_STORAGE, "disk_full", detail),
            EvidenceError::Io(error) => Self::failure(&error),
        }
    }
}

impl From<ImportError> for ApiError {
    fn from(error: ImportError) -> Self {
        let status = match error {
            ImportError::TooLarge { .. } | ImportError::TooMany { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            _ => StatusCode::UNPROCESSABLE_ENTITY,
        };
        Self::new(status, "import_refused", error.to_string())
    }
}

impl From<Stalled> for ApiError {
    fn from(stalled: Stalled) -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "request_stalled", stalled.to_string())
    }
}

impl From<JsonRejection> for ApiError {
    fn from(rejection: JsonRejection) -> Self {
        if let Some(stalled) = Stalled::behind(&rejection) {
            return stalled.into();
        }
        Self::new(rejection.status(), "bad_request", rejection.body_text())
    }
}

impl From<QueryRejection> for ApiError {
    fn from(rejection: QueryRejection) -> Self {
        Self::bad_request(rejection.body_text())
    }
}

impl From<PathRejection> for ApiError {
    fn from(rejection: PathRejection) -> Self {
        Self::bad_request(rejection.body_text())
    }
}

impl From<BytesRejection> for ApiError {
    fn from(rejection: BytesRejection) -> Self {
        if let Some(stalled) = Stalled::behind(&rejection) {
            return stalled.into();
        }
        Self::new(rejection.status(), "bad_request", rejection.body_text())
    }
}

/// The code of what no key of ours signed.
const UNSIGNED: &str = "signature_refused";
