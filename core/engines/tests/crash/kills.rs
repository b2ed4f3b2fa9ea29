//! kill -9 under load, at random moments, some of them while the store is being created.

use std::io::Read;
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use crate::child::{IN_FLIGHT, Task, last_acknowledged};
use crate::common::{ENGINES, Engine, cases, verify};
use fieldbook_engines::faults::Dice;

pub fn acknowledged_batches_survive_kills() {
    let kills = cases("FIELDBOOK_KILLS", 24);
    // One after the other: a child that was forked and not yet started holds its parent's locks.
    for engine in ENGINES {
        kill_often(engine, kills);
    }
}

fn kill_often(engine: Engine, kills: u64) {
    let mut dice = Dice::new(kills);
    let mut dir = tempfile::tempdir().expect("a folder");
    let (mut acknowledged, mut total, mut created) = (0, 0, 0);
    for kill in 0..kills {
        if kill % 6 == 0 {
            dir = tempfile::tempdir().expect("a folder");
            acknowledged = 0;
            created += 1;
        }
        let numbers = Vec::new();
        let task = Task { what: "write".into(), engine, folder: dir.path().into(), numbers };
        let mut child = task.command().stderr(Stdio::inherit()).spawn().expect("a child");
        let said = listen(&mut child);
        // Either so many acknowledgements after the start, or so soon that the store is still being opened.
        let mut heard = Vec::new();
        if kill % 6 < 2 {
            let soon = Duration::from_micros(dice.below(15_000));
            heard.extend(said.recv_timeout(soon).unwrap_or_default());
        } else {
            let enough = dice.below(160) as usize * 8;
            while heard.len() < enough {
                heard.extend(
                    said.recv_timeout(PATIENCE).unwrap_or_else(|e| panic!("{engine:?} kill {kill}: {e}")),
                );
            }
        }
        child.kill().expect("kills");
        child.wait().expect("waits");
        heard.extend(said.iter().flatten());
        acknowledged = acknowledged.max(last_acknowledged(&heard));
        let at = format!("{engine:?} kill {kill}");
        let store = engine.open(dir.path(), false).unwrap_or_else(|e| panic!("{at}: {e}"));
        match verify(&*store, acknowledged, acknowledged + IN_FLIGHT) {
            // What was written without being acknowledged and survived is where the next child goes on.
            Ok(head) => acknowledged = head,
            Err(wrong) => panic!("{at}: {wrong:?}"),
        }
        total += heard.len() as u64 / 8;
    }
    println!(
        "  {engine:?}: {kills} kills, {created} of them of a store's first life, {total} acknowledgements"
    );
    assert!(total > kills * 10, "the children hardly wrote");
}

fn listen(child: &mut Child) -> Receiver<Vec<u8>> {
    let mut out = child.stdout.take().expect("a pipe");
    let (send, receive) = channel();
    std::thread::spawn(move || {
        let mut bytes = [0; 4_096];
        while let Ok(n @ 1..) = out.read(&mut bytes) {
            if send.send(bytes[..n].to_vec()).is_err() {
                return;
            }
        }
    });
    receive
}

/// A child that says nothing for so long hangs.
const PATIENCE: Duration = Duration::from_secs(60);
