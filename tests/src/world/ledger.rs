//! What an onlooker has seen: every change that reached a phone's disk and what became of it, read from the disks themselves and not
//! from what the product says of them.

use std::collections::{BTreeMap, BTreeSet};

use fieldbook_core::company::HeldState;
use fieldbook_core::ids::{DeviceId, DocId, DocKind, Hash32};
use fieldbook_core::replica::{KeptWhy, Replica};
use fieldbook_core::store::{Direction, MemoryStore, Position, Range, Store};
use fieldbook_core::sync::message::{Answer, FromServer, Push, Verdict};
use sha2::{Digest, Sha256};

use super::clocks::{ActTime, Handshake};
use super::{Step, Violation, World, violated};

/// What became of a change, as far as its phone was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It waits in the outbox.
    Waiting,
    /// The phone was told that it is durable.
    Durable,
    /// The phone was told that it is held.
    Held,
    /// The phone was told that it is refused.
    Refused,
    /// A backup was put back on the phone before the change had been answered, or the phone was stolen.
    LostWithPhone,
}

/// A change that reached the disk of a phone.
#[derive(Debug, Clone)]
pub(super) struct Made {
    pub doc: DocId,
    pub phone: usize,
    pub number: u64,
    pub fate: Fate,
}

/// An outbox entry as it lies on a disk.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub doc: DocId,
    pub hash: Hash32,
    pub change: Vec<u8>,
}

/// What has been seen so far.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// Every change of every phone.
    pub made: BTreeMap<Hash32, Made>,
    /// The outbox of each phone when it was last seen, by number.
    outbox: BTreeMap<usize, BTreeMap<u64, Entry>>,
    /// Answers that a phone was given and that explain what vanishes next.
    explained: BTreeMap<usize, Vec<Answer>>,
    /// Every document that anybody made, with the number of its family.
    pub docs: BTreeMap<DocId, usize>,
    /// Pushes that reached the server, for replays.
    pub pushes: Vec<(usize, Push)>,
    /// The server's head when it was last seen.
    pub head: Position,
    /// Epoch and cursor of each phone when it was last seen, with its generation.
    pub cursors: BTreeMap<usize, (u64, u64, Position)>,
    /// Changes that a restored server lost, with who held them then: phone and generation.
    pub lost: BTreeMap<Hash32, Vec<(usize, u64)>>,
    /// Of those, what the server has again without having answered their author since: it may still have to say goodbye.
    pub returned: BTreeSet<Hash32>,
    /// Changes told durable that could not be looked up because the server was down.
    unchecked: BTreeSet<Hash32>,
    /// When each change was made.
    pub times: BTreeMap<Hash32, ActTime>,
    /// Hellos that reached a server, by device and boot.
    pub hellos: BTreeMap<(DeviceId, u64), Vec<Handshake>>,
    /// What the server's clock said in each welcome, with how far it was off.
    pub welcomes: BTreeMap<i64, i64>,
    /// Every handshake that a device took, by what the server's clock said in it.
    pub handshakes: BTreeMap<(DeviceId, i64), Handshake>,
}

impl Ledger {
    /// Numbers a document that was made, with everything that belongs to it.
    pub fn family(&mut self, doc: DocId, derived: &[DocId]) -> usize {
        let next = self.docs.values().max().map_or(1, |n| n + 1);
        let n = *self.docs.entry(doc).or_insert(next);
        for doc in derived {
            self.docs.insert(*doc, n);
        }
        n
    }

    /// A push reached the server.
    pub fn sent(&mut self, phone: usize, push: &Push) {
        if self.pushes.len() < REPLAYS_MAX {
            self.pushes.push((phone, push.clone()));
        }
    }

    /// These answers reached the phone, though nobody saw what they did.
    pub fn explain(&mut self, phone: usize, answers: &[Answer]) {
        self.explained.entry(phone).or_default().extend_from_slice(answers);
    }

    /// A backup was put back on the phone: what was not answered and is not in it is lost.
    pub fn set_back(&mut self, phone: usize, store: &dyn Store) -> Step {
        self.replaced(phone);
        let left: BTreeSet<Hash32> = read_outbox(store)?.into_values().map(|entry| entry.hash).collect();
        let mine = self.made.iter_mut().filter(|(_, made)| made.phone == phone);
        for (hash, made) in mine {
            // What was refused was kept on the phone alone.
            if matches!(made.fate, Fate::Waiting | Fate::Refused) {
                made.fate = if left.contains(hash) { Fate::Waiting } else { Fate::LostWithPhone };
            }
        }
        Ok(())
    }

    /// What phones made of a document, and which.
    pub fn of(&self, doc: DocId) -> Vec<(Hash32, usize)> {
        let made = self.made.iter().filter(|(_, made)| made.doc == doc);
        made.map(|(hash, made)| (*hash, made.phone)).collect()
    }

    /// The hashes of a push's changes.
    pub fn hashes(&self, push: &Push) -> Vec<Hash32> {
        push.changes.iter().map(|change| hash_of(change)).collect()
    }

    /// Whether the phone was told what became of every change of a push.
    pub fn all_told(&self, push: &Push) -> bool {
        let told =
            |hash| self.made.get(hash).is_some_and(|made| matches!(made.fate, Fate::Durable | Fate::Held));
        self.hashes(push).iter().all(told)
    }

    /// Whether a push was answered by a server that has not been restored since.
    pub fn is_answered(&self, push: &Push) -> bool {
        let answered = |hash: &Hash32| !self.lost.contains_key(hash) && !self.returned.contains(hash);
        self.all_told(push) && self.hashes(push).iter().all(answered)
    }

    /// The phone's disk was replaced: what it holds now is what it always held.
    pub fn replaced(&mut self, phone: usize) {
        self.outbox.remove(&phone);
        self.explained.remove(&phone);
        self.cursors.remove(&phone);
    }
}

impl World {
    /// Looks at a phone's disk: what is new in its outbox, and whether what vanished was answered.
    pub(super) fn observe(&mut self, n: usize, answers: &[Answer]) -> Step {
        self.ledger.explain(n, answers);
        if self.phones[n].wiping {
            // It died while it was deleting everything, as it was told to; what came of that is seen when it starts again.
            return Ok(());
        }
        let now = if self.phones[n].replica.is_some() {
            read_outbox(self.phones[n].store.as_ref())?
        } else {
            read_outbox(&MemoryStore::from_rows(self.phones[n].store.snapshot().rows().clone()))?
        };
        let before = self.ledger.outbox.insert(n, now.clone()).unwrap_or_default();
        for (number, Entry { doc, hash, change }) in &now {
            let known = self.ledger.made.get(hash).map(|made| made.fate);
            if known.is_none() {
                let made = Made { doc: *doc, phone: n, number: *number, fate: Fate::Waiting };
                self.ledger.made.insert(*hash, made);
                self.tally.add("changes", 1);
                self.note_time(n, *hash, change)?;
            }
        }
        let answers = self.ledger.explained.remove(&n).unwrap_or_default();
        let vanished = before.iter().filter(|(number, _)| !now.contains_key(number));
        let mut told: BTreeMap<Hash32, (Fate, u64)> = BTreeMap::new();
        for (number, Entry { doc, hash, .. }) in vanished {
            let Some(fate) = outbox_shrinks_only_by_answers(*number, *doc, &answers) else {
                let name = self.name(*doc);
                return violated(
                    "outbox_shrinks_only_by_answers",
                    format!("phone {n} forgot entry {number} of {name}; it heard {answers:?}"),
                );
            };
            told.insert(*hash, (fate, *number));
        }
        for (hash, (fate, number)) in told {
            self.was_told(n, hash, fate, number)?;
        }
        Ok(())
    }

    fn was_told(&mut self, n: usize, hash: Hash32, fate: Fate, number: u64) -> Step {
        let Some(made) = self.ledger.made.get_mut(&hash) else { return Ok(()) };
        self.ledger.returned.remove(&hash);
        // A backup put back may be told anew; once durable, it stays durable.
        if made.fate != Fate::Durable || fate == Fate::Durable {
            made.fate = fate;
        }
        let made = made.clone();
        match fate {
            Fate::Durable => {
                self.tally.add("durable", 1);
                self.ledger.unchecked.insert(hash);
                self.check_unchecked()
            }
            Fate::Held => {
                self.tally.add("held", 1);
                self.is_held_or_kept(n, hash, &made, number)
            }
            Fate::Refused => {
                self.tally.add("refused", 1);
                if made.doc.kind() != Some(DocKind::Ruling) {
                    let name = self.name(made.doc);
                    return violated(
                        "an_honest_change_is_never_refused",
                        format!("entry {number} of {name} by phone {n}"),
                    );
                }
                let kept = self.app(n, |replica, _| replica.kept())?;
                let there = kept.is_none_or(|kept| {
                    kept.iter().any(|kept| kept.number == number && matches!(kept.why, KeptWhy::Refused(_)))
                });
                if there {
                    Ok(())
                } else {
                    violated("nothing_dropped", format!("phone {n} did not keep entry {number}"))
                }
            }
            Fate::Waiting | Fate::LostWithPhone => Ok(()),
        }
    }

    /// What was told durable just now is on the server's disk.
    fn check_unchecked(&mut self) -> Step {
        if self.office.company.is_none() {
            return Ok(());
        }
        for hash in std::mem::take(&mut self.ledger.unchecked) {
            let Some(made) = self.ledger.made.get(&hash).cloned() else { continue };
            if !self.ledger.lost.contains_key(&hash) && !self.server_has(made.doc, &hash)? {
                let name = self.name(made.doc);
                return violated(
                    "acknowledged_is_stored",
                    format!("{hash} of {name} by phone {}", made.phone),
                );
            }
        }
        Ok(())
    }

    /// What a restored server had lost of a document and has again: from here on it is stored like everything else.
    pub(super) fn found_again(&mut self, doc: DocId) -> Step {
        let Some(company) = self.office.company.clone() else { return Ok(()) };
        let missing: Vec<Hash32> = self.ledger.lost.keys().copied().collect();
        let of_doc = |hash: &Hash32| self.ledger.made.get(hash).is_some_and(|made| made.doc == doc);
        let missing: Vec<Hash32> = missing.into_iter().filter(of_doc).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let Some(held) = super::invariants::load(&company, doc)? else { return Ok(()) };
        for hash in missing.into_iter().filter(|hash| held.contains(hash)) {
            self.ledger.lost.remove(&hash);
            self.ledger.returned.insert(hash);
            self.tally.add("came back", 1);
        }
        Ok(())
    }

    /// What a server said before it was restored may still come, and take a document off a phone that held what the restored one lacks:
    /// the phone does not owe it any more.
    pub(super) fn let_go(&mut self, n: usize, conn: u64) -> Step {
        let is_old = self.net.get(conn).is_some_and(|conn| conn.dialled_ms <= self.office.restored_ms);
        let owed: Vec<Hash32> = self
            .ledger
            .lost
            .iter()
            .filter(|(_, who)| who.iter().any(|(m, _)| *m == n))
            .map(|(hash, _)| *hash)
            .collect();
        for hash in owed.into_iter().filter(|_| is_old) {
            let Some(doc) = self.ledger.made.get(&hash).map(|made| made.doc) else { continue };
            let holds = self.app(n, |replica, _| replica.holds(doc))?;
            if holds == Some(false)
                && let Some(holders) = self.ledger.lost.get_mut(&hash)
            {
                holders.retain(|(m, _)| *m != n);
            }
        }
        Ok(())
    }

    /// Whether the server's document holds a change. The server is up.
    pub(super) fn server_has(&mut self, doc: DocId, hash: &Hash32) -> Step<bool> {
        let Some(company) = self.office.company.clone() else { return Ok(false) };
        match company.load(doc) {
            Ok(held) => Ok(held.contains(hash)),
            Err(fieldbook_core::company::CompanyError::Unknown { .. }) => Ok(false),
            Err(other) => violated("the_office_never_stumbles", other.to_string()),
        }
    }

    /// The hashes of all held work on the server's disk, with what became of it.
    pub(super) fn held_hashes(&mut self) -> Step<BTreeMap<Hash32, HeldState>> {
        let mut hashes = BTreeMap::new();
        let Some(company) = self.office.company.clone() else { return Ok(hashes) };
        let stumbled = |e: fieldbook_core::company::CompanyError| Violation {
            invariant: "the_office_never_stumbles",
            detail: e.to_string(),
        };
        for item in company.held(None, 10_000).map_err(stumbled)? {
            for change in company.held_changes(&item.id).map_err(stumbled)? {
                hashes.insert(hash_of(&change), item.state);
            }
        }
        Ok(hashes)
    }

    /// Held work is on the server's disk; what never left the phone is on the phone's.
    fn is_held_or_kept(&mut self, n: usize, hash: Hash32, made: &Made, number: u64) -> Step {
        if self.office.company.is_none()
            || self.ledger.lost.contains_key(&hash)
            || self.held_hashes()?.contains_key(&hash)
            || self.server_has(made.doc, &hash)?
        {
            return Ok(());
        }
        if self.kept_bytes(n, made.doc, number) {
            return Ok(());
        }
        let name = self.name(made.doc);
        violated("nothing_dropped", format!("entry {number} of {name} by phone {n} is neither held nor kept"))
    }

    /// Whether the phone still has the words of an entry that was not merged.
    pub(super) fn kept_bytes(&self, n: usize, doc: DocId, number: u64) -> bool {
        let mut key = b"z/".to_vec();
        key.extend_from_slice(&doc.0);
        key.extend_from_slice(&number.to_be_bytes());
        let snapshot = self.phones[n].store.snapshot();
        snapshot.rows().get(&key).is_some_and(|value| value.len() > KEPT_WITHOUT_BYTES)
    }

    /// What somebody calls a document in the story.
    pub(super) fn name(&self, doc: DocId) -> String {
        let n = self.ledger.docs.get(&doc).copied().unwrap_or(0);
        match doc.kind() {
            Some(DocKind::Advancement) => format!("table {n}"),
            Some(DocKind::Directory) => "directory".into(),
            Some(DocKind::Policy) => "policy".into(),
            Some(kind) => format!("{} {n}", kind.name()),
            None => doc.to_string(),
        }
    }

    /// A frame in words.
    pub(super) fn describe(&self, messages: &[FromServer]) -> String {
        let words = messages.iter().map(|message| match message {
            FromServer::Welcome(w) => match w.fallback {
                Some(upto) => {
                    format!("welcome (epoch {}, back to {upto}, rotate {:?})", w.epoch, w.rotate_to)
                }
                None => format!("welcome (epoch {}, rotate {:?})", w.epoch, w.rotate_to),
            },
            FromServer::Delta(d) => {
                let whole = if d.snapshot.is_some() { "whole+" } else { "+" };
                format!("{} {whole}{} at {}", self.name(d.doc), d.changes.len(), d.at)
            }
            FromServer::Gone(doc) => format!("{} gone", self.name(*doc)),
            FromServer::Mark(state) => format!("{} {:?}", state.channel, state.fill),
            FromServer::CaughtUp(at) => format!("caught up to {at}"),
            FromServer::Answer(a) => {
                let verdict = match &a.verdict {
                    Verdict::Durable { at, .. } => format!("durable at {at}"),
                    Verdict::Held { reason } => format!("held, {reason:?}"),
                    Verdict::Refused { code, detail } => format!("refused, {code:?} {detail}"),
                };
                format!("push {} of {} {verdict}", a.id, self.name(a.doc))
            }
            FromServer::Wipe => "wipe".into(),
            FromServer::Error(e) => format!("error {:?} {}", e.code, e.detail),
        });
        words.collect::<Vec<_>>().join("; ")
    }
}

/// How an entry that vanished was answered; `None` when it was not.
fn outbox_shrinks_only_by_answers(number: u64, doc: DocId, answers: &[Answer]) -> Option<Fate> {
    answers.iter().filter(|answer| answer.doc == doc).find_map(|answer| match answer.verdict {
        Verdict::Durable { .. } if number <= answer.id => Some(Fate::Durable),
        Verdict::Durable { .. } => None,
        // What stands behind held work waits for an answer of its own.
        Verdict::Held { .. } if number <= answer.id => Some(Fate::Held),
        Verdict::Held { .. } => None,
        Verdict::Refused { .. } => Some(Fate::Refused),
    })
}

/// The outbox as it lies on the disk.
pub(super) fn read_outbox(store: &dyn Store) -> Step<BTreeMap<u64, Entry>> {
    let bad = |detail: String| Violation { invariant: "a_disk_can_be_read", detail };
    let rows =
        store.scan(&Range::prefix(b"o/"), Direction::Forward, usize::MAX).map_err(|e| bad(e.to_string()))?;
    let mut outbox = BTreeMap::new();
    for (key, value) in rows {
        let number = key[2..].try_into().map(u64::from_be_bytes).map_err(|_| bad("an outbox key".into()))?;
        let (doc, change) = read_entry(&value).map_err(|e| bad(e.to_string()))?;
        outbox.insert(number, Entry { doc, hash: hash_of(&change), change });
    }
    Ok(outbox)
}

/// Document and raw change of an outbox row: the first two fields of its CBOR array.
fn read_entry(value: &[u8]) -> Result<(DocId, Vec<u8>), minicbor::decode::Error> {
    let mut decoder = minicbor::Decoder::new(value);
    decoder.array()?;
    let doc: DocId = decoder.decode()?;
    Ok((doc, decoder.bytes()?.to_vec()))
}

/// The hash of a raw change: that of its chunk without magic and checksum.
pub(super) fn hash_of(change: &[u8]) -> Hash32 {
    let digest = Sha256::digest(change.get(8..).unwrap_or_default());
    Hash32(digest.into())
}

/// All documents that a phone holds.
pub(super) fn documents(replica: &Replica) -> Result<Vec<DocId>, fieldbook_core::replica::ReplicaError> {
    let mut docs = Vec::new();
    for kind in DocKind::ALL {
        docs.extend(replica.held_of(kind)?);
    }
    Ok(docs)
}

/// Pushes remembered for replays.
const REPLAYS_MAX: usize = 2_000;
/// A kept row without the change itself is this short: a reason and a time.
const KEPT_WITHOUT_BYTES: usize = 24;
