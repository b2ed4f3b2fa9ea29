//! Every bound of the product, with its arithmetic. A queue, loop, message or history without a row here is a bug.

/// One websocket frame, both ways. 1 MiB holds 1,700 compacted leads of 600 bytes, or a day of one rep.
pub const FRAME_MAX_BYTES: usize = 1 << 20;
/// What a sender aims at when it fills a frame with several messages: large enough that framing costs nothing,
/// small enough that a phone stores a batch in a few milliseconds.
pub const FRAME_TARGET_BYTES: usize = 128 << 10;
/// Frames below this go as they are: one packet either way.
pub const FRAME_DEFLATE_BYTES: usize = 1 << 10;
/// One automerge change of a phone, inflated. A visit note of 4,000 Chinese characters is 12 KB.
pub const CHANGE_MAX_BYTES: usize = 64 << 10;
/// Changes in one push. An offline week on one lead is under 100; longer suffixes travel in several pushes.
pub const PUSH_MAX_CHANGES: usize = 256;
/// Operations in one change: an import row writes about 40.
pub const CHANGE_MAX_OPS: usize = 4_096;
/// Dependencies and other actors named by one change: more concurrent heads than devices on a lead is a lie.
pub const CHANGE_MAX_DEPS: usize = 64;
/// One saved document that is read at all.
pub const DOC_MAX_BYTES: usize = 4 << 20;
/// One document that phones write, compacted and not deflated. 5,000 changes of a three-year lead take about 440 KB; a snapshot with a tail
/// as large fits one frame.
pub const DOC_WRITTEN_MAX_BYTES: usize = 480 << 10;
/// A lead as an intake brings it, compacted and not deflated: half of what it may become, 80,000 Chinese characters.
pub const INTAKE_MAX_BYTES: usize = DOC_WRITTEN_MAX_BYTES / 2;
/// Raw changes in one message, so that it stays within a frame whatever stands beside them. A document that phones write may have more of them
/// than it has bytes when saved: a phone is sent the saved document then, and gives changes back in several messages.
pub const CHANGES_MAX_BYTES: usize = FRAME_MAX_BYTES - (64 << 10);
/// Raw changes of one document that a restored server takes back: three times those of a three-year lead. They share a row of its store.
pub const RETURN_MAX_BYTES: usize = 4 << 20;
/// Changes in one document.
pub const DOC_MAX_CHANGES: usize = 100_000;
/// Operations in one document, which a few hundred bytes can hold thousands of: each costs whoever loads it. A note of 80,000 characters
/// that was typed twice over is 160,000, and its deletions 80,000.
pub const DOC_MAX_OPS: u64 = 500_000;
/// Pushes of one device that may be unanswered at once. 8 keep a phone busy over a 100 ms link at 80 a second; the
/// handshake may carry more behind it, so the server takes up to this many before it closes the connection.
pub const PUSHES_IN_FLIGHT: usize = 256;
/// Own pushes that a session may have behind its phone's cursor before it reads past them although more are on the way. A phone that goes on
/// writing gets one new cursor for so many answers, which costs it a flush, instead of one for each.
pub const OWN_NEWS_MAX: usize = 64;
/// Bytes that a revoked device may bring on one connection, to be held unseen: a full outbox of [`OUTBOX_MAX`] changes takes a third of it.
pub const FAREWELL_MAX_BYTES: usize = 64 << 20;
/// Connections on which a revoked device is heard before it is wiped all the same.
pub const FAREWELLS_MAX: u32 = 64;
/// Pushes of one device that may wait for a person, on the server's disk: a full outbox, each change a push of its own. Beyond it the phone
/// keeps its work.
pub const HELD_MAX_PUSHES: u64 = OUTBOX_MAX as u64;
/// Bytes of them: what a revoked device may bring on one connection, and as much that waited before.
pub const HELD_MAX_BYTES: u64 = 2 * FAREWELL_MAX_BYTES as u64;
/// Bytes of changes that one device may have unanswered at once: a session's share of the server's memory. Four frames of the largest kind;
/// a phone keeps half of it on the way, so that two never disagree about the bound.
pub const PUSH_BYTES_IN_FLIGHT: usize = 4 * FRAME_MAX_BYTES;
/// Bytes of changes that may wait for one gate thread: sixteen devices that use all they may, or an hour of a thousand that do not.
pub const GATE_QUEUE_BYTES: usize = 16 * PUSH_BYTES_IN_FLIGHT;
/// Whole documents that one phone may have asked for and not got yet: more than a day of one rep touches.
pub const FETCHES_MAX: usize = 256;
/// Leads or signals that another system sends in one request. A hundred a request is what 2,000 a second want; each lead is a document to load.
pub const INTAKE_MAX_ITEMS: usize = 500;
/// How another system calls a lead or a signal, bytes: two UUIDs and a name.
pub const SENDER_ID_MAX_BYTES: usize = 200;
/// One signal as the log keeps it: what was said in a session of customer service, 5,000 Chinese characters.
pub const SIGNAL_MAX_BYTES: usize = 16 << 10;
/// Keys of other systems, revoked ones counted: ten systems that change theirs every week for two years.
pub const INTAKE_KEYS_MAX: usize = 1_000;
/// What automation records of one lead in one go; what is left is done with the next look, for which the record itself is news.
pub const ACTS_AT_ONCE: usize = 64;
/// What a firing says of why, characters.
pub const WHY_MAX_CHARS: usize = 300;
/// One formula of the policy, characters. That of a score with a dozen cases has some 300.
pub const FORMULA_MAX_CHARS: usize = 4_000;
/// One dictated note or first contact, characters: a quarter of an hour of speech. What is longer is cut.
pub const DICTATION_MAX_CHARS: usize = 4_000;
/// One string value in a document, bytes of UTF-8.
pub const VALUE_MAX_BYTES: usize = 32 << 10;
/// A key of a set or of an open-keyed map: a tag of 40 Chinese characters is 120 bytes.
pub const ELEMENT_KEY_MAX_BYTES: usize = 128;
/// The stamp that rides as a change's message.
pub const STAMP_MAX_BYTES: usize = 160;
/// Teams of one company, at any height of its tree.
pub const TEAMS_MAX: usize = 1_000;
/// Channels one phone may hold: itself, the public one, its office's, and every team that it leads, which may be all of them. In a hello as many
/// again may be on their way out; two thousand states take 30 KB.
pub const CHANNELS_MAX: usize = TEAMS_MAX + 3;
/// Doubt about an act's time beyond which it is flagged (design decision 7).
pub const CLOCK_DOUBT_MS: i64 = 5 * 60 * 1_000;
/// A key in the store. Document keys are under 60 bytes; index keys hold a name's prefix.
pub const KEY_MAX_BYTES: usize = 512;
/// A value in the store; larger things are split by their owner. Snapshots are bounded by [`DOC_MAX_BYTES`].
pub const STORE_VALUE_MAX_BYTES: usize = 8 << 20;
/// Rows that one scan returns at the most; a caller pages.
pub const SCAN_MAX_ROWS: usize = 16_384;
/// Tail of changes behind a snapshot, bytes, at which the document is compacted (or the snapshot's own size, if that is
/// larger): reading costs at most twice the compacted document.
pub const TAIL_COMPACT_BYTES: usize = 8 << 10;
/// Changes in the tail at which the document is compacted whatever their size.
pub const TAIL_COMPACT_CHANGES: usize = 256;
/// Outbox entries a phone keeps without contact: 200 acts a day for a year.
pub const OUTBOX_MAX: usize = 73_000;
/// One piece of evidence: a photo is 4 MB, a scanned contract 20.
pub const EVIDENCE_MAX_BYTES: u64 = 64 << 20;
/// One part of an evidence upload.
pub const EVIDENCE_PART_BYTES: usize = 256 << 10;
/// What the rules read of one lead, as a row that is kept for them; of a lead with more the documents are read each time.
pub const FACTS_MAX_BYTES: usize = 1 << 20;
/// Batches that may wait for the committer: 32 phones with every push in flight, each a batch.
pub const COMMIT_QUEUE_BATCHES: usize = 32 * PUSHES_IN_FLIGHT;
/// Batches that share one flush. At 10,000 a second and a flush of 3 ms, 30 wait; the rest is headroom for slow disks.
pub const COMMIT_GROUP_BATCHES: usize = 1_024;
/// Bytes that share one flush: what a slow disk writes in a tenth of a second.
pub const COMMIT_GROUP_BYTES: usize = 4 << 20;
/// The least time between the beginnings of two commits, microseconds. A flush costs the processor as much for one batch as for many: when
/// phones crowd in, 500 commits a second leave the cores to the gate; a lone push waits for nobody.
pub const COMMIT_PACE_US: u64 = 2_000;
/// Days without contact after which a phone locks its reads, unless policy says otherwise. A rep's longest trip is a week.
pub const LOCK_AFTER_DAYS: u32 = 14;
