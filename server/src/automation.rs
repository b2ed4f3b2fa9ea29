//! The company's rules at work: rounds over what changed and what is due, and the sending of what they want told outside. What a round
//! decides is core's; this tells the phones of it, and the webhook.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;

use crate::app::{App, blocking};

mod webhook;

use webhook::Webhook;

/// Leads of one round: a few dozen milliseconds, so that a round never keeps the store's readers waiting for long.
const LEADS_A_ROUND: usize = 64;

/// Runs until the server stops: at every tick as many rounds as there is work for.
pub(crate) async fn run(app: Arc<App>) {
    let every_ms = u64::from(app.config.automation_every_ms);
    if every_ms == 0 {
        return;
    }
    let mut tick = tokio::time::interval(Duration::from_millis(every_ms));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut stopping = app.stopping.subscribe();
    let config = &app.config;
    let webhook = config.webhook_url.as_deref().map(|url| Webhook::new(url, &config.webhook_key));
    let webhook = webhook.transpose().unwrap_or_else(|error| {
        tracing::error!(error, "automation.webhook_url cannot be used: nothing is sent");
        None
    });
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            _ = stopping.wait_for(|stopping| *stopping) => return,
        }
        while !*app.stopping.borrow() {
            let app = app.clone();
            if !blocking(move || round(&app)).await {
                break;
            }
        }
        if let Some(webhook) = &webhook {
            send(&app, webhook).await;
        }
    }
}

/// One round; whether there is more to do at once.
fn round(app: &App) -> bool {
    match app.company.automate(&app.config.timezone, app.now_ms(), LEADS_A_ROUND) {
        Ok(done) => {
            if done.acted > 0 {
                tracing::info!(judged = done.judged, acted = done.acted, "rules were applied");
            }
            app.announce(done.touched);
            done.more
        }
        Err(error) => {
            tracing::error!(%error, "rules were not applied; they are with the next round");
            false
        }
    }
}

/// Sends what waits. What is not settled, because the process ends here, is sent again by the next under the same key.
async fn send(app: &Arc<App>, webhook: &Webhook) {
    let leasing = app.clone();
    let leased =
        match blocking(move || leasing.company.lease_intents(leasing.now_ms(), INTENTS_A_ROUND)).await {
            Ok(leased) => leased,
            Err(error) => return tracing::error!(%error, "intents were not read"),
        };
    for leased in leased {
        if *app.stopping.borrow() {
            return;
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
    }
}

/// Intents that are taken at once.
const INTENTS_A_ROUND: usize = 32;
