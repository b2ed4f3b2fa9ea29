use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::*;
use crate::ids::{DeviceId, EntryId};
use crate::store::{MemoryStore, Outcome, Position, Reads, Row};
use crate::sync::message::{Delta, FromServer};

fn identity(device: u8, user: u8, token: &str) -> Identity {
    Identity {
        device: DeviceId([device; 8]),
        user: UserId([user; 8]),
        user_name: "李销售".into(),
        company: "智康医疗".into(),
        server_url: "https://crm.example".into(),
        refresh_token: token.into(),
        zone: "Asia/Shanghai".into(),
    }
}

/// A disk that takes so many batches more, and none after the first that it refused; it may refuse to list rows, too.
struct Filling {
    rows: MemoryStore,
    room: AtomicUsize,
    is_deaf: AtomicBool,
}

impl Store for Filling {
    fn get_many(&self, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        self.rows.get_many(keys)
    }

    fn scan(&self, range: &Range, direction: Direction, limit: usize) -> Result<Vec<Row>, StoreError> {
        if self.is_deaf.load(Ordering::Relaxed) {
            return Err(StoreError::Io("input/output error".into()));
        }
        self.rows.scan(range, direction, limit)
    }

    fn commit(&self, batches: Vec<Batch>) -> Result<Vec<Outcome>, StoreError> {
        let left = self.room.load(Ordering::Relaxed).checked_sub(batches.len());
        self.room.store(left.unwrap_or(0), Ordering::Relaxed);
        left.ok_or(StoreError::Io("no space left".into()))?;
        self.rows.commit(batches)
    }

    fn head(&self) -> Result<Position, StoreError> {
        self.rows.head()
    }

    fn read(&self, keys: &[&[u8]], ranges: &[(Range, usize)]) -> Result<Reads, StoreError> {
        self.rows.read(keys, ranges)
    }
}

const NOW: Moment = Moment { boot: 1, mono_ms: 0, wall_ms: 1_770_000_000_000 };

/// A phone of user 1 with one lead.
fn with_a_lead() -> (Arc<Filling>, Replica) {
    let (room, is_deaf) = (AtomicUsize::new(100), AtomicBool::new(false));
    let store = Arc::new(Filling { rows: MemoryStore::new(), room, is_deaf });
    let mut replica = Replica::open(store.clone()).unwrap();
    replica.enrol(identity(1, 1, "first")).unwrap();
    let act = replica.act(NOW, [1; 32]).unwrap();
    replica.edit(&act, &[a_lead()]).unwrap();
    assert_eq!(replica.list(&ListQuery::default(), NOW).unwrap().len(), 1);
    (store, replica)
}

fn a_lead() -> DocEdits {
    let set = Edit::Set { field: "customer_name".into(), value: "市一医院".into() };
    DocEdits::of(DocId::fresh(DocKind::Lead, EntryId([7; 16])), vec![set])
}

fn set(value: &str) -> Vec<Edit> {
    vec![Edit::Set { field: "brand".into(), value: value.into() }]
}

#[test]
fn edits_of_one_document_in_several_lots_are_one_change() {
    let (_, mut replica) = with_a_lead();
    let lead = a_lead().doc;
    let note = Edit::Splice { text: "notes".into(), at: 0, delete: 0, insert: "复访".into() };
    let lots = [set("联影"), set("联影"), vec![note]].map(|edits| DocEdits::of(lead, edits));
    let act = replica.act(NOW, [2; 32]).unwrap();
    assert_eq!(replica.edit(&act, &lots).unwrap().len(), 1);
    let pushes = replica.pushes(0, 10, 1 << 20).unwrap();
    let changes: Vec<_> = pushes.iter().flat_map(|push| &push.changes).map(|bytes| bytes.to_vec()).collect();
    assert_eq!(changes.len(), 2, "the lead's own, and one");
    let doc = Doc::genesis(DocKind::Lead).applied(&changes).unwrap();
    assert_eq!(
        (doc.value("brand", &crate::document::NoClocks), doc.text("notes")),
        (Some("联影".into()), "复访".into())
    );
}

#[test]
fn an_edit_that_changes_nothing_leaves_the_document_to_the_next() {
    let (_, mut replica) = with_a_lead();
    let lead = a_lead().doc;
    for (seed, brand, is_new) in [(2, "联影", true), (3, "联影", false), (4, "西门子", true)] {
        let act = replica.act(NOW, [seed; 32]).unwrap();
        let made = replica.edit(&act, &[DocEdits::of(lead, set(brand))]);
        assert_eq!(made.is_ok(), is_new, "{made:?}");
        let doc = replica.load(lead).unwrap();
        assert_eq!(doc.value("brand", &crate::document::NoClocks), Some(brand.into()));
    }
    assert_eq!(replica.load(lead).unwrap().last_seq(replica.actor().unwrap()), 3);
}

#[test]
fn news_of_a_document_that_came_in_the_same_frame_are_news_of_that() {
    let mut replica = Replica::open(Arc::new(MemoryStore::new())).unwrap();
    replica.enrol(identity(1, 1, "first")).unwrap();
    let lead = a_lead().doc;
    let actor = Actor { device: DeviceId([9; 8]), incarnation: 1 };
    let stamp = Stamp::new(UserId([9; 8]), NOW, &replica.clock);
    let mut doc = Doc::genesis(DocKind::Lead);
    doc.edit(actor, &stamp, &a_lead().edits).unwrap();
    let whole = doc.save();
    let later = doc.edit(actor, &stamp, &set("联影")).unwrap();
    let delta = |at, snapshot: Option<Vec<u8>>, changes: Vec<Vec<u8>>, heads| {
        let changes = changes.into_iter().map(Into::into).collect();
        let snapshot = snapshot.map(Into::into);
        FromServer::Delta(Delta {
            doc: lead,
            origin: None,
            at,
            snapshot,
            changes,
            receipt: Vec::new(),
            heads,
        })
    };
    let frame =
        [delta(1, Some(whole), Vec::new(), Vec::new()), delta(2, None, vec![later.change], doc.heads())];
    let applied = replica.take(&frame, 0).unwrap();
    assert!(applied.fetch.is_empty(), "nothing is asked for that is there");
    assert_eq!(replica.load(lead).unwrap().heads(), doc.heads());
}

fn shows_nothing(replica: &mut Replica) {
    assert!(matches!(replica.identity(), Err(ReplicaError::NotEnrolled)));
    assert!(matches!(replica.check_unlocked(NOW), Err(ReplicaError::NotEnrolled)));
    assert!(matches!(replica.list(&ListQuery::default(), NOW), Err(ReplicaError::NotEnrolled)));
    let act = Act::new(Stamp::new(UserId([1; 8]), NOW, &replica.clock), [2; 32]);
    let more = replica.edit(&act, &[a_lead()]);
    assert!(matches!(more, Err(ReplicaError::NotEnrolled)), "{more:?}");
}

#[test]
fn a_phone_that_cannot_be_wiped_shows_nothing_and_goes_on_with_it_when_it_is_opened() {
    // The mark that the wipe leaves first fits, and nothing else.
    let (store, mut replica) = with_a_lead();
    store.room.store(1, Ordering::Relaxed);
    assert!(matches!(replica.take(&[FromServer::Wipe], 0), Err(ReplicaError::Store(_))));
    shows_nothing(&mut replica);
    assert!(matches!(replica.enrol(identity(2, 2, "new")), Err(ReplicaError::Store(_))));
    store.room.store(100, Ordering::Relaxed);
    let mut replica = Replica::open(store).unwrap();
    assert!(replica.identity().is_err());
    assert!(replica.list(&ListQuery::default(), NOW).unwrap().is_empty());
    replica.enrol(identity(2, 2, "new")).unwrap();
}

#[test]
fn where_not_even_the_mark_of_a_wipe_fits_the_next_contact_deletes() {
    let (store, mut replica) = with_a_lead();
    store.room.store(0, Ordering::Relaxed);
    assert!(matches!(replica.take(&[FromServer::Wipe], 0), Err(ReplicaError::Store(_))));
    shows_nothing(&mut replica);
    store.room.store(100, Ordering::Relaxed);
    let mut replica = Replica::open(store).unwrap();
    assert_eq!(replica.list(&ListQuery::default(), NOW).unwrap().len(), 1);
    assert!(replica.take(&[FromServer::Wipe], 0).unwrap().wiped_all);
    assert!(replica.list(&ListQuery::default(), NOW).unwrap().is_empty());
}

#[test]
fn a_wipe_that_a_failed_read_stopped_ends_before_somebody_enrols_and_takes_nobody_elses_work() {
    let (store, mut replica) = with_a_lead();
    store.is_deaf.store(true, Ordering::Relaxed);
    assert!(replica.wipe_all().is_err());
    shows_nothing(&mut replica);
    store.is_deaf.store(false, Ordering::Relaxed);
    replica.enrol(identity(2, 2, "new")).unwrap();
    assert!(replica.list(&ListQuery::default(), NOW).unwrap().is_empty());
    let replica = Replica::open(store).unwrap();
    assert_eq!(replica.identity().unwrap().user, UserId([2; 8]));
}

#[test]
fn enrolling_again_renews_the_same_device_of_the_same_user_alone() {
    let mut replica = Replica::open(Arc::new(MemoryStore::new())).unwrap();
    replica.enrol(identity(1, 1, "first")).unwrap();
    replica.enrol(identity(1, 1, "second")).unwrap();
    for other in [identity(2, 1, "other device"), identity(1, 2, "other user")] {
        assert!(matches!(replica.enrol(other), Err(ReplicaError::AlreadyEnrolled)));
    }
    assert_eq!(replica.identity().unwrap().refresh_token, "second");
}
