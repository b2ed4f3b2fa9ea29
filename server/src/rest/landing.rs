//! What an invitation shows to whoever opens it outside the app: a plain camera reads the QR code as an address and the browser goes there. The
//! code stands behind `#` and never arrives here, so there is nothing to do but to say what to do.

use axum::http::header;
use axum::response::IntoResponse;

/// The page behind `/enrol`, in Chinese and English. It loads nothing, runs nothing, and tells no other page where it was.
pub(super) async fn page() -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
        ),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    (headers, PAGE)
}

const PAGE: &str = r#"<!doctype html>
<html lang="zh-CN">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>Fieldbook 登记 · Enrolment</title>
<style>body{font:1.1rem/1.6 system-ui,sans-serif;max-width:34rem;margin:3rem auto;padding:0 1rem}</style>
</head>
<body>
<h1>请在应用里扫描这个二维码</h1>
<p>这是用于登记手机的邀请。请打开公司的销售应用，在登记页面扫描这个二维码，或手工输入登记码。登记码只能使用一次，请不要转发。</p>
<div lang="en">
<h1>Scan this code with the app</h1>
<p>This is an invitation that enrols a phone. Open your company's app and scan the code there, or type it in. It works once; do not pass it on.</p>
</div>
</body>
</html>
"#;
