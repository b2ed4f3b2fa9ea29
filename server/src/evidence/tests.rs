use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use super::*;

const A: DeviceId = DeviceId([1; 8]);
const B: DeviceId = DeviceId([2; 8]);
const PART: usize = limits::EVIDENCE_PART_BYTES;

fn open(folder: &Path) -> EvidenceStore {
    EvidenceStore::open(folder, Bounds { max_bytes: 1 << 20, open_uploads: 3 }).unwrap()
}

fn photo(bytes: usize) -> (Vec<u8>, Hash32) {
    let photo: Vec<u8> = (0..bytes).map(|i| (i * 7 % 251) as u8).collect();
    let hash = Hash32(Sha256::digest(&photo).into());
    (photo, hash)
}

/// Uploads in parts and notes every answer: what a curious device could see.
fn upload(store: &EvidenceStore, device: DeviceId, photo: &[u8], hash: Hash32) -> Vec<Progress> {
    let mut seen = vec![store.progress(device, hash).unwrap()];
    for (i, part) in photo.chunks(PART).enumerate() {
        seen.push(store.put_part(device, hash, photo.len() as u64, (i * PART) as u64, part).unwrap());
        seen.push(store.progress(device, hash).unwrap());
    }
    seen
}

fn read_all(store: &EvidenceStore, hash: Hash32, offset: u64) -> Vec<u8> {
    let (mut file, _) = store.read(UserId([1; 8]), hash, offset, |_, _| true).unwrap();
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).unwrap();
    bytes
}

#[test]
fn an_upload_in_parts_survives_a_restart_and_lost_answers() {
    let folder = tempfile::tempdir().unwrap();
    let (photo, hash) = photo(3 * PART + 5);
    let total = photo.len() as u64;
    let store = open(folder.path());
    store.put_part(A, hash, total, 0, &photo[..PART]).unwrap();
    store.put_part(A, hash, total, PART as u64, &photo[PART..2 * PART]).unwrap();
    drop(store);
    let store = open(folder.path());
    assert_eq!(store.progress(A, hash).unwrap(), Progress::Partial { received_bytes: 2 * PART as u64 });
    // The answer to the second part was lost; the phone sends it again, and then one too far.
    let again = store.put_part(A, hash, total, PART as u64, &photo[PART..2 * PART]).unwrap();
    assert_eq!(again, Progress::Partial { received_bytes: 2 * PART as u64 });
    let gap = store.put_part(A, hash, total, 3 * PART as u64, &photo[3 * PART..]);
    assert!(matches!(gap, Err(EvidenceError::Gap { received_bytes }) if received_bytes == 2 * PART as u64));
    assert!(!store.acknowledged(hash).unwrap());
    store.put_part(A, hash, total, 2 * PART as u64, &photo[2 * PART..3 * PART]).unwrap();
    let last = store.put_part(A, hash, total, 3 * PART as u64, &photo[3 * PART..]).unwrap();
    assert_eq!(last, Progress::Acknowledged);
    assert!(store.acknowledged(hash).unwrap());
    assert_eq!(read_all(&store, hash, 0), photo);
    assert_eq!(read_all(&store, hash, 10), photo[10..]);
    let last = store.put_part(A, hash, total, 3 * PART as u64, &photo[3 * PART..]).unwrap();
    assert_eq!(last, Progress::Acknowledged, "its answer was lost too");
    assert_eq!(store.verify_all().unwrap(), (1, vec![]));
}

#[test]
fn an_upload_looks_the_same_whether_the_blob_exists_or_not() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let (photo, hash) = photo(2 * PART + 1);
    let first = upload(&store, A, &photo, hash);
    let second = upload(&store, B, &photo, hash);
    assert_eq!(first, second);
    assert_eq!(store.verify_all().unwrap(), (1, vec![]), "kept once");
    let one_byte = store.put_part(DeviceId([3; 8]), hash, photo.len() as u64, 0, &photo[..1]).unwrap();
    assert_eq!(
        one_byte,
        Progress::Partial { received_bytes: 1 },
        "knowing the hash is not holding the bytes"
    );
}

#[test]
fn wrong_bytes_are_refused_and_the_upload_begins_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let (mut bytes, hash) = photo(100);
    bytes[50] ^= 1;
    assert!(matches!(store.put_part(A, hash, 100, 0, &bytes), Err(EvidenceError::WrongHash)));
    assert_eq!(store.progress(A, hash).unwrap(), Progress::Partial { received_bytes: 0 });
    assert!(!store.acknowledged(hash).unwrap());
    bytes[50] ^= 1;
    assert_eq!(store.put_part(A, hash, 100, 0, &bytes).unwrap(), Progress::Acknowledged);
}

#[test]
fn sizes_parts_and_open_uploads_are_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let hash = |i: u8| Hash32([i; 32]);
    for total in [0, (1 << 20) + 1, u64::MAX] {
        assert!(matches!(store.put_part(A, hash(0), total, 0, b"x"), Err(EvidenceError::Size { .. })));
    }
    let part = vec![0; PART + 1];
    for (offset, part) in [(0, &part[..]), (99, b"xy"), (u64::MAX, b"x"), (0, b"")] {
        let refused = store.put_part(A, hash(0), if part.len() > 9 { 1 << 20 } else { 100 }, offset, part);
        assert!(matches!(refused, Err(EvidenceError::Part { .. })), "{offset}");
    }
}

#[test]
fn one_upload_too_many_takes_the_place_of_the_one_that_stood_still_for_the_longest() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let hash = |i: u8| Hash32([i; 32]);
    let received = |device, i| match store.progress(device, hash(i)).unwrap() {
        Progress::Partial { received_bytes } => received_bytes,
        Progress::Acknowledged => panic!("{i} is whole"),
    };
    // The last part of each, hours ago: the first that was begun got one since.
    for (i, hours) in [(0, 1), (1, 3), (2, 2)] {
        store.put_part(A, hash(i), 100, 0, b"x").unwrap();
        let file = File::options().write(true).open(store.upload_path(A, hash(i))).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(3_600 * hours)).unwrap();
    }
    store.put_part(B, hash(9), 100, 0, b"x").unwrap();
    // What is being written makes no room; then the next one does.
    let busy = store.lock(hash(1));
    store.put_part(A, hash(3), 100, 0, b"x").unwrap();
    assert_eq!([0, 1, 2, 3].map(|i| received(A, i)), [1, 1, 0, 1]);
    drop(busy);
    store.put_part(A, hash(4), 100, 0, b"x").unwrap();
    assert_eq!([0, 1, 3, 4].map(|i| received(A, i)), [1, 0, 1, 1]);
    assert!(matches!(
        store.put_part(A, hash(1), 100, 1, b"y"),
        Err(EvidenceError::Gap { received_bytes: 0 })
    ));
    assert!(store.put_part(A, hash(0), 100, 1, b"y").is_ok(), "those under way go on");
    assert_eq!(received(B, 9), 1, "another device has its own room");
    let busy = [0, 3, 4].map(|i| store.lock(hash(i)));
    assert!(matches!(
        store.put_part(A, hash(5), 100, 0, b"x"),
        Err(EvidenceError::TooManyUploads { open: 3 })
    ));
    drop(busy);
}

#[test]
fn reading_needs_permission_and_missing_looks_like_forbidden() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let (photo, hash) = photo(10);
    upload(&store, A, &photo, hash);
    let forbidden = store.read(UserId([1; 8]), hash, 0, |_, _| false).unwrap_err().to_string();
    let missing = store.read(UserId([1; 8]), Hash32([0; 32]), 0, |_, _| true).unwrap_err().to_string();
    assert_eq!(forbidden, missing);
}

#[test]
fn old_partial_uploads_are_swept_and_finished_ones_stay() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let (photo, hash) = photo(10);
    upload(&store, A, &photo, hash);
    store.put_part(A, Hash32([9; 32]), 100, 0, b"x").unwrap();
    let day = Duration::from_secs(86_400);
    assert_eq!(store.sweep(SystemTime::now(), day).unwrap(), 0);
    assert_eq!(store.sweep(SystemTime::now() + 2 * day, day).unwrap(), 1);
    assert_eq!(store.progress(A, hash).unwrap(), Progress::Acknowledged);
}

#[test]
fn a_damaged_or_lost_blob_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let (photo, hash) = photo(10);
    upload(&store, A, &photo, hash);
    fs::write(store.blob_path(hash), b"flipped").unwrap();
    assert_eq!(store.verify_all().unwrap(), (0, vec![hash.to_string()]));
    // A backup that was restored without this blob: the device is asked for the bytes again.
    fs::remove_file(store.blob_path(hash)).unwrap();
    assert_eq!(store.progress(A, hash).unwrap(), Progress::Partial { received_bytes: 0 });
    assert_eq!(upload(&store, A, &photo, hash).last(), Some(&Progress::Acknowledged));
}

#[test]
fn a_full_disk_is_told_apart_from_a_broken_one() {
    let full = failed(io::Error::from(io::ErrorKind::StorageFull));
    assert!(matches!(full, EvidenceError::DiskFull) && full.to_string().contains("tries later"));
    assert!(matches!(failed(io::Error::from(io::ErrorKind::QuotaExceeded)), EvidenceError::DiskFull));
    assert!(matches!(failed(io::Error::from(io::ErrorKind::PermissionDenied)), EvidenceError::Io(_)));
}

thread_local! {
    /// What each folder held when this thread synced it last.
    static SYNCED: RefCell<BTreeMap<PathBuf, BTreeSet<PathBuf>>> = RefCell::default();
}

pub(super) fn note_synced(folder: &Path) {
    let held = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    SYNCED.with_borrow_mut(|synced| synced.insert(folder.to_owned(), held));
}

/// Whether a power cut leaves this path: every folder on the way to it was synced when it held the next.
#[track_caller]
fn is_durable(root: &Path, path: &Path) {
    for inner in path.ancestors().take_while(|inner| *inner != root) {
        let folder = inner.parent().unwrap();
        let held = SYNCED.with_borrow(|synced| synced.get(folder).is_some_and(|held| held.contains(inner)));
        assert!(held, "{} is not synced in its folder", inner.display());
    }
}

#[test]
fn what_is_acknowledged_is_durable_from_the_data_folder_down() {
    let data = tempfile::tempdir().unwrap();
    let root = data.path().join("evidence");
    let store = open(&root);
    let (first, first_hash) = photo(100);
    let (second, second_hash) = photo(PART + 1);
    for (device, photo, hash) in
        [(A, &first, first_hash), (A, &second, second_hash), (B, &second, second_hash)]
    {
        assert_eq!(upload(&store, device, photo, hash).last(), Some(&Progress::Acknowledged));
        is_durable(data.path(), &store.blob_path(hash));
        is_durable(data.path(), &store.mark_path(device, hash));
        // What another upload has made meanwhile, and nobody has synced yet.
        fs::create_dir_all(store.blob_path(second_hash).parent().unwrap()).unwrap();
        fs::create_dir_all(store.device_folder(B)).unwrap();
    }
}
