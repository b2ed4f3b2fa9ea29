//! Row 6: what a phone costs the server that is connected and says nothing. Every connection is of a device of its own, each of which holds
//! leads; the server has just been started, and none of them was connected before.

use std::time::Duration;

use fieldbook_core::access::Role;
use fieldbook_core::store::Store;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustls::pki_types::CertificateDer;

use crate::firm::{Firm, Member};
use crate::light::{Light, Standing};
use crate::server::Server;
use crate::table::{Row, number, worst};
use crate::{Fail, Plan, say};

/// Measures the row.
///
/// # Errors
/// Whatever stops it.
pub fn run(plan: &Plan) -> Result<Vec<Row>, Fail> {
    let wanted = plan.size(5_000, 200);
    raise_open_files(wanted as u64 + 500)?;
    let extra = plan.size(250, 20);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let plain = runtime.block_on(look(plan, wanted, extra, false))?;
    let tls = runtime.block_on(look(plan, wanted, extra, true))?;
    Ok(vec![
        Row::at_most("Memory of an idle connection on the server, 5,000 connections", plain.kb, "KB", 40.0)
            .note(plain.words()),
        Row::beside("The same over TLS", tls.kb, "KB").note(tls.words()),
    ])
}

struct Seen {
    /// The worse of both ways to count.
    kb: f64,
    start_mb: f64,
    warm_mb: f64,
    after_mb: f64,
    connections: usize,
    warmed: usize,
}

impl Seen {
    fn words(&self) -> String {
        format!(
            "memory without a file behind it (RssAnon + RssShmem) of the server's process and its gate workers: {} MB before any phone came, {} MB after {} connections had come and gone, {} MB with {} greeted and caught-up connections of as many devices; the lower of the first two is subtracted. The kernel's socket buffers are not in it",
            number(self.start_mb),
            number(self.warm_mb),
            number(self.warmed as f64),
            number(self.after_mb),
            number(self.connections as f64)
        )
    }
}

async fn look(plan: &Plan, wanted: usize, warmed: usize, with_tls: bool) -> Result<Seen, Fail> {
    let mut firm = Firm::found(&plan.scratch)?;
    let root = if with_tls {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
        let (cert, key) = (firm.folder().join("cert.pem"), firm.folder().join("key.pem"));
        std::fs::write(&cert, made.cert.pem())?;
        std::fs::write(&key, made.signing_key.serialize_pem())?;
        firm = firm.with_tls(&cert, &key);
        Some(made.cert.der().clone())
    } else {
        None
    };
    let office = firm.open()?;
    office.hire(1, Role::Manager)?;
    let mut members = Vec::with_capacity(wanted + warmed);
    for number in 0..(wanted + warmed).div_ceil(PHONES) as u64 {
        let rep = office.hire(number + 2, Role::Rep)?;
        office.intake(rep.user, LEADS, number)?;
        for _ in 1..PHONES {
            members.push(office.hand_out(rep.user, Role::Rep)?);
        }
        members.push(rep);
    }
    let standing = Standing { epoch: office.company().epoch(), cursor: office.company().store().head()? };
    office.close()?;
    let server = Server::start(&firm)?;
    let start = settled(&server).await?;
    // What a first connection makes the server keep for good is not the connection's; but what connections left behind, later ones find.
    let (first, others) = members.split_at(warmed);
    drop(connect(&firm, root.as_ref(), first, standing).await?);
    let warm = settled(&server).await?;
    let open = connect(&firm, root.as_ref(), &others[..wanted], standing).await?;
    let after = settled(&server).await?;
    let each = |before: f64| (after - before) / 1_024.0 / open.len() as f64;
    let kb = worst(&[each(start), each(warm)]);
    say(&format!("  {} connections, TLS {with_tls}: {} KB each", open.len(), number(kb)));
    let seen = Seen {
        kb,
        start_mb: start / 1e6,
        warm_mb: warm / 1e6,
        after_mb: after / 1e6,
        connections: open.len(),
        warmed,
    };
    drop(open);
    server.stop()?;
    Ok(seen)
}

async fn connect(
    firm: &Firm,
    root: Option<&CertificateDer<'static>>,
    members: &[Member],
    standing: Standing,
) -> Result<Vec<Light>, Fail> {
    let dial = |member| Light::connect(firm.port, root, member, standing, 0);
    stream::iter(members).map(dial).buffer_unordered(AT_ONCE).try_collect().await
}

/// The server's memory when it has finished what it does for connections that came or went: when it has stayed the same for a while.
async fn settled(server: &Server) -> Result<f64, Fail> {
    let (mut memory, mut same) = (server.memory_bytes()?, 0);
    for _ in 0..LOOKS_MOST {
        tokio::time::sleep(LOOK).await;
        let now = server.memory_bytes()?;
        same = if (now - memory).abs() < STEADY_BYTES { same + 1 } else { 0 };
        memory = now;
        if same == LOOKS_SAME {
            break;
        }
    }
    Ok(memory)
}

/// Every connection is a file here, and one in the server, which inherits the limit.
fn raise_open_files(wanted: u64) -> Result<(), Fail> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|now| now < wanted) {
        if limit.maximum.is_some_and(|most| most < wanted) {
            return Err(format!(
                "this machine lets a process open {:?} files; {wanted} are needed",
                limit.maximum
            )
            .into());
        }
        setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })?;
    }
    Ok(())
}

/// Phones of a rep: the company of 5,000 connections has 250 reps.
const PHONES: usize = 20;
/// Leads that each rep, and so each of the phones, holds.
const LEADS: usize = 4;
const LOOK: Duration = Duration::from_millis(100);
const LOOKS_SAME: usize = 10;
const LOOKS_MOST: usize = 100;
const STEADY_BYTES: f64 = 64.0 * 1_024.0;
/// Connections that are being made at a time.
const AT_ONCE: usize = 32;
