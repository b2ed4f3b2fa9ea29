use super::*;
use crate::faults::{Dice, VirtualDisk};
use redb::StorageBackend;

const KEY: StoreKey = StoreKey([7; 32]);

/// Every range that redb asks for and many that it does not read back what a plain disk would.
#[test]
fn any_range_reads_as_on_a_plain_disk() {
    for seed in 0..40 {
        let mut dice = Dice::new(seed);
        let disk = VirtualDisk::new();
        let secret = XtsBackend::new(disk.clone(), &KEY, [1; 32]).unwrap();
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
        // Opened again, with the salt that is there.
        let again = XtsBackend::new(VirtualDisk::from_bytes(disk.bytes()), &KEY, [9; 32]).unwrap();
        let mut all = vec![0; len as usize];
        again.read(0, &mut all).unwrap();
        assert_eq!(all, plain.bytes(), "seed {seed}");
    }
}

#[test]
fn equal_pages_look_different_and_nothing_shows_through() {
    let disk = VirtualDisk::new();
    let secret = XtsBackend::new(disk.clone(), &KEY, [1; 32]).unwrap();
    secret.set_len(3 * 4_096).unwrap();
    for page in 0..3 {
        secret.write(page * 4_096, &[b'A'; 4_096]).unwrap();
    }
    let bytes = disk.bytes();
    let blocks: std::collections::BTreeSet<&[u8]> = bytes[4_096..].chunks(16).collect();
    assert_eq!(blocks.len(), 3 * 256, "no block of the file equals another");
    let other = VirtualDisk::new();
    let secret = XtsBackend::new(other.clone(), &KEY, [2; 32]).unwrap();
    secret.set_len(4_096).unwrap();
    secret.write(0, &[b'A'; 4_096]).unwrap();
    assert_ne!(other.bytes()[4_096..8_192], bytes[4_096..8_192], "the salt makes files differ");
}

#[test]
fn the_head_tells_wrong_key_newer_version_and_damage_apart() {
    let disk = VirtualDisk::new();
    XtsBackend::new(disk.clone(), &KEY, [1; 32]).unwrap();
    let open =
        |bytes: Vec<u8>, key| XtsBackend::new(VirtualDisk::from_bytes(bytes), &key, [0; 32]).map(|_| ());
    let head = disk.bytes();
    assert_eq!(head.len(), 4_096);
    assert!(open(head.clone(), KEY).is_ok());
    assert!(matches!(open(head.clone(), StoreKey([8; 32])), Err(StoreError::WrongKey)));
    let mut newer = head.clone();
    newer[11] = 2;
    assert!(matches!(open(newer, KEY), Err(StoreError::TooNew { found: 2, known: 1 })));
    for at in (0..80).filter(|at| !(8..12).contains(at)) {
        let mut flipped = head.clone();
        flipped[at] ^= 0x10;
        assert!(matches!(open(flipped, KEY), Err(StoreError::Damaged(_))), "byte {at}");
    }
    assert!(matches!(open(head[..100].to_vec(), KEY), Err(StoreError::Damaged(_))));
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
