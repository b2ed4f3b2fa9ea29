//! What this machine can do by itself: the disk's flush, the loopback, SQLite, automerge. Measured again beside every row that leans on
//! it, because a figure without its yardstick says nothing about the product.

use std::cell::Cell;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use fieldbook_core::document::Doc;
use fieldbook_core::ids::DocKind;
use rusqlite::Connection;

use crate::table::{median, number};
use crate::{Fail, firm};

/// Processor, cores, memory, kernel.
pub fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpuinfo = read("/proc/cpuinfo");
    let field = |text: &str, name: &str| {
        text.lines()
            .find(|line| line.starts_with(name))
            .and_then(|line| line.split(':').nth(1))
            .unwrap_or("?")
            .trim()
            .to_owned()
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let load = read("/proc/loadavg");
    let kernel = read("/proc/sys/kernel/osrelease");
    format!(
        "{}, {cores} cores, {} memory, Linux {}, load {}",
        field(&cpuinfo, "model name"),
        field(&read("/proc/meminfo"), "MemTotal"),
        kernel.trim(),
        load.split(' ').take(3).collect::<Vec<_>>().join(" ")
    )
}

/// `fdatasync` after an append of 4 KB: median, milliseconds, on the disk of `folder`.
pub fn flush_ms(folder: &Path) -> Result<f64, Fail> {
    let mut file = tempfile::tempfile_in(folder)?;
    let block = [0x5a_u8; 4_096];
    let mut took = Vec::new();
    for _ in 0..FLUSHES {
        file.write_all(&block)?;
        let began = Instant::now();
        File::sync_data(&file)?;
        took.push(ms(began.elapsed()));
    }
    Ok(median(took))
}

/// The disk in words: a flush's time and how many there are in a second.
pub fn disk(folder: &Path) -> Result<String, Fail> {
    let flush = flush_ms(folder)?;
    Ok(format!("fdatasync of a 4 KB append {} ms, {} a second", number(flush), number(1_000.0 / flush)))
}

/// The loopback in words: bytes a second of one connection, and a round trip of one byte.
pub fn loopback() -> Result<String, Fail> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let echo = std::thread::spawn(move || -> std::io::Result<()> {
        let (mut stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        let mut byte = [0];
        for _ in 0..TRIPS {
            stream.read_exact(&mut byte)?;
            stream.write_all(&byte)?;
        }
        let mut bytes = vec![0; CHUNK];
        while stream.read(&mut bytes)? > 0 {}
        stream.write_all(&byte)
    });
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let mut byte = [1];
    let mut trips = Vec::new();
    for _ in 0..TRIPS {
        let began = Instant::now();
        stream.write_all(&byte)?;
        stream.read_exact(&mut byte)?;
        trips.push(began.elapsed().as_secs_f64() * 1e6);
    }
    let chunk = vec![7; CHUNK];
    let began = Instant::now();
    for _ in 0..CHUNKS {
        stream.write_all(&chunk)?;
    }
    stream.shutdown(std::net::Shutdown::Write)?;
    stream.read_exact(&mut byte)?;
    let rate = (CHUNK * CHUNKS) as f64 / began.elapsed().as_secs_f64();
    echo.join().map_err(|_| "the echo thread panicked")??;
    Ok(format!("loopback {} MB/s, round trip {} µs", number(rate / 1e6), number(median(trips))))
}

/// A table of as many rows as there are leads, in WAL with `synchronous=FULL`: one durable update of one row at a time.
pub struct Sqlite {
    db: Connection,
    rows: usize,
    updates: Cell<u64>,
}

impl Sqlite {
    /// Fills the table.
    ///
    /// # Errors
    /// SQLite's.
    pub fn open(path: &Path, rows: usize) -> Result<Self, Fail> {
        let mut db = Connection::open(path)?;
        db.pragma_update(None, "journal_mode", "WAL")?;
        db.pragma_update(None, "synchronous", "FULL")?;
        db.execute_batch("CREATE TABLE lead (id INTEGER PRIMARY KEY, body BLOB NOT NULL)")?;
        let txn = db.transaction()?;
        for id in 0..rows {
            txn.execute("INSERT INTO lead VALUES (?1, ?2)", (id as i64, vec![id as u8; SQLITE_ROW_BYTES]))?;
        }
        txn.commit()?;
        Ok(Self { db, rows, updates: Cell::new(0) })
    }

    /// One durable update of a row; how long it took, milliseconds.
    ///
    /// # Errors
    /// SQLite's.
    pub fn update(&self, at: usize) -> Result<f64, Fail> {
        let mut statement = self.db.prepare_cached("UPDATE lead SET body = ?2 WHERE id = ?1")?;
        // Content that was there before would not be written at all.
        self.updates.set(self.updates.get() + 1);
        let mut body = vec![at as u8; SQLITE_ROW_BYTES];
        body[..8].copy_from_slice(&self.updates.get().to_be_bytes());
        let began = Instant::now();
        let changed = statement.execute(((at % self.rows) as i64, body))?;
        let took = ms(began.elapsed());
        if changed == 1 { Ok(took) } else { Err(format!("{changed} rows were updated").into()) }
    }
}

/// automerge on one lead as the benchmark makes them, in words: load and save, µs.
pub fn automerge() -> Result<String, Fail> {
    let saved = firm::sample_lead()?.save();
    let (mut loads, mut saves) = (Vec::new(), Vec::new());
    for _ in 0..200 {
        let began = Instant::now();
        let doc = Doc::load(DocKind::Lead, &saved)?;
        loads.push(began.elapsed().as_secs_f64() * 1e6);
        let began = Instant::now();
        let again = doc.save();
        saves.push(began.elapsed().as_secs_f64() * 1e6);
        if again.len() != saved.len() {
            return Err("a document saved twice differs".into());
        }
    }
    let (load, save) = (number(median(loads)), number(median(saves)));
    Ok(format!("automerge on a lead of {} B: load {load} µs, save {save} µs", saved.len()))
}

/// Milliseconds with fractions.
pub fn ms(took: Duration) -> f64 {
    took.as_secs_f64() * 1e3
}

const FLUSHES: usize = 100;
const TRIPS: usize = 2_000;
const CHUNK: usize = 128 << 10;
const CHUNKS: usize = 4_096;
/// About what a compacted lead takes.
const SQLITE_ROW_BYTES: usize = 1_000;
