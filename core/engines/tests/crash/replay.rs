//! Power cuts on what an engine really asks of the kernel: strace records every write and flush of a run, and the run is
//! replayed on a virtual disk up to a random moment, where the power goes. It is the one power-cut test that sled, which
//! takes no backend of ours, can be put through without a machine of its own.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

use fieldbook_engines::StorageBackend;
use fieldbook_engines::faults::{Dice, VirtualDisk};

use crate::child::{Task, copy_folder};
use crate::common::{ENGINES, Engine, batch, cases, verify};

pub fn acknowledged_batches_survive_power_cuts() {
    if !Command::new("strace").args(["-o", "/dev/null", "true"]).status().is_ok_and(|s| s.success()) {
        println!("  not run: no strace here (power_cut cuts redb's power on virtual disks)");
        return;
    }
    let cuts = cases("FIELDBOOK_REPLAYS", 40);
    for engine in ENGINES {
        let dir = tempfile::tempdir().expect("a folder");
        let (store, before) = (dir.path().join("run"), dir.path().join("before"));
        std::fs::create_dir(&store).expect("a folder");
        let open = engine.open(&store, false).expect("opens");
        for n in 0..FIRST {
            open.commit_one(batch(n)).expect("commits");
        }
        drop(open);
        copy_folder(&store, &before);
        let trace = record(engine, &store, &before, &dir.path().join("trace"));
        let mut flushed_away = 0;
        for seed in 0..cuts {
            flushed_away += cut(engine, &trace, &before, seed);
        }
        println!("  {engine:?}: {cuts} cuts in {} events, {flushed_away} of them lost a write", trace.len());
        assert!(flushed_away > cuts / 4, "cuts that hurt nothing prove nothing");
    }
}

/// What the kernel was asked, in order.
enum Event {
    Write(u64, Vec<u8>),
    SetLen(u64),
    Flush,
    Acknowledged,
}

/// Runs an engine under strace. `before` gets what stands beside the data file once the store is open.
fn record(engine: Engine, store: &Path, before: &Path, trace: &Path) -> Vec<Event> {
    let task = Task { what: "append".into(), engine, folder: store.into(), numbers: vec![FIRST + BATCHES] };
    let mut command = Command::new("strace");
    command.args([
        "-f",
        "-y",
        "-xx",
        "-s",
        "99999999",
        "-e",
        "trace=write,pwrite64,ftruncate,fsync,fdatasync",
    ]);
    command.arg("-o").arg(trace).arg(std::env::current_exe().expect("this binary"));
    command.env(Task::VARIABLE, task.words()).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("strace");
    let mut out = child.stdout.take().expect("a pipe");
    out.read_exact(&mut [0; 8]).expect("a first acknowledgement");
    if engine == Engine::Sled {
        // sled writes its snapshot when it opens, and flushes it: from the first acknowledgement on it is there.
        let data = std::fs::read(before.join("store/db")).expect("the data");
        std::fs::remove_dir_all(before).expect("removes");
        copy_folder(store, before);
        std::fs::write(before.join("store/db"), data).expect("the data");
    }
    out.read_to_end(&mut Vec::new()).expect("reads");
    assert!(child.wait().expect("waits").success());
    let data = if engine == Engine::Sled { "/store/db" } else { "/store" };
    let data = hex_of(&store.join(&data[1..]));
    let trace = std::fs::read_to_string(trace).expect("a trace");
    trace.lines().filter_map(|line| event(line, &data)).collect()
}

/// With `-xx` strace writes paths in hexadecimal too.
fn hex_of(path: &Path) -> String {
    let path = path.canonicalize().expect("a path");
    path.to_string_lossy().bytes().map(|b| format!("\\x{b:02x}")).collect()
}

/// A call as it is begun: `1234 pwrite64(5<path>, "\x00…", 4096, 8192) = 4096`, or `… <unfinished ...>`.
fn event(line: &str, data: &str) -> Option<Event> {
    let call = line.split_once(' ')?.1.trim_start();
    let (name, rest) = call.split_once('(')?;
    if name == "write" && rest.starts_with("1<") {
        return Some(Event::Acknowledged);
    }
    let (fd, rest) = rest.split_once('>')?;
    let plain: String =
        data.split("\\x").skip(1).filter_map(|h| u8::from_str_radix(h, 16).ok()).map(char::from).collect();
    let path = fd.split_once('<')?.1;
    if path != data && path != plain {
        return None;
    }
    let number =
        |text: &str| text.chars().take_while(char::is_ascii_digit).collect::<String>().parse::<u64>();
    match name {
        "fsync" | "fdatasync" => Some(Event::Flush),
        "ftruncate" => Some(Event::SetLen(number(rest.trim_start_matches(", ")).expect("a length"))),
        "pwrite64" => {
            let (_, rest) = rest.split_once('"')?;
            let (bytes, rest) = rest.split_once('"').expect("the whole of a write");
            assert!(!rest.starts_with("..."), "a write was cut short in the trace");
            let offset = rest.trim_start_matches(", ").split_once(", ").expect("an offset").1;
            let digits = bytes.as_bytes().chunks_exact(4);
            let bytes = digits.map(|d| (nibble(d[2]) << 4) | nibble(d[3])).collect();
            Some(Event::Write(number(offset).expect("an offset"), bytes))
        }
        _ => panic!("a write to the data file that is not replayed: {name}"),
    }
}

fn nibble(digit: u8) -> u8 {
    if digit.is_ascii_digit() { digit - b'0' } else { digit - b'a' + 10 }
}

/// Replays up to a random event, cuts the power, and looks. Answers whether anything was lost.
fn cut(engine: Engine, trace: &[Event], before: &Path, seed: u64) -> u64 {
    let mut dice = Dice::new(seed);
    let dir = tempfile::tempdir().expect("a folder");
    copy_folder(before, dir.path());
    let file = if engine == Engine::Sled { dir.path().join("store/db") } else { dir.path().join("store") };
    let disk = VirtualDisk::from_bytes(std::fs::read(&file).expect("the data"));
    // What is recorded beside the data file is of the moment of the first acknowledgement.
    let first = trace.iter().position(|e| matches!(e, Event::Acknowledged)).expect("one");
    let until = if dice.one_in(2) {
        first + 1 + dice.below((trace.len() - first - 1) as u64) as usize
    } else {
        // Between a write and its flush, where there is something to lose.
        let open = unflushed(trace, first);
        open[dice.below(open.len() as u64) as usize]
    };
    let mut acknowledged = FIRST;
    for event in &trace[..until] {
        match event {
            Event::Write(at, bytes) => disk.write(*at, bytes).expect("writes"),
            Event::SetLen(len) => disk.set_len(*len).expect("sets"),
            Event::Flush => disk.sync_data().expect("flushes"),
            Event::Acknowledged => acknowledged += 1,
        }
    }
    let after = disk.after_power_cut(&mut dice).bytes();
    let lost = u64::from(after != disk.bytes());
    std::fs::write(&file, after).expect("the data");
    let at = format!("{engine:?} seed {seed}, event {until}");
    let store = engine.open(dir.path(), false).unwrap_or_else(|e| panic!("{at}: {e}"));
    match verify(&*store, acknowledged, acknowledged + 1) {
        Ok(head) => store.commit_one(batch(head)).map(|_| lost).unwrap_or_else(|e| panic!("{at}: {e}")),
        Err(wrong) => panic!("{at}: {wrong:?}"),
    }
}

/// The moments behind the first acknowledgement at which something is written and not flushed.
fn unflushed(trace: &[Event], first: usize) -> Vec<usize> {
    let mut dirty = false;
    let mut moments = Vec::new();
    for (at, event) in trace.iter().enumerate() {
        match event {
            Event::Write(..) | Event::SetLen(_) => dirty = true,
            Event::Flush => dirty = false,
            Event::Acknowledged => {}
        }
        if dirty && at > first {
            moments.push(at + 1);
        }
    }
    moments
}

const FIRST: u64 = 20;
const BATCHES: u64 = 130;
