//! A light phone: it sends pushes that were made beforehand and counts answers, so that what it costs itself is as little as a phone can
//! cost that is on the same machine.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use fieldbook_core::sync::message::{
    Answer, ChannelState, Fill, FromPhone, FromServer, Hello, Push, VERSIONS, Verdict, decode_frame, encode,
};
use futures_util::{SinkExt, StreamExt};
use rustls::pki_types::CertificateDer;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use crate::Fail;
use crate::firm::{Member, now};
use crate::wire::{Socket, Tally, connect};

/// Where a light phone claims to stand: it holds all its channels up to a cursor.
#[derive(Debug, Clone, Copy)]
pub struct Standing {
    /// The log's epoch.
    pub epoch: u64,
    /// The log's head, or a position before it.
    pub cursor: u64,
}

/// A greeted connection that is caught up.
pub struct Light {
    socket: Socket,
}

impl Light {
    /// Connects, greets and waits until the server has nothing more to say.
    ///
    /// # Errors
    /// Those of the network, and the server's refusals.
    pub async fn connect(
        port: u16,
        root: Option<&CertificateDer<'static>>,
        member: &Member,
        standing: Standing,
        pushed: u64,
    ) -> Result<Self, Fail> {
        let socket = connect(port, root, &Arc::new(Tally::default())).await?;
        let at = now();
        let state = |channel| ChannelState { channel, fill: Fill::Complete };
        let hello = FromPhone::Hello(Hello {
            versions: VERSIONS,
            token: member.token.clone(),
            incarnation: 1,
            pushed,
            epoch: standing.epoch,
            cursor: standing.cursor,
            channels: member.channels.iter().copied().map(state).collect(),
            boot: at.boot,
            mono_ms: at.mono_ms,
            wall_ms: at.wall_ms,
            agent: "bench-light".into(),
        });
        let mut light = Self { socket };
        light.socket.send(Message::Binary(encode(&hello).into())).await?;
        while !light.receive().await?.iter().any(|message| matches!(message, FromServer::CaughtUp(_))) {}
        Ok(light)
    }

    /// Sends every push, `ahead` unanswered at the most, and waits for the last answer. Gives how long each took, milliseconds.
    /// `answered` counts over all phones.
    ///
    /// # Errors
    /// Those of the network, and any answer but "durable".
    pub async fn drive(
        &mut self,
        pushes: Vec<(u64, Vec<u8>)>,
        ahead: usize,
        answered: &AtomicU64,
    ) -> Result<Vec<f64>, Fail> {
        let mut waiting = pushes.into_iter();
        let mut open: BTreeMap<u64, Instant> = BTreeMap::new();
        let mut took = Vec::with_capacity(waiting.len());
        loop {
            let mut sent = false;
            while open.len() < ahead
                && let Some((id, frame)) = waiting.next()
            {
                open.insert(id, Instant::now());
                self.socket.feed(Message::Binary(frame.into())).await?;
                sent = true;
            }
            if sent {
                self.socket.flush().await?;
            }
            if open.is_empty() {
                return Ok(took);
            }
            for message in self.receive().await? {
                if let FromServer::Answer(answer) = message {
                    durable(&answer)?;
                    let began = open.remove(&answer.id).ok_or("an answer to nothing")?;
                    took.push(began.elapsed().as_secs_f64() * 1e3);
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    }

    async fn receive(&mut self) -> Result<Vec<FromServer>, Fail> {
        loop {
            let Some(message) = timeout(SILENCE, self.socket.next()).await? else {
                return Err("the server hung up".into());
            };
            if let Message::Binary(frame) = message? {
                let messages = decode_frame::<FromServer>(&frame)?;
                if let Some(FromServer::Error(error)) =
                    messages.iter().find(|m| matches!(m, FromServer::Error(_)))
                {
                    return Err(format!("the server closed: {error:?}").into());
                }
                return Ok(messages);
            }
        }
    }
}

/// A push as it travels: one message, one frame.
pub fn frame(push: Push) -> (u64, Vec<u8>) {
    (push.id, encode(&FromPhone::Push(push)))
}

/// Refuses to count what is not merged and on the disk.
///
/// # Errors
/// Any other verdict.
pub fn durable(answer: &Answer) -> Result<(), Fail> {
    match &answer.verdict {
        Verdict::Durable { .. } => Ok(()),
        other => Err(format!("push {} to {} was not merged: {other:?}", answer.id, answer.doc).into()),
    }
}

const SILENCE: Duration = Duration::from_secs(60);
