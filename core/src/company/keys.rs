//! The keys of a company's store. One function a table; `docs/architecture.md` has the list.

use sha2::{Digest, Sha256};

use crate::access::Channel;
use crate::ids::{Actor, DeviceId, DocId, EntryId, Hash32, TeamId, UserId};
use crate::store::{Position, Slot, key};

/// What the company is ([`super::rows::Meta`]).
pub const META: &[u8] = b"m";
/// All users.
pub const USERS: &[u8] = b"u/";
/// All channels whose documents have yet to follow their people.
pub const RETIES: &[u8] = b"r/";
/// All teams.
pub const TEAMS: &[u8] = b"t/";
/// All devices.
pub const DEVICES: &[u8] = b"a/";
/// All documents' headers.
pub const HEADERS: &[u8] = b"D/";
/// All held work.
pub const HELD: &[u8] = b"q/";

/// All keys of other systems.
pub const INTAKE_KEYS: &[u8] = b"p/";
/// All intents.
pub const INTENTS: &[u8] = b"i/";
/// All judged leads.
pub const JUDGED: &[u8] = b"v/";
/// The position up to which automation has read the log.
pub const AUTOMATED: &[u8] = b"z/log";
/// In which form what was judged is kept.
pub const JUDGED_FORMAT: &[u8] = b"z/format";
/// The last lead that the sweep after a change of the policy has judged.
pub const SWEPT: &[u8] = b"z/sweep";

/// `D/doc`: its header.
pub fn header(doc: DocId) -> Vec<u8> {
    key(HEADERS, &[&doc.0])
}

/// `s/doc`: its snapshot.
pub fn snapshot(doc: DocId) -> Vec<u8> {
    key(b"s/", &[&doc.0])
}

/// `c/doc/`: its changes.
pub fn changes(doc: DocId) -> Vec<u8> {
    key(b"c/", &[&doc.0])
}

/// `c/doc/position`: the changes of one commit.
pub fn changes_at(doc: DocId, at: Position) -> Vec<u8> {
    key(b"c/", &[&doc.0, &at.to_be_bytes()])
}

/// The position of a changes key.
pub fn parse_changes(row: &[u8]) -> Option<Position> {
    Some(Position::from_be_bytes(row.get(2 + DocId::LEN..)?.try_into().ok()?))
}

/// `c/doc/<slot>`.
pub fn changes_slot(doc: DocId) -> (Vec<u8>, Slot) {
    (changes_at(doc, 0), Slot(2 + DocId::LEN))
}

/// `f/channel/`: the feed of a channel.
pub fn feed(channel: Channel) -> Vec<u8> {
    key(b"f/", &[&channel.to_key()])
}

/// `f/channel/position/doc`: one entry of it.
pub fn feed_at(channel: Channel, at: Position, doc: DocId) -> Vec<u8> {
    key(b"f/", &[&channel.to_key(), &at.to_be_bytes(), &doc.0])
}

/// `f/channel/<slot>/doc`.
pub fn feed_slot(channel: Channel, doc: DocId) -> (Vec<u8>, Slot) {
    (feed_at(channel, 0, doc), Slot(2 + Channel::KEY_LEN))
}

/// Position and document of a feed key.
pub fn parse_feed(row: &[u8]) -> Option<(Position, DocId)> {
    let rest = row.get(2 + Channel::KEY_LEN..)?;
    let (at, doc) = rest.split_at_checked(8)?;
    Some((Position::from_be_bytes(at.try_into().ok()?), DocId::from_slice(doc)?))
}

/// `g/channel/`: the documents of a channel.
pub fn members(channel: Channel) -> Vec<u8> {
    key(b"g/", &[&channel.to_key()])
}

/// `g/channel/doc`.
pub fn member(channel: Channel, doc: DocId) -> Vec<u8> {
    key(b"g/", &[&channel.to_key(), &doc.0])
}

/// The document of a member key.
pub fn parse_member(row: &[u8]) -> Option<DocId> {
    DocId::from_slice(row.get(2 + Channel::KEY_LEN..)?)
}

/// `x/channel/doc`: the position at which the document left the channel.
pub fn departure(channel: Channel, doc: DocId) -> Vec<u8> {
    key(b"x/", &[&channel.to_key(), &doc.0])
}

/// `u/user`.
pub fn user(user: UserId) -> Vec<u8> {
    key(USERS, &[&user.0])
}

/// `r/channel`: the documents of this user's or team's channel have yet to follow a change of team or role.
pub fn retie(channel: Channel) -> Vec<u8> {
    key(RETIES, &[&channel.to_key()])
}

/// `t/team`.
pub fn team(team: TeamId) -> Vec<u8> {
    key(TEAMS, &[&team.0])
}

/// `a/device`: its enrolment.
pub fn device(device: DeviceId) -> Vec<u8> {
    key(DEVICES, &[&device.0])
}

/// `k/device`: what changes with every contact.
pub fn contact(device: DeviceId) -> Vec<u8> {
    key(b"k/", &[&device.0])
}

/// `n/device`: the channels that a device was ever granted.
pub fn granted(device: DeviceId) -> Vec<u8> {
    key(b"n/", &[&device.0])
}

/// `o/device/`: the pushes of a device that were answered since its last acknowledgement.
pub fn answered_by(device: DeviceId) -> Vec<u8> {
    key(b"o/", &[&device.0])
}

/// `o/device/incarnation/push id`: one of them.
pub fn answered(device: DeviceId, incarnation: u32, push_id: u64) -> Vec<u8> {
    key(b"o/", &[&device.0, &incarnation.to_be_bytes(), &push_id.to_be_bytes()])
}

/// Incarnation and push id of such a key.
pub fn parse_answered(row: &[u8]) -> Option<(u32, u64)> {
    let (incarnation, id) = row.get(2 + DeviceId::LEN..)?.split_at_checked(4)?;
    Some((u32::from_be_bytes(incarnation.try_into().ok()?), u64::from_be_bytes(id.try_into().ok()?)))
}

/// `q/doc/actor/`: the held work of one actor in one document.
pub fn held_of(doc: DocId, actor: Actor) -> Vec<u8> {
    key(HELD, &[&doc.0, &actor.to_bytes()])
}

/// `q/doc/actor/push id`: one held push; a repeated push is the same row.
pub fn held(doc: DocId, actor: Actor, push_id: u64) -> Vec<u8> {
    key(HELD, &[&doc.0, &actor.to_bytes(), &push_id.to_be_bytes()])
}

/// `l/doc/`: the work that was merged late into a document.
pub fn late(doc: DocId) -> Vec<u8> {
    key(b"l/", &[&doc.0])
}

/// `l/doc/<slot>`.
pub fn late_slot(doc: DocId) -> (Vec<u8>, Slot) {
    (key(b"l/", &[&doc.0, &[0; 8]]), Slot(2 + DocId::LEN))
}

/// `w/device/`: how much held work of a device waits for a person.
pub fn held_weights(device: DeviceId) -> Vec<u8> {
    key(b"w/", &[&device.0])
}

/// `w/device/last byte`: in the documents whose id ends in this byte.
pub fn held_weight(device: DeviceId, doc: DocId) -> Vec<u8> {
    key(b"w/", &[&device.0, &doc.0[DocId::LEN - 1..]])
}

/// `e/external id`: the lead that an intake source knows under this id. A long one stands as its hash, behind a byte that no text has.
pub fn external(id: &str) -> Vec<u8> {
    if id.len() <= EXTERNAL_MAX_BYTES {
        return key(b"e/", &[id.as_bytes()]);
    }
    key(b"e/", &[&[0xff], &Sha256::digest(id)])
}

/// `y/account/`: the leads that name an account.
pub fn links(account: DocId) -> Vec<u8> {
    key(b"y/", &[&account.0])
}

/// `y/account/lead`.
pub fn link(account: DocId, lead: DocId) -> Vec<u8> {
    key(b"y/", &[&account.0, &lead.0])
}

/// `p/key`: what another system signs with.
pub fn intake_key(id: EntryId) -> Vec<u8> {
    key(INTAKE_KEYS, &[&id.0])
}

/// `i/intent`.
pub fn intent(id: EntryId) -> Vec<u8> {
    key(INTENTS, &[&id.0])
}

/// `h/rule`: how an automation fares.
pub fn rule_health(rule: &str) -> Vec<u8> {
    key(b"h/", &[rule.as_bytes()])
}

/// `v/lead`: what was judged of it last.
pub fn judged(lead: DocId) -> Vec<u8> {
    key(JUDGED, &[&lead.0])
}

/// `d/lead`: what the rules read of it.
pub fn facts(lead: DocId) -> Vec<u8> {
    key(b"d/", &[&lead.0])
}

/// `b/hash/0/device`: the bytes of evidence have come from this device.
pub fn arrived(hash: Hash32, device: DeviceId) -> Vec<u8> {
    key(b"b/", &[&hash.0, &[0], &device.0])
}

/// In front of the leads that wait for bytes.
pub fn awaiting(hash: Hash32) -> Vec<u8> {
    key(b"b/", &[&hash.0, &[1]])
}

/// `b/hash/1/lead`.
pub fn awaited(hash: Hash32, lead: DocId) -> Vec<u8> {
    key(b"b/", &[&hash.0, &[1], &lead.0])
}

/// `m/print`: the lead that joined those of one customer last; in front of them.
pub fn twins(print: EntryId) -> Vec<u8> {
    key(b"m/", &[&print.0])
}

/// `m/print/lead`.
pub fn twin(print: EntryId, lead: DocId) -> Vec<u8> {
    key(b"m/", &[&print.0, &lead.0])
}

/// The longest external id that stands in a key as it is.
const EXTERNAL_MAX_BYTES: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_external_ids_that_begin_alike_stay_apart() {
        let long = "9".repeat(EXTERNAL_MAX_BYTES);
        let keys =
            [external(&long), external(&format!("{long}1")), external(&format!("{long}2")), external("9")];
        let different: std::collections::BTreeSet<_> = keys.iter().collect();
        assert_eq!(different.len(), keys.len());
        assert_eq!(external(&format!("{long}1")), keys[1]);
        assert!(keys.iter().all(|key| key.len() <= crate::limits::KEY_MAX_BYTES));
    }
}
