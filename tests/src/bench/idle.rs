//! Row 6: what a phone costs the server that is connected and says nothing.

use std::time::Duration;

use fieldbook_core::access::Role;
use fieldbook_core::store::Store;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustls::pki_types::CertificateDer;

use crate::firm::{Firm, Member};
use crate::light::{Light, Standing};
use crate::server::Server;
use crate::table::{Row, number};
use crate::{Fail, Plan, say};

/// Measures the row.
///
/// # Errors
/// Whatever stops it.
pub fn run(plan: &Plan) -> Result<Vec<Row>, Fail> {
    let wanted = plan.size(5_000, 200);
    raise_open_files(wanted as u64 + 500)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let plain = runtime.block_on(look(plan, wanted, false))?;
    let tls = runtime.block_on(look(plan, wanted, true))?;
    Ok(vec![
        Row::at_most("Memory of an idle connection on the server, 5,000 connections", plain.kb, "KB", 40.0)
            .note(plain.words()),
        Row::beside("The same over TLS", tls.kb, "KB").note(tls.words()),
    ])
}

struct Seen {
    kb: f64,
    before_mb: f64,
    after_mb: f64,
    connections: usize,
    devices: usize,
}

impl Seen {
    fn words(&self) -> String {
        format!(
            "resident memory of the server's process {} MB before, {} MB with {} greeted and caught-up connections of {} devices; the kernel's socket buffers are not in it",
            number(self.before_mb),
            number(self.after_mb),
            number(self.connections as f64),
            number(self.devices as f64)
        )
    }
}

async fn look(plan: &Plan, wanted: usize, with_tls: bool) -> Result<Seen, Fail> {
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
    let devices = plan.size(250, 20);
    let mut members = Vec::with_capacity(devices);
    for number in 0..devices as u64 {
        members.push(office.hire(number + 2, Role::Rep)?);
    }
    let standing = Standing { epoch: office.company().epoch(), cursor: office.company().store().head()? };
    office.close()?;
    let server = Server::start(&firm)?;
    // What a first connection makes the server keep for good is not the connection's.
    let warm = connect(&firm, root.as_ref(), &members, standing, members.len()).await?;
    drop(warm);
    settle().await;
    let before = server.memory_bytes()?;
    let open = connect(&firm, root.as_ref(), &members, standing, wanted).await?;
    settle().await;
    let after = server.memory_bytes()?;
    let kb = (after - before) / 1_024.0 / open.len() as f64;
    say(&format!("  {} connections, TLS {with_tls}: {} KB each", open.len(), number(kb)));
    let seen = Seen { kb, before_mb: before / 1e6, after_mb: after / 1e6, connections: open.len(), devices };
    drop(open);
    server.stop()?;
    Ok(seen)
}

async fn connect(
    firm: &Firm,
    root: Option<&CertificateDer<'static>>,
    members: &[Member],
    standing: Standing,
    count: usize,
) -> Result<Vec<Light>, Fail> {
    let dial = |at: usize| Light::connect(firm.port, root, &members[at % members.len()], standing, 0);
    stream::iter(0..count).map(dial).buffer_unordered(AT_ONCE).try_collect().await
}

/// Lets the server finish what it does for connections that came or went.
async fn settle() {
    tokio::time::sleep(Duration::from_secs(2)).await;
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

/// Connections that are being made at a time.
const AT_ONCE: usize = 32;
