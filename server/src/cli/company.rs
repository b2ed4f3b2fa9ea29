//! `fieldbook policy` and `fieldbook figures`: the company's rules as texts, and what came of them.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use fieldbook_core::language::Words;
use fieldbook_core::playbook::{Playbook, Written};
use fieldbook_core::policy::{Pack, Policy};
use jiff::civil::Date;
use serde_json::Value;

use super::{Failure, carry_out, holds_store, print};
use crate::config::Config;
use crate::control::Order;

#[derive(Debug, Subcommand)]
pub(super) enum PolicyCommand {
    /// Print a pack that ships, to begin with: medical, manufacturing or education.
    Show {
        /// Which.
        #[arg(default_value = "medical")]
        pack: String,
    },
    /// Print the word lists of dictation, which the section `dictation` of a policy changes by their names.
    Words,
    /// Say everything that is wrong with a policy; needs no server.
    Check {
        /// The file.
        file: PathBuf,
    },
    /// Check a policy and publish it.
    Publish {
        /// The file.
        file: PathBuf,
        /// From when it is in force, as 2026-03-01T00:00:00+08:00; without it from the company's next midnight.
        #[arg(long, value_parser = moment)]
        from: Option<jiff::Timestamp>,
        /// Why.
        #[arg(long, default_value = "")]
        note: String,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum PlaybookCommand {
    /// Print the talk packs and materials that ship, to begin with.
    Show,
    /// Say everything that is wrong with talk packs and materials; needs no server.
    Check {
        /// The file.
        file: PathBuf,
    },
    /// Check talk packs and materials and publish them: these and no others.
    Publish {
        /// The file.
        file: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(super) struct FiguresArgs {
    /// The first day.
    #[arg(long, value_parser = day)]
    from: Date,
    /// The day behind the last.
    #[arg(long, value_parser = day)]
    until: Date,
    /// What the leads of these days cost, yuan.
    #[arg(long)]
    marketing_yuan: Option<i64>,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// What needs no configuration and no store; `None`: it does.
pub(super) fn without_company(what: &PolicyCommand) -> Option<Result<ExitCode, Failure>> {
    match what {
        PolicyCommand::Show { pack } => Some(match Pack::named(pack) {
            Some(pack) => print(pack.toml()),
            None => {
                Err(format!("there is no pack {pack:?}; there are medical, manufacturing and education")
                    .into())
            }
        }),
        PolicyCommand::Words => Some(print(Words::toml())),
        PolicyCommand::Check { file } => Some(check(file).and_then(|policy| {
            print(&format!(
                "{}: {} stages, {} tasks; nothing is wrong\n",
                policy.name,
                policy.stages.len(),
                policy.tasks.len()
            ))
        })),
        PolicyCommand::Publish { .. } => None,
    }
}

pub(super) fn publish(config: &Config, what: PolicyCommand) -> Result<ExitCode, Failure> {
    let PolicyCommand::Publish { file, from, note } = what else { return Ok(ExitCode::SUCCESS) };
    holds_store(config)?;
    check(&file)?;
    let toml = std::fs::read_to_string(&file)?;
    let effective_from_ms = from.map(jiff::Timestamp::as_millisecond);
    let done = carry_out(config, &Order::PublishPolicy { toml, effective_from_ms, note })?;
    let from = done["effective_from_ms"].as_i64().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    let from = from.map(|from| from.to_zoned(config.timezone.clone()).to_string()).unwrap_or_default();
    print(&format!("published as {}, in force from {from}\n", done["id"].as_str().unwrap_or_default()))
}

/// What of the playbook needs no configuration and no store; `None`: it does.
pub(super) fn playbook_without_company(what: &PlaybookCommand) -> Option<Result<ExitCode, Failure>> {
    match what {
        PlaybookCommand::Show => Some(print(Playbook::toml())),
        PlaybookCommand::Check { file } => Some(check_playbook(file).and_then(|(_, written)| {
            let (packs, materials) = (written.packs.len(), written.materials.len());
            print(&format!("{packs} talk packs, {materials} materials; nothing is wrong\n"))
        })),
        PlaybookCommand::Publish { .. } => None,
    }
}

pub(super) fn publish_playbook(config: &Config, what: PlaybookCommand) -> Result<ExitCode, Failure> {
    let PlaybookCommand::Publish { file } = what else { return Ok(ExitCode::SUCCESS) };
    holds_store(config)?;
    let (toml, _) = check_playbook(&file)?;
    let done = carry_out(config, &Order::PublishPlaybook { toml })?;
    let what = if done["changed"] == true { "published" } else { "nothing is new" };
    print(&format!("{what}: {} talk packs, {} materials\n", done["packs"], done["materials"]))?;
    let dangling: Vec<&str> =
        done["dangling"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if dangling.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    print(&format!("the policy names what is not there: {}\n", dangling.join(", ")))
}

fn check_playbook(file: &Path) -> Result<(String, Written), Failure> {
    let text = std::fs::read_to_string(file).map_err(|e| format!("{}: {e}", file.display()))?;
    let written =
        Written::from_toml(&text).map_err(|wrong| format!("{} is refused:\n{wrong}", file.display()))?;
    Ok((text, written))
}

pub(super) fn figures(config: &Config, args: FiguresArgs) -> Result<ExitCode, Failure> {
    holds_store(config)?;
    let marketing_fen = args.marketing_yuan.map(|yuan| yuan.saturating_mul(100));
    let order = Order::Figures { from: args.from.to_string(), until: args.until.to_string(), marketing_fen };
    let told = carry_out(config, &order)?;
    if args.json {
        return print(&format!("{told:#}\n"));
    }
    for figure in told["figures"].as_array().into_iter().flatten() {
        print(&line(figure))?;
    }
    print(&format!(
        "{} phones were silent for a day; what they bring restates this\n",
        told["silent_devices"]
    ))
}

fn moment(text: &str) -> Result<jiff::Timestamp, String> {
    text.parse().map_err(|e: jiff::Error| e.to_string())
}

pub(super) fn day(text: &str) -> Result<Date, String> {
    text.parse().map_err(|e: jiff::Error| e.to_string())
}

pub(super) fn check(file: &Path) -> Result<Policy, Failure> {
    let text = std::fs::read_to_string(file).map_err(|e| format!("{}: {e}", file.display()))?;
    Policy::from_toml(&text).map_err(|wrong| format!("{} is refused:\n{wrong}", file.display()).into())
}

/// `M1a  48小时首次响应率（按新增）  93.60 %  (234 of 250)  healthy`
fn line(figure: &Value) -> String {
    let text = |key: &str| figure[key].as_str().unwrap_or_default().to_owned();
    let hundredths = |n: i64| format!("{}.{:02}", n / 100, n % 100);
    let value = match (figure["unit"].as_str(), figure["value"].as_i64()) {
        (Some("basis_points"), Some(bp)) => format!("{} %", hundredths(bp)),
        (Some("milliseconds"), Some(ms)) => format!("{} h", hundredths(ms / 36_000)),
        (Some("fen"), Some(fen)) => format!("{} 元", hundredths(fen)),
        (_, Some(n)) => hundredths(n),
        _ => "nothing to count".to_owned(),
    };
    let health = match figure["healthy"].as_bool() {
        Some(true) => "  healthy",
        Some(false) => "  unhealthy",
        None => "",
    };
    format!(
        "{:<5} {}  {value}  ({} of {}){health}\n",
        text("id"),
        text("name"),
        figure["counted"],
        figure["of"]
    )
}
