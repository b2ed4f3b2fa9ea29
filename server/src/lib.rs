//! fieldbook-server: the shell around core that a company runs: configuration, sign-in, evidence, imports, REST, logs, metrics and the
//! command line. The rules of the business are not here; they are in `fieldbook_core`.

pub mod app;
pub mod auth;
mod automation;
pub mod backup;
pub mod cli;
pub mod config;
pub mod confined;
pub mod control;
pub mod demo;
pub mod engine;
pub mod evidence;
pub mod hands;
pub mod hub;
pub mod import;
pub mod logs;
pub mod metrics;
pub mod rest;
pub mod serve;
mod signature;
pub mod tls;
