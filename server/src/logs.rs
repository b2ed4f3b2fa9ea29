//! Structured logs. Ids, counts and codes, never names, telephone numbers, notes or tokens: whoever reads logs need not know customers.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::config::{Config, LogFormat};

/// Sends the process's log lines to standard error, once; a second call changes nothing.
pub fn install(config: &Config) {
    let subscriber = subscriber(&config.log_level, config.log_format, std::io::stderr);
    // An error means that logs are installed already (a test, `demo` with its phones).
    let _ = tracing::subscriber::set_global_default(subscriber);
}

/// A subscriber that writes to `to`.
pub fn subscriber<W>(level: &str, format: LogFormat, to: W) -> Box<dyn tracing::Subscriber + Send + Sync>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    // The configuration refused what does not parse.
    let filter = EnvFilter::try_new(level).unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(to);
    match format {
        LogFormat::Json => Box::new(lines.json().flatten_event(true).with_current_span(false).finish()),
        LogFormat::Text => Box::new(lines.with_ansi(false).finish()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex, PoisonError};

    use super::*;

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn written(format: LogFormat) -> String {
        let page = Page::default();
        let to = page.clone();
        let subscriber = subscriber("info", format, move || to.clone());
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(device = "0102", status = 200, "request");
            tracing::debug!("below the level");
        });
        let bytes = page.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn json_lines_are_objects_with_their_fields() {
        let text = written(LogFormat::Json);
        assert_eq!(text.lines().count(), 1);
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((line["message"].as_str(), line["device"].as_str()), (Some("request"), Some("0102")));
        assert_eq!((line["status"].as_i64(), line["level"].as_str()), (Some(200), Some("INFO")));
    }

    #[test]
    fn text_lines_are_for_eyes() {
        let text = written(LogFormat::Text);
        assert!(
            text.contains("request") && text.contains("status=200") && !text.contains('\u{1b}'),
            "{text}"
        );
    }
}
