//! Keeps `docs/protocol.md` true: its generated blocks are what this test computes, its tables of codes name every code.
//!
//! `FIELDBOOK_BLESS=1 cargo test -p fieldbook-core --test protocol_doc` writes the blocks anew. Whoever blesses a moved genesis hash or a
//! moved message orphans the phones in the field: the numbers are the protocol.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

use std::collections::BTreeMap;
use std::fmt::{Debug, Write as _};
use std::sync::Arc;

use fieldbook_core::access::Role;
use fieldbook_core::company::{Company, LocalGate, NewLead, Settled, UserRow};
use fieldbook_core::document::{Edit, genesis};
use fieldbook_core::ids::{DeviceId, DocId, DocKind, EntryId, UserId};
use fieldbook_core::limits;
use fieldbook_core::replica::{DocEdits, Identity, Replica};
use fieldbook_core::store::{MemoryStore, Store};
use fieldbook_core::sync::message::{
    FromPhone, FromServer, HoldReason, RefuseCode, VERSIONS, WireCode, decode_frame, encode, frames,
    frames_up,
};
use fieldbook_core::sync::phone::Link;
use fieldbook_core::sync::server::{Effect, Session};
use fieldbook_core::time::{Moment, Stamp};

#[test]
fn the_page_shows_what_the_code_does() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/protocol.md");
    let page = std::fs::read_to_string(path).unwrap();
    let mut wanted = page.clone();
    for (name, block) in [
        ("genesis", genesis_table()),
        ("bounds", bounds()),
        ("first", first_session()),
        ("session", session()),
    ] {
        wanted = with_block(&wanted, name, &block);
    }
    if std::env::var_os("FIELDBOOK_BLESS").is_some() {
        std::fs::write(path, &wanted).unwrap();
        return;
    }
    assert!(
        page == wanted,
        "docs/protocol.md is behind the code; FIELDBOOK_BLESS=1 writes it anew:\n{wanted}"
    );
}

#[test]
fn every_code_has_its_row() {
    let page = include_str!("../../docs/protocol.md");
    codes::<HoldReason>(section(page, "### Reasons for holding"));
    codes::<RefuseCode>(section(page, "### Codes of refusal"));
    codes::<WireCode>(section(page, "### Codes that end a connection"));
    codes::<Role>(section(page, "### Roles"));
    assert!(
        page.contains(&format!("versions {} to {}", VERSIONS.0, VERSIONS.1)),
        "the versions that this build speaks"
    );
}

/// The numbers of an enum are found by decoding them, so a new variant cannot hide.
fn codes<T: for<'b> minicbor::Decode<'b, ()> + Debug>(section: &str) {
    let known: Vec<T> = (0..24u8).map_while(|n| minicbor::decode(&[n]).ok()).collect();
    assert!(known.len() > 2);
    for (n, code) in known.iter().enumerate() {
        let row = format!("| {n} | `{code:?}` |");
        assert!(section.contains(&row), "docs/protocol.md lacks a row that begins with {row}");
    }
    assert!(!section.contains(&format!("\n| {} |", known.len())), "docs/protocol.md has a row too many");
}

fn section<'a>(page: &'a str, title: &str) -> &'a str {
    let (_, rest) = page.split_once(title).unwrap_or_else(|| panic!("docs/protocol.md lacks {title:?}"));
    rest.split_once("\n#").map_or(rest, |(section, _)| section)
}

fn with_block(page: &str, name: &str, block: &str) -> String {
    let begin = format!("<!-- generated: {name} -->\n");
    let end = "<!-- end -->";
    let (before, rest) =
        page.split_once(&begin).unwrap_or_else(|| panic!("docs/protocol.md lacks the block {name}"));
    let (_, after) = rest.split_once(end).unwrap_or_else(|| panic!("the block {name} has no end"));
    format!("{before}{begin}{block}{end}{after}")
}

fn genesis_table() -> String {
    let mut out = String::from(
        "| Kind | First byte | Bytes of genesis | Operations | Its hash |\n|---|---|---|---|---|\n",
    );
    for kind in DocKind::ALL {
        let genesis = genesis::genesis(kind);
        let (code, bytes) = (kind as u8, genesis.bytes.len());
        let _ = writeln!(
            out,
            "| `{}` | {code:#04x} | {bytes} | {} | `{}` |",
            kind.name(),
            genesis.max_op,
            genesis.hash
        );
    }
    let _ = write!(out, "\nThe genesis of `advancement`, whole:\n\n```\n");
    hex_lines(&mut out, &genesis::genesis(DocKind::Advancement).bytes);
    out.push_str("```\n");
    out
}

fn bounds() -> String {
    let rows: &[(&str, u64)] = &[
        ("one frame, bytes", limits::FRAME_MAX_BYTES as u64),
        ("what a sender fills a frame to, bytes", limits::FRAME_TARGET_BYTES as u64),
        ("changes of one delta or return, bytes", limits::CHANGES_MAX_BYTES as u64),
        ("changes of one document that are taken back, bytes", limits::RETURN_MAX_BYTES as u64),
        ("one change, inflated, bytes", limits::CHANGE_MAX_BYTES as u64),
        ("operations of one change", limits::CHANGE_MAX_OPS as u64),
        ("dependencies of one change, and other actors that it names", limits::CHANGE_MAX_DEPS as u64),
        ("the stamp, bytes", limits::STAMP_MAX_BYTES as u64),
        ("changes of one push", limits::PUSH_MAX_CHANGES as u64),
        ("pushes of one phone without answer", limits::PUSHES_IN_FLIGHT as u64),
        ("changes in them together, bytes", limits::PUSH_BYTES_IN_FLIGHT as u64),
        ("one text value, bytes", limits::VALUE_MAX_BYTES as u64),
        ("a key of a set or of an open-keyed map, bytes", limits::ELEMENT_KEY_MAX_BYTES as u64),
        (
            "one document that phones write, saved and not deflated, bytes",
            limits::DOC_WRITTEN_MAX_BYTES as u64,
        ),
        ("one document that is read at all, saved, bytes", limits::DOC_MAX_BYTES as u64),
        ("documents of one phone asked for and not sent yet", limits::FETCHES_MAX as u64),
        ("changes of one document", limits::DOC_MAX_CHANGES as u64),
        ("operations of one document, deletions counted", limits::DOC_MAX_OPS),
        ("channel states in a hello", 2 * limits::CHANNELS_MAX as u64),
    ];
    let mut out = String::from("| What | At most |\n|---|---|\n");
    for (what, most) in rows {
        let _ = writeln!(out, "| {what} | {most} |");
    }
    out
}

/// A new phone fills its channels.
fn first_session() -> String {
    let mut office = Office::new();
    office.lead();
    let mut dump = Dump { text: String::from("```\n"), whole: false };
    office.connect(REP, Some(&mut dump));
    dump.text + "```\n"
}

/// A phone that was connected before comes back with one edit, while a colleague's edit waits for it.
fn session() -> String {
    let mut office = Office::new();
    let lead = office.lead();
    office.connect(REP, None);
    office.connect(MANAGER, None);
    office.set(MANAGER, lead, "brand", "联影");
    office.connect(MANAGER, None);
    office.set(REP, lead, "next_action", "确认CT机安装场地尺寸");
    let mut dump = Dump { text: String::new(), whole: true };
    office.connect(REP, Some(&mut dump));
    dump.text
}

/// A session written down: every byte, or one line a message with long byte strings cut short.
struct Dump {
    text: String,
    whole: bool,
}

const REP: u8 = 1;
const MANAGER: u8 = 9;
const T0: i64 = 1_770_000_000_000;

struct Office {
    company: Company,
    gate: LocalGate,
    phones: BTreeMap<u8, Replica>,
    now_ms: i64,
    acts: u8,
}

impl Office {
    fn new() -> Self {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let company = Company::open(store, "示例公司", &[0x5e; 64]).unwrap();
        let mut phones = BTreeMap::new();
        for (n, role) in [(REP, Role::Rep), (MANAGER, Role::Manager)] {
            let (user, device) = (UserId([n; 8]), DeviceId([0xd0 | n; 8]));
            let row = UserRow { name: format!("u{n}"), role, team: None, active: true };
            company.put_user(user, row, T0).unwrap();
            company.put_device(device, user, "phone", T0).unwrap();
            let mut replica = Replica::open(Arc::new(MemoryStore::new())).unwrap();
            let identity = Identity {
                device,
                user,
                user_name: String::new(),
                company: String::new(),
                server_url: String::new(),
                refresh_token: String::new(),
                zone: String::new(),
            };
            replica.enrol(identity).unwrap();
            phones.insert(n, replica);
        }
        Self { company, gate: LocalGate::new(0), phones, now_ms: T0, acts: 0 }
    }

    fn moment(&self) -> Moment {
        Moment { wall_ms: self.now_ms + 250, boot: 0xb007, mono_ms: (self.now_ms - T0) as u64 }
    }

    /// A lead of the representative, shared with the manager.
    fn lead(&mut self) -> DocId {
        let id = DocId::fresh(DocKind::Lead, EntryId([0xaa; 16]));
        let edits = vec![Edit::Set { field: "customer_name".into(), value: "示例医院".into() }];
        let team = fieldbook_core::ids::TeamId([0x77; 8]);
        let row = fieldbook_core::company::TeamRow {
            name: "t".into(),
            parent: None,
            leaders: vec![UserId([MANAGER; 8])],
        };
        self.company.put_team(team, row, T0).unwrap();
        let user = UserRow { name: "u1".into(), role: Role::Rep, team: Some(team), active: true };
        self.company.put_user(UserId([REP; 8]), user, T0).unwrap();
        let lead = NewLead { id, edits, owner: Some(UserId([REP; 8])), ..NewLead::default() };
        self.company.intake(&[lead], T0).unwrap();
        id
    }

    fn set(&mut self, who: u8, doc: DocId, field: &str, value: &str) {
        self.now_ms += 1_000;
        self.acts += 1;
        let now = self.moment();
        let phone = self.phones.get_mut(&who).unwrap();
        let act = phone.act(now, [self.acts; 32]).unwrap();
        let edits = vec![Edit::Set { field: field.into(), value: value.into() }];
        phone.edit(&act, &[DocEdits { doc, origin: None, edits }]).unwrap();
    }

    /// One connection until both ends are settled, written down when asked.
    fn connect(&mut self, who: u8, mut dump: Option<&mut Dump>) {
        self.now_ms += 1_000;
        let now = self.moment();
        let mut link = Link::new();
        let phone = self.phones.get_mut(&who).unwrap();
        let mut up = link.open(phone, "TOKEN", "example/1", now).unwrap();
        let mut session: Option<Session> = None;
        for _ in 0..100 {
            let mut down = Vec::new();
            for frame in frames_up(std::mem::take(&mut up)) {
                let messages = decode_frame::<FromPhone>(&frame).unwrap();
                write_down(&mut dump, "phone → server", frame.len(), &messages);
                for message in messages {
                    let effects = match (&mut session, message) {
                        (None, FromPhone::Hello(hello)) => {
                            let device = phone.identity().unwrap().device;
                            let opened =
                                Session::open(&self.company, device, &hello, self.now_ms).unwrap().unwrap();
                            session = Some(opened.0);
                            vec![Effect::Send(vec![opened.1])]
                        }
                        (Some(session), message) => {
                            session.receive(&self.company, message, self.now_ms).unwrap()
                        }
                        (None, _) => panic!("the hello comes first"),
                    };
                    let session = session.as_mut().unwrap();
                    serve(&self.company, &mut self.gate, session, effects, &mut down, self.now_ms);
                }
            }
            let session = session.as_mut().unwrap();
            session.wake();
            down.extend(
                session.pump(&self.company, limits::FRAME_TARGET_BYTES).unwrap().into_iter().flatten(),
            );
            if down.is_empty() && link.is_settled(phone) {
                return;
            }
            for frame in frames(down) {
                let messages = decode_frame::<FromServer>(&frame).unwrap();
                write_down(&mut dump, "server → phone", frame.len(), &messages);
                up.extend(link.receive(phone, messages, now).unwrap().send);
            }
        }
        panic!("phone {who} does not settle");
    }
}

fn serve(
    company: &Company,
    gate: &mut LocalGate,
    session: &mut Session,
    effects: Vec<Effect>,
    down: &mut Vec<FromServer>,
    now_ms: i64,
) {
    for effect in effects {
        match effect {
            Effect::Send(messages) => down.extend(messages),
            Effect::Commit(batch) => assert!(company.store().commit_one(batch).is_ok()),
            Effect::Push(incoming) => {
                let prepared = company.prepare(incoming.push.doc, &[*incoming], gate, now_ms).unwrap();
                let outcome = company.store().commit_one(prepared.batch.clone()).unwrap();
                let Settled::Done { answers, .. } = prepared.settle(outcome) else { panic!("contended") };
                let more = session.answered(answers);
                serve(company, gate, session, more, down, now_ms);
            }
            // Everything is pumped once all of a frame has been heard.
            Effect::Pump => {}
            other => panic!("not in this session: {other:?}"),
        }
    }
}

/// One frame: every message with its bytes, the same in CBOR's diagnostic notation, and what a change chunk says.
fn write_down<M: minicbor::Encode<()> + Debug>(
    dump: &mut Option<&mut Dump>,
    direction: &str,
    frame_bytes: usize,
    messages: &[M],
) {
    let Some(Dump { text, whole }) = dump else { return };
    let total: usize = messages.iter().map(|message| encode(message).len()).sum();
    let inflated = if total == frame_bytes { String::new() } else { format!(", {total} inflated") };
    if *whole {
        let _ = writeln!(text, "#### {direction}: a frame of {frame_bytes} bytes{inflated}\n");
    } else {
        let _ = writeln!(text, "{direction}: a frame of {frame_bytes} bytes{inflated}");
    }
    for message in messages {
        let bytes = encode(message);
        let name: String = format!("{message:?}").chars().take_while(|c| c.is_alphanumeric()).collect();
        if !*whole {
            let _ = writeln!(text, "  {name} {}", diagnostic(&mut Reader(&bytes), 20));
            continue;
        }
        let _ = writeln!(text, "`{name}`, {} bytes:\n\n```", bytes.len());
        hex_lines(text, &bytes);
        let _ = writeln!(text, "```\n```cbor-diag\n{}\n```", diagnostic(&mut Reader(&bytes), usize::MAX));
        for chunk in chunks(&bytes) {
            let _ = writeln!(text, "\nThe change chunk in it:\n\n```");
            describe_chunk(text, chunk);
            text.push_str("```\n");
        }
        text.push('\n');
    }
}

/// The next CBOR item in diagnostic notation (RFC 8949, section 8), of the items that the protocol uses. A byte
/// string longer than `most_bytes` is only counted.
fn diagnostic(reader: &mut Reader<'_>, most_bytes: usize) -> String {
    let first = reader.take(1)[0];
    let (major, info) = (first >> 5, first & 0x1f);
    if major == 7 {
        return match info {
            20 => "false".into(),
            21 => "true".into(),
            22 => "null".into(),
            other => panic!("the protocol has no simple value {other}"),
        };
    }
    let argument = match info {
        0..24 => u64::from(info),
        24..28 => reader.take(1 << (info - 24)).iter().fold(0, |n, byte| n << 8 | u64::from(*byte)),
        other => panic!("the protocol has no length of kind {other}"),
    };
    match major {
        0 => argument.to_string(),
        1 => format!("-{}", argument + 1),
        2 => match reader.take(argument as usize) {
            long if long.len() > most_bytes => format!("h'… {} bytes …'", long.len()),
            bytes => format!("h'{}'", hex::encode(bytes)),
        },
        3 => format!("{:?}", std::str::from_utf8(reader.take(argument as usize)).unwrap()),
        4 => {
            let items: Vec<String> = (0..argument).map(|_| diagnostic(reader, most_bytes)).collect();
            format!("[{}]", items.join(", "))
        }
        other => panic!("the protocol has no major type {other}"),
    }
}

fn hex_lines(out: &mut String, bytes: &[u8]) {
    for line in bytes.chunks(32) {
        let hex: Vec<String> = line.iter().map(|byte| format!("{byte:02x}")).collect();
        let _ = writeln!(out, "{}", hex.join(" "));
    }
}

/// The change chunks (type 1) that stand in a message, found by their magic.
fn chunks(message: &[u8]) -> Vec<&[u8]> {
    const MAGIC: [u8; 4] = [0x85, 0x6f, 0x4a, 0x83];
    let starts =
        (0..message.len()).filter(|at| message[*at..].starts_with(&MAGIC) && message.get(at + 8) == Some(&1));
    starts
        .map(|at| {
            let mut reader = Reader(&message[at + 9..]);
            let length = reader.uleb() as usize;
            let header = message.len() - at - reader.0.len();
            &message[at..at + header + length]
        })
        .collect()
}

fn describe_chunk(out: &mut String, chunk: &[u8]) {
    let mut reader = Reader(chunk);
    let mut line = |bytes: &[u8], says: String| {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let _ = writeln!(out, "{hex:<34} {says}");
    };
    line(reader.take(4), "magic".into());
    line(reader.take(4), "checksum: first bytes of the hash".into());
    line(reader.take(1), "type 1: a change".into());
    line(&[], format!("length of the body: {}", reader.uleb()));
    let deps = reader.uleb();
    line(&[], format!("dependencies: {deps}"));
    for _ in 0..deps {
        let dep = hex::encode(reader.take(32));
        line(&[], format!("  {dep}"));
    }
    let length = reader.uleb() as usize;
    line(reader.take(length), "actor: device, incarnation".into());
    line(&[], format!("sequence of the actor: {}", reader.uleb()));
    line(&[], format!("first operation: {}", reader.uleb()));
    line(reader.take(1), "time: 0".into());
    let length = reader.uleb() as usize;
    let message = String::from_utf8(reader.take(length).to_vec()).unwrap();
    let stamp = Stamp::from_message(&message).unwrap();
    line(&[], format!("message, {length} bytes: {message}"));
    line(&[], format!("  the user {}", stamp.user));
    line(
        &[],
        format!(
            "  wall clock {} ms, boot {:#x}, {} ms since",
            stamp.moment.wall_ms, stamp.moment.boot, stamp.moment.mono_ms
        ),
    );
    line(
        &[],
        format!(
            "  server time minus monotonic {:?} ms, last contact {} ms",
            stamp.offset_ms, stamp.last_contact_ms
        ),
    );
    let others = reader.uleb();
    line(&[], format!("other actors: {others}"));
    for _ in 0..others {
        let length = reader.uleb() as usize;
        line(reader.take(length), "  one of them".into());
    }
    let columns = reader.uleb();
    line(&[], format!("columns: {columns}"));
    let specs: Vec<(u64, usize)> = (0..columns).map(|_| (reader.uleb(), reader.uleb() as usize)).collect();
    for (spec, length) in specs {
        line(reader.take(length), format!("  column {spec:#04x}"));
    }
    assert!(reader.0.is_empty(), "nothing follows the columns");
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count);
        self.0 = rest;
        taken
    }

    fn uleb(&mut self) -> u64 {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)[0];
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return value;
            }
        }
        panic!("a number without end");
    }
}
