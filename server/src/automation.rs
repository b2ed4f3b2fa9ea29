//! The company's rules at work: rounds over what changed and what is due, and the sending of what they want told outside. What a round
//! decides is core's; this tells the phones of it, and the webhook.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use fieldbook_core::company::{CompanyError, Sent};
use tokio::sync::oneshot;
use tokio::time::MissedTickBehavior;

use crate::app::{App, blocking};
use crate::hands::Threads;

mod webhook;

use webhook::Webhook;

/// Runs until the server stops: at every tick as many rounds as there is work for.
pub(crate) async fn run(app: Arc<App>) {
    let every_ms = u64::from(app.config.automation_every_ms);
    if every_ms == 0 {
        return;
    }
    let mut tick = tokio::time::interval(Duration::from_millis(every_ms));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut stopping = app.stopping.subscribe();
    let rules = match Rules::new(app.clone()) {
        Ok(rules) => rules,
        Err(error) => return tracing::error!(%error, "there is no thread for the rules: none is applied"),
    };
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            _ = stopping.wait_for(|stopping| *stopping) => return,
        }
        while !*app.stopping.borrow() {
            match rules.round().await {
                Ok(true) => {}
                Ok(false) => break,
                // The disk may come back, and a lead that brings the rules down is one of many: both are told, and not at every tick.
                Err(error) => {
                    tracing::error!(error, "rules were not applied; they are tried again in a while");
                    tick.reset_after(AFTER_A_FAILURE);
                    break;
                }
            }
        }
    }
}

/// Gives leads that just came to whoever is to work them, until the server stops: a customer who asked is not kept waiting behind what else
/// the rules have to look at.
pub(crate) async fn hurry(app: Arc<App>) {
    if app.config.automation_every_ms == 0 {
        return;
    }
    let mut stopping = app.stopping.subscribe();
    loop {
        let leads = tokio::select! {
            leads = app.fresh.take() => leads,
            _ = stopping.wait_for(|stopping| *stopping) => return,
        };
        let hurried = app.clone();
        let judging = tokio::task::spawn_blocking(move || {
            for lot in leads.chunks(LEADS_A_ROUND) {
                let zone = &hurried.config.timezone;
                let done = hurried.company.automate_leads(lot, zone, hurried.now_ms())?;
                hurried.announce(done.touched);
            }
            Ok::<_, CompanyError>(())
        });
        // Whatever goes wrong here comes again with the news, and is told there.
        match judging.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::warn!(%error, "leads that just came wait for the next round of the rules")
            }
            Err(error) => tracing::warn!(%error, "leads that just came wait for the next round of the rules"),
        }
    }
}

/// The thread of the rules. Where processors are short it gives way to whoever syncs: what a rep wrote is safe and seen first, and what
/// follows from it comes a moment later.
struct Rules(std::sync::mpsc::Sender<oneshot::Sender<Result<bool, String>>>);

impl Rules {
    fn new(app: Arc<App>) -> std::io::Result<Self> {
        let (ask, asked) = std::sync::mpsc::channel::<oneshot::Sender<_>>();
        std::thread::Builder::new().name("rules".into()).spawn(move || {
            give_way();
            for answer in asked {
                // A lead that brings the rules down does not take their thread along.
                let done = catch_unwind(AssertUnwindSafe(|| round(&app)));
                let done = done.map_err(|_| "the rules broke off".to_owned());
                // Whoever asked may have stopped listening.
                let _ = answer.send(done.and_then(|done| done.map_err(|error| error.to_string())));
            }
        })?;
        Ok(Self(ask))
    }

    /// One round; whether there is more to do at once.
    async fn round(&self) -> Result<bool, String> {
        let (answer, answered) = oneshot::channel();
        let gone = || "the thread of the rules is gone".to_owned();
        self.0.send(answer).map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}

/// Lets this thread, and those that it starts, run behind the others: on Linux, where a priority is a thread's.
fn give_way() {
    #[cfg(target_os = "linux")]
    let me = rustix::thread::gettid();
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(Some(me), NICE) {
        tracing::warn!(%error, "the rules run beside everything else");
    }
}

/// Sends what the rules want told outside, until the server stops. Apart from the rules: a receiver that is slow keeps no lead waiting.
/// Without a webhook nothing is sent, and what is too late expires.
pub(crate) async fn send(app: Arc<App>) {
    let config = &app.config;
    let webhook = config.webhook_url.as_deref().map(|url| Webhook::new(url, &config.webhook_key.0));
    let webhook = match webhook.transpose() {
        Ok(webhook) => webhook,
        Err(error) => {
            return tracing::error!(error, "automation.webhook_url cannot be used: nothing is sent");
        }
    };
    let mut tick = tokio::time::interval(if webhook.is_some() { SEND_EVERY } else { EXPIRE_EVERY });
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut stopping = app.stopping.subscribe();
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            _ = stopping.wait_for(|stopping| *stopping) => return,
        }
        // What was begun and not settled is sent again by the next process, under the same key.
        tokio::select! {
            () = lot(&app, webhook.as_ref()) => {}
            _ = stopping.wait_for(|stopping| *stopping) => return,
        }
    }
}

/// One round; whether there is more to do at once.
fn round(app: &App) -> Result<bool, CompanyError> {
    let done = app.company.automate_with(&app.config.timezone, app.now_ms(), LEADS_A_ROUND, &Threads)?;
    if done.acted > 0 {
        tracing::info!(judged = done.judged, acted = done.acted, "rules were applied");
    }
    for (lead, error) in &done.failed {
        tracing::error!(%lead, error, "the rules could not be applied to a lead");
    }
    app.announce(done.touched);
    Ok(done.more)
}

/// Sends what waits, until one does not get through: the receiver is away then, and the others wait with it.
async fn lot(app: &Arc<App>, webhook: Option<&Webhook>) {
    let leasing = app.clone();
    let leased = blocking(move || leasing.company.lease_intents(leasing.now_ms(), INTENTS_A_LOT)).await;
    let leased = match leased {
        Ok(leased) => leased,
        Err(error) => return tracing::error!(%error, "intents were not read"),
    };
    let Some(webhook) = webhook else { return };
    for leased in leased {
        if leased.intent.expires_ms <= app.now_ms() {
            // The next to take it says so.
            continue;
        }
        let sent = webhook.send(&leased.intent, app.now_ms()).await;
        let settling = app.clone();
        match blocking(move || settling.company.settle_intent(leased, sent, settling.now_ms())).await {
            Ok(None) => {}
            Ok(Some(rule)) => {
                tracing::error!(rule, "an automation failed three times in a row and is paused")
            }
            Err(error) => tracing::error!(%error, "what came of an intent was not noted; it is sent again"),
        }
        if sent == Sent::Failed {
            return;
        }
    }
}

/// Leads of one commit, about those of one round: a few dozen milliseconds.
const LEADS_A_ROUND: usize = 64;
/// How far the rules stand behind, as `nice` counts.
const NICE: i32 = 19;
/// How long the rules rest after they failed.
const AFTER_A_FAILURE: Duration = Duration::from_secs(30);
/// Intents that are taken at once.
const INTENTS_A_LOT: usize = 32;
/// How often what waits is sent.
const SEND_EVERY: Duration = Duration::from_millis(500);
/// How often what is too late expires where nothing is sent.
const EXPIRE_EVERY: Duration = Duration::from_secs(3_600);
