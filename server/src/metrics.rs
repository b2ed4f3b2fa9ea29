//! Figures for operators, in Prometheus' text format. One table of names, so that a dashboard can rely on them.

use std::sync::OnceLock;
use std::time::Duration;

use metrics::{describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// Requests by route, method and status.
pub const HTTP_REQUESTS: &str = "fieldbook_http_requests_total";
/// Time of a request by route, seconds.
pub const HTTP_SECONDS: &str = "fieldbook_http_request_seconds";
/// Enrolments and refreshes by outcome.
pub const SIGN_INS: &str = "fieldbook_sign_ins_total";
/// Bytes of evidence received.
pub const EVIDENCE_BYTES: &str = "fieldbook_evidence_received_bytes_total";
/// Leads imported by outcome.
pub const IMPORTED: &str = "fieldbook_imported_rows_total";
/// Leads and events that other systems sent, by outcome.
pub const INTAKE: &str = "fieldbook_intake_items_total";
/// Bytes of the store on the disk.
pub const STORE_BYTES: &str = "fieldbook_store_bytes";
/// The last position of the company's log.
pub const LOG_POSITION: &str = "fieldbook_log_position";
/// Phones connected at this moment.
pub const SESSIONS: &str = "fieldbook_sync_sessions";
/// Changes pushed by phones, by outcome.
pub const PUSHED: &str = "fieldbook_sync_pushes_total";

/// Starts collecting, once for the process, and gives the handle that renders.
pub fn install() -> &'static PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE.get_or_init(|| {
        let builder = PrometheusBuilder::new();
        let matcher = Matcher::Full(HTTP_SECONDS.to_owned());
        // Only empty buckets are refused.
        let builder =
            builder.set_buckets_for_metric(matcher, SECONDS).unwrap_or_else(|_| PrometheusBuilder::new());
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        // Another recorder in the process (a test's) keeps its place; ours then renders nothing.
        let _ = metrics::set_global_recorder(recorder);
        describe();
        handle
    })
}

/// Notes a request that was answered. The route is the pattern, never the path, which holds ids.
pub fn request(method: &str, route: &str, status: u16, took: Duration) {
    let labels = [("method", method.to_owned()), ("route", route.to_owned()), ("status", status.to_string())];
    metrics::counter!(HTTP_REQUESTS, &labels).increment(1);
    metrics::histogram!(HTTP_SECONDS, "route" => route.to_owned()).record(took.as_secs_f64());
}

/// Notes an enrolment or a refresh.
pub fn sign_in(kind: &'static str, ok: bool) {
    let outcome = if ok { "ok" } else { "refused" };
    metrics::counter!(SIGN_INS, "kind" => kind, "outcome" => outcome).increment(1);
}

/// Notes the rows of an import.
pub fn imported(new: usize, known: usize, rejected: usize) {
    for (outcome, rows) in [("new", new), ("known", known), ("rejected", rejected)] {
        metrics::counter!(IMPORTED, "outcome" => outcome).increment(rows as u64);
    }
}

/// Notes what another system sent: leads or events.
pub fn taken_in(kind: &'static str, outcome: &'static str, items: usize) {
    metrics::counter!(INTAKE, "kind" => kind, "outcome" => outcome).increment(items as u64);
}

fn describe() {
    describe_counter!(HTTP_REQUESTS, "Requests by route, method and status");
    describe_histogram!(HTTP_SECONDS, "Time of a request by route, seconds");
    describe_counter!(SIGN_INS, "Enrolments and refreshes by outcome");
    describe_counter!(EVIDENCE_BYTES, "Bytes of evidence received");
    describe_counter!(IMPORTED, "Imported rows by outcome");
    describe_counter!(INTAKE, "Leads and events that other systems sent by outcome");
    describe_gauge!(STORE_BYTES, "Bytes of the store on the disk");
    describe_gauge!(LOG_POSITION, "Last position of the company's log");
    describe_gauge!(SESSIONS, "Phones connected at this moment");
    describe_counter!(PUSHED, "Pushes of phones by outcome");
}

/// Upper bounds of the histogram of request times.
const SECONDS: &[f64] = &[0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0];
