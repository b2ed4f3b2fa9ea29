//! Files that were torn, cut or flipped while nobody looked: the store opens with all that was acknowledged, or says that
//! it is damaged. It never aborts, hangs, or shows anything else.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use fieldbook_core::store::Store;
use fieldbook_engines::faults::Dice;

use crate::child::{INTACT, SILENT, TOLD, Task, copy_folder};
use crate::common::{ENGINES, Engine, batch, cases};

/// As a kill leaves it: redb recovers, and verifies its whole file while it does.
pub fn a_killed_store_that_was_damaged_says_so() {
    for engine in ENGINES {
        let dir = tempfile::tempdir().expect("a folder");
        let (store, killed) = (dir.path().join("live"), dir.path().join("killed"));
        std::fs::create_dir(&store).expect("a folder");
        let open = engine.open(&store, false).expect("opens");
        write(&*open);
        copy_folder(&store, &killed);
        drop(open);
        damage_often(engine, &killed, |_| false);
    }
}

/// Closed in good order: redb trusts its file, so it is the rows' checksums that tell; every other case asks for the
/// verification of the whole file.
pub fn a_closed_store_that_was_damaged_says_so() {
    for engine in ENGINES {
        let dir = tempfile::tempdir().expect("a folder");
        let open = engine.open(dir.path(), false).expect("opens");
        write(&*open);
        drop(open);
        damage_often(engine, dir.path(), |seed| seed % 2 == 1);
    }
}

fn write(store: &dyn Store) {
    for n in 0..BATCHES {
        store.commit_one(batch(n)).expect("commits");
    }
}

fn damage_often(engine: Engine, pristine: &Path, verify: fn(u64) -> bool) {
    let cases = cases("FIELDBOOK_DAMAGE", 40);
    let (mut intact, mut told) = (0, 0);
    for seed in 0..=cases {
        let mut dice = Dice::new(seed);
        let dir = tempfile::tempdir().expect("a folder");
        copy_folder(pristine, dir.path());
        // The first is the control: undamaged, it must open with everything.
        let how =
            if seed == 0 { "not at all".into() } else { damage(&data_file(engine, dir.path()), &mut dice) };
        let numbers = vec![BATCHES, BATCHES, u64::from(verify(seed))];
        let task = Task { what: "verify".into(), engine, folder: dir.path().into(), numbers };
        let (status, said) = finish(task.command());
        let at = format!("{engine:?} seed {seed}, damaged {how}");
        match status.code() {
            Some(INTACT) => intact += 1,
            Some(TOLD) if seed > 0 => told += 1,
            Some(SILENT) => panic!("{at}: in silence: {said}"),
            _ => panic!("{at}: {status}"),
        }
    }
    println!("  {engine:?}: {cases} cases, {told} told, {} intact", intact - 1);
}

fn data_file(engine: Engine, folder: &Path) -> PathBuf {
    match engine {
        Engine::Sled => folder.join("store/db"),
        _ => folder.join("store"),
    }
}

fn damage(file: &Path, dice: &mut Dice) -> String {
    let mut bytes = std::fs::read(file).expect("a file");
    // Where something was written: a flip in a hole proves nothing.
    let written: Vec<usize> =
        (0..bytes.len() / 512).filter(|s| bytes[s * 512..][..512].iter().any(|b| *b != 0)).collect();
    let sector = written[dice.below(written.len() as u64) as usize] * 512;
    let how = match dice.below(4) {
        0 => {
            let at = sector + dice.below(512) as usize;
            bytes[at] ^= 1 << dice.below(8);
            format!("by a flipped bit at {at}")
        }
        1 => {
            let len = 512 << dice.below(4);
            let end = (sector + len).min(bytes.len());
            bytes[sector..end].fill(0);
            format!("by zeros from {sector} to {end}")
        }
        2 => {
            let end = (sector + 512).min(bytes.len());
            let noise = dice.bytes(end - sector);
            bytes[sector..end].copy_from_slice(&noise);
            format!("by noise from {sector} to {end}")
        }
        _ => {
            bytes.truncate(sector);
            format!("by a cut at {sector}")
        }
    };
    std::fs::write(file, bytes).expect("writes");
    how
}

/// Waits for a child, and kills one that hangs.
pub fn finish(mut command: Command) -> (ExitStatus, String) {
    let mut child = command.stdout(Stdio::piped()).spawn().expect("a child");
    let begun = Instant::now();
    let status = loop {
        match child.try_wait().expect("waits") {
            Some(status) => break status,
            None if begun.elapsed() > PATIENCE => {
                let _ = child.kill();
                panic!("a child hangs");
            }
            None => std::thread::yield_now(),
        }
    };
    let said = child.wait_with_output().map(|o| String::from_utf8_lossy(&o.stdout).into_owned());
    (status, said.unwrap_or_default())
}

const BATCHES: u64 = 70;
const PATIENCE: Duration = Duration::from_secs(60);
