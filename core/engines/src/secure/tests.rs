use super::*;
use crate::faults::{Dice, VirtualDisk};
use redb::StorageBackend;

const KEY: StoreKey = StoreKey([7; 32]);

fn sealed(disk: &VirtualDisk, salt: SaltEntropy) -> SealedFile<VirtualDisk> {
    SealedFile::open(disk.clone(), &KEY, salt, 2 * 4_096).unwrap()
}

/// Every range that redb asks for and many that it does not read back what a plain disk would.
#[test]
fn any_range_reads_as_on_a_plain_disk() {
    for seed in 0..40 {
        let mut dice = Dice::new(seed);
        let disk = VirtualDisk::new();
        let secret = sealed(&disk, [1; 32]).pages;
        let plain = VirtualDisk::new();
        for _ in 0..60 {
            let len = StorageBackend::len(&plain).unwrap();
            match dice.below(6) {
                0 => {
                    let len = dice.below(5) * 4_096 + dice.below(4) * 16;
                    secret.set_len(len).unwrap();
                    plain.set_len(len).unwrap();
                }
                1 | 2 if len > 0 => {
                    let at = dice.below(len);
                    let data = {
                        let n = dice.below(len - at + 1) as usize;
                        dice.bytes(n)
                    };
                    secret.write(at, &data).unwrap();
                    plain.write(at, &data).unwrap();
                }
                3 if len >= 4_096 => {
                    let at = dice.below(len / 4_096) * 4_096;
                    let len = [16, 320, 4_096][dice.below(3) as usize];
                    let data = dice.bytes(len);
                    secret.write(at, &data).unwrap();
                    plain.write(at, &data).unwrap();
                }
                _ => {
                    let at = dice.below(len + 1);
                    let n = dice.below(len - at + 1) as usize;
                    let (mut a, mut b) = (vec![1; n], vec![2; n]);
                    secret.read(at, &mut a).unwrap();
                    plain.read(at, &mut b).unwrap();
                    assert_eq!(a, b, "seed {seed}: {n} bytes at {at}");
                }
            }
            assert_eq!(StorageBackend::len(&secret).unwrap(), StorageBackend::len(&plain).unwrap());
        }
        let len = StorageBackend::len(&plain).unwrap();
        assert!(
            secret.read(len, &mut [0]).is_err() && secret.read(0, &mut vec![0; len as usize + 16]).is_err()
        );
        if len == 0 {
            continue;
        }
        // Opened again, with the salt that is there.
        let again = sealed(&VirtualDisk::from_bytes(disk.bytes()), [9; 32]).pages;
        let mut all = vec![0; len as usize];
        again.read(0, &mut all).unwrap();
        assert_eq!(all, plain.bytes(), "seed {seed}");
    }
}

#[test]
fn equal_pages_look_different_and_nothing_shows_through() {
    let disk = VirtualDisk::new();
    let SealedFile { journal, pages } = sealed(&disk, [1; 32]);
    pages.set_len(3 * 4_096).unwrap();
    for page in 0..3 {
        pages.write(page * 4_096, &[b'A'; 4_096]).unwrap();
    }
    // The same numbers of sectors, in the journal.
    journal.write(0, &[b'A'; 2 * 4_096]).unwrap();
    let bytes = disk.bytes();
    let blocks: std::collections::BTreeSet<&[u8]> = bytes[4_096..].chunks(16).collect();
    assert_eq!(blocks.len(), 5 * 256, "no block of the file equals another");
    let other = VirtualDisk::new();
    sealed(&other, [2; 32]).journal.write(0, &[b'A'; 4_096]).unwrap();
    assert_ne!(other.bytes()[4_096..8_192], bytes[4_096..8_192], "the salt makes files differ");
}

#[test]
fn no_part_of_a_file_reaches_into_another() {
    let disk = VirtualDisk::new();
    let SealedFile { journal, pages } = sealed(&disk, [1; 32]);
    pages.set_len(4_096).unwrap();
    pages.write(0, &[b'A'; 4_096]).unwrap();
    let before = disk.bytes();
    assert_eq!((journal.len().unwrap(), before.len()), (2 * 4_096, 4 * 4_096));
    for (at, len) in [(2 * 4_096, 1), (4_096, 2 * 4_096), (2 * 4_096 - 16, 32), (u64::MAX, 1)] {
        assert!(journal.write(at, &vec![1; len]).is_err(), "{len} at {at}");
        assert!(journal.read(at, &mut vec![1; len]).is_err(), "{len} at {at}");
    }
    assert!(journal.set_len(4 * 4_096).is_err());
    assert_eq!(disk.bytes(), before);
    journal.write(0, &[b'B'; 2 * 4_096]).unwrap();
    let mut page = vec![0; 4_096];
    pages.read(0, &mut page).unwrap();
    assert_eq!(page, [b'A'; 4_096]);
    assert_eq!(disk.bytes()[..4_096], before[..4_096]);
}

#[test]
fn the_head_tells_wrong_key_other_versions_and_damage_apart() {
    let disk = VirtualDisk::new();
    sealed(&disk, [1; 32]).pages.set_len(4_096).unwrap();
    let open = |bytes: Vec<u8>, key| {
        SealedFile::open(VirtualDisk::from_bytes(bytes), &key, [0; 32], 0).map(|file| file.journal.len())
    };
    let whole = disk.bytes();
    assert_eq!(open(whole.clone(), KEY).unwrap().unwrap(), 2 * 4_096, "the file knows its journal's length");
    assert!(matches!(open(whole.clone(), StoreKey([8; 32])), Err(StoreError::WrongKey)));
    let of_version = |version| {
        let mut other = whole.clone();
        other[11] = version;
        open(other, KEY)
    };
    assert!(matches!(of_version(3), Err(StoreError::TooNew { found: 3, known: 2 })));
    assert!(
        matches!(of_version(1), Err(StoreError::Damaged(why)) if why.contains("before the first release"))
    );
    assert!(matches!(of_version(0), Err(StoreError::Damaged(_))));
    for at in (0..84).filter(|at| !(8..12).contains(at)) {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x10;
        assert!(matches!(open(flipped, KEY), Err(StoreError::Damaged(_))), "byte {at}");
    }
    // A file that ends in its head or its journal is no new one.
    for len in [100, 4_096, 4_096 + 100, 3 * 4_096] {
        assert!(matches!(open(whole[..len].to_vec(), KEY), Err(StoreError::Damaged(_))), "{len} bytes");
    }
    assert!(matches!(open(b"not ours at all".repeat(999), KEY), Err(StoreError::Damaged(_))));
}

#[test]
fn nothing_of_a_file_is_readable_without_the_key() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("phone.db");
    let backup = dir.path().join("backup.db");
    {
        let store = SecureStore::open(&path, &KEY, [3; 32]).unwrap();
        for i in 0..200u32 {
            let mut batch = Batch::new();
            batch.put(format!("lead/北京协和医院/{i}"), "采购预算 three million yuan".repeat(20));
            store.commit_one(batch).unwrap();
        }
        store.backup(&backup, [4; 32]).unwrap();
        store.settle().unwrap();
        assert!(matches!(SecureStore::open(&path, &KEY, [3; 32]), Err(StoreError::InUse)));
    }
    for file in std::fs::read_dir(dir.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        for needle in ["北京协和医院", "three million", "lead/", "rows", "redb"] {
            assert!(!bytes.windows(needle.len()).any(|w| w == needle.as_bytes()), "{needle}");
        }
    }
    let wrong = SecureStore::open(&path, &StoreKey([6; 32]), [3; 32]);
    assert!(matches!(wrong, Err(StoreError::WrongKey)), "{wrong:?}");
    for path in [&path, &backup] {
        let store = SecureStore::open(path, &KEY, [5; 32]).unwrap();
        let rows = store.scan(&Range::prefix("lead/".as_bytes()), Direction::Forward, 999).unwrap();
        assert_eq!(rows.len(), 200);
    }
    assert!(matches!(RedbStore::open(&path, &RedbOptions::default()), Err(StoreError::Damaged(_))));
}
