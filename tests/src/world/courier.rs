//! What a receiver has to take although our own sender would never send it so: a message twice, or two neighbours the other way round,
//! wherever [the protocol](../../../../docs/protocol.md) leaves that free. It happens while a frame is being delivered, and is counted
//! there.
//!
//! | Who | What | Why it is free |
//! |---|---|---|
//! | up | a push twice, at once or a while later | "pushing again is harmless" |
//! | up | two pushes that are not of one document, nor one of them of the other's parent, swapped | the server orders only pushes of one document, and a derived one behind its parent |
//! | up | a return twice | what is there already is passed over |
//! | down | an answer twice, at once or a while later | what follows from a push that came twice |
//! | down | answers of different documents, or an answer and a delta, swapped | "answers come in any order", also with the deltas |
//! | down | a delta, or a document that is gone, twice | it brings nothing new |
//!
//! Refuses to carry anything over a mark, a "caught up" or a "gone": these speak of all that came before them.

use fieldbook_core::ids::DocId;
use fieldbook_core::sync::message::{FromPhone, FromServer, Push, frames};

use super::{Event, Way, World};

impl World {
    /// The messages of a frame as the server gets them.
    pub(super) fn carry_up(&mut self, conn: u64, mut messages: Vec<FromPhone>) -> Vec<FromPhone> {
        if self.peace || !self.office.sessions.contains_key(&conn) {
            return messages;
        }
        self.swap(&mut messages, "swapped pushes", |a, b| match (a, b) {
            (FromPhone::Push(a), FromPhone::Push(b)) => are_independent(a, b),
            _ => false,
        });
        let mut carried = Vec::with_capacity(messages.len());
        for message in messages {
            let name = match &message {
                FromPhone::Push(_) => "repeated pushes",
                FromPhone::Return(_) => "repeated returns",
                _ => "",
            };
            if name.is_empty() || !self.dice.one_in(self.weather.repeats) {
                carried.push(message);
            } else if matches!(message, FromPhone::Push(_)) && self.dice.one_in(2) {
                self.echo(Way::Up, conn, message.clone());
                carried.push(message);
            } else {
                self.tally.add(name, 1);
                carried.extend([message.clone(), message]);
            }
        }
        carried
    }

    /// The messages of a frame as the phone gets them.
    pub(super) fn carry_down(&mut self, conn: u64, messages: Vec<FromServer>) -> Vec<FromServer> {
        let mut messages = self.overtake(conn, messages);
        if self.peace {
            return messages;
        }
        if let [FromServer::Answer(_)] = &messages[..]
            && self.dice.one_in(self.weather.repeats)
        {
            self.overtaken.entry(conn).or_default().append(&mut messages);
            let later_ms = 10 + self.dice.below(4_000);
            self.at(later_ms, Event::Overtaken(conn));
            return messages;
        }
        let mut carried = Vec::with_capacity(messages.len());
        for message in messages {
            let name = match &message {
                FromServer::Answer(_) => "repeated answers",
                FromServer::Delta(_) => "repeated deltas",
                FromServer::Gone(_) => "repeated goodbyes",
                _ => "",
            };
            if name.is_empty() || !self.dice.one_in(self.weather.repeats) {
                carried.push(message);
            } else if matches!(message, FromServer::Answer(_)) && self.dice.one_in(2) {
                self.echo(Way::Down, conn, message.clone());
                carried.push(message);
            } else {
                self.tally.add(name, 1);
                carried.extend([message.clone(), message]);
            }
        }
        self.swap(&mut carried, "swapped answers", |a, b| match (a, b) {
            (FromServer::Answer(a), FromServer::Answer(b)) => a.doc != b.doc,
            (FromServer::Answer(_), FromServer::Delta(_)) | (FromServer::Delta(_), FromServer::Answer(_)) => {
                true
            }
            _ => false,
        });
        carried
    }

    /// Answers that were held back: behind the first of the messages that may pass them, or before all of them.
    fn overtake(&mut self, conn: u64, messages: Vec<FromServer>) -> Vec<FromServer> {
        let Some(held) = self.overtaken.remove(&conn) else { return messages };
        let passes = |message: &FromServer| match message {
            FromServer::Delta(_) => true,
            FromServer::Answer(new) => {
                !held.iter().any(|old| matches!(old, FromServer::Answer(old) if old.doc == new.doc))
            }
            _ => false,
        };
        let first = usize::from(messages.first().is_some_and(passes));
        self.tally.add("swapped answers", first as u64);
        let mut rest = messages;
        let behind = rest.split_off(first);
        rest.into_iter().chain(held).chain(behind).collect()
    }

    /// Swaps neighbours that may be swapped, each message at most once.
    fn swap<M>(&mut self, messages: &mut [M], name: &'static str, may: impl Fn(&M, &M) -> bool) {
        let mut at = 0;
        while at + 1 < messages.len() {
            if may(&messages[at], &messages[at + 1]) && self.dice.one_in(self.weather.repeats) {
                messages.swap(at, at + 1);
                self.tally.add(name, 1);
                at += 1;
            }
            at += 1;
        }
    }

    /// Lets a message come once more over the same connection, behind whatever is sent meanwhile.
    fn echo<M: minicbor::Encode<()>>(&mut self, way: Way, conn: u64, message: M) {
        let later_ms = self.dice.below(4_000);
        for frame in frames([message]) {
            self.at(later_ms, Event::Echo(way, conn, frame));
        }
    }

    /// A message that came before sets out again.
    pub(super) fn set_out_again(&mut self, way: Way, conn: u64, frame: Vec<u8>) {
        if self.net.get(conn).is_none_or(|conn| !conn.is_whole()) {
            return;
        }
        if let Some(at) = self.net.send(conn, way, self.now_ms, &mut self.dice) {
            let name = match way {
                Way::Up => "late repeated pushes",
                Way::Down => "late repeated answers",
            };
            self.tally.add(name, 1);
            self.at((at - self.now_ms) as u64, Event::Arrive(way, conn, frame));
        }
    }
}

/// Whether the protocol lets the server judge these in either order.
fn are_independent(a: &Push, b: &Push) -> bool {
    let parent = |push: &Push| push.origin.as_ref().and_then(|origin| DocId::from_slice(&origin.parent));
    a.doc != b.doc && parent(a) != Some(b.doc) && parent(b) != Some(a.doc)
}

#[cfg(test)]
mod tests {
    use fieldbook_core::sync::message::Origin;

    use super::*;

    #[test]
    fn a_table_stays_behind_its_lead_and_leads_may_pass_each_other() {
        let push = |doc: u8, parent: Option<u8>| {
            let origin = parent.map(|p| Origin { parent: vec![p; DocId::LEN].into(), key: String::new() });
            Push { id: 1, doc: DocId([doc; DocId::LEN]), origin, changes: Vec::new() }
        };
        let cases = [
            (push(2, None), push(2, None), false),
            (push(2, None), push(4, Some(2)), false),
            (push(4, Some(2)), push(2, None), false),
            (push(2, None), push(3, None), true),
            (push(4, Some(2)), push(5, Some(2)), true),
            (push(4, Some(2)), push(3, None), true),
        ];
        for (a, b, free) in cases {
            assert_eq!(are_independent(&a, &b), free, "{:?} {:?}", a.doc, b.doc);
        }
    }
}
