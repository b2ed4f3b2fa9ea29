//! What a phone pushes, put through the whole gate without a socket.

use fieldbook_core::company::{Incoming, LocalGate, Principal, Settled};
use fieldbook_core::document::{Doc, Edit, Value as Field};
use fieldbook_core::ids::{Actor, DocId, DocKind};
use fieldbook_core::sync::message::{Origin, Push, Verdict};
use fieldbook_core::time::{Moment, Stamp};

use super::*;

/// What a phone writes on the document as it is now.
pub(super) fn edited(office: &Office, who: &Who, id: DocId, edit: Edit, push_id: u64) -> Push {
    edited_all(office, who, id, &[edit], push_id)
}

/// Several edits at once.
pub(super) fn edited_all(office: &Office, who: &Who, id: DocId, edits: &[Edit], push_id: u64) -> Push {
    written(office, who, office.app.company.load(id).unwrap(), id, edits, push_id)
}

/// What a phone writes that holds `doc`, for one field.
pub(super) fn edited_on(
    office: &Office,
    who: &Who,
    doc: Doc,
    id: DocId,
    field: &str,
    value: &str,
    push_id: u64,
) -> Push {
    let edit = Edit::Set { field: field.into(), value: Field::Text(value.into()) };
    written(office, who, doc, id, &[edit], push_id)
}

/// What a phone writes into a document that it brings into being for `parent`.
pub(super) fn begun(office: &Office, who: &Who, kind: DocKind, parent: &[u8], key: &str, edit: Edit) -> Push {
    let push = written(office, who, Doc::genesis(kind), DocId::derived(kind, parent, key), &[edit], 1);
    Push { origin: Some(Origin { parent: parent.to_vec().into(), key: key.into() }), ..push }
}

fn written(office: &Office, who: &Who, mut doc: Doc, id: DocId, edits: &[Edit], push_id: u64) -> Push {
    let stamp = Stamp {
        user: who.user,
        moment: Moment { wall_ms: office.app.now_ms(), boot: 1, mono_ms: push_id },
        offset_ms: Some(office.app.now_ms()),
        last_contact_ms: office.app.now_ms(),
    };
    let actor = Actor { device: who.device, incarnation: 0 };
    let edited = doc.edit(actor, &stamp, edits).unwrap();
    Push { id: push_id, doc: id, origin: None, changes: vec![edited.change.into()] }
}

/// The same for one field.
pub(super) fn write(office: &Office, who: &Who, id: DocId, field: &str, value: &str, push_id: u64) -> Push {
    let edit = Edit::Set { field: field.into(), value: Field::Text(value.into()) };
    edited(office, who, id, edit, push_id)
}

/// Pushes it and gives the answer.
pub(super) fn push(office: &Office, who: &Who, push: Push) -> Verdict {
    push_at(office, who, push, None)
}

/// The same on a connection whose handshake told so much of the phone's clock: the boot, and server time minus monotonic time in it.
pub(super) fn push_at(office: &Office, who: &Who, push: Push, clock: Option<(u64, i64)>) -> Verdict {
    let company = &office.app.company;
    let known = company.principal(who.device).unwrap();
    let incoming = Incoming { who: Principal { clock: clock.or(known.clock), ..known }, push };
    let mut prepared =
        company.prepare(incoming.push.doc, &[incoming], &mut LocalGate::new(0), office.app.now_ms()).unwrap();
    let outcome = company.store().commit_one(std::mem::take(&mut prepared.batch)).unwrap();
    match prepared.settle(outcome) {
        Settled::Done { mut answers, .. } => answers.pop().unwrap().verdict,
        Settled::Again => panic!("nobody else writes here"),
    }
}
