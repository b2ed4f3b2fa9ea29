//! What a restore takes back without anybody having asked for it: tombstones end again what ended, but who was promoted, moved or made a leader
//! since the backup is what they were then. Said twice, by the command and in the log of the first start, so that somebody looks.

use std::fs;
use std::io;
use std::path::Path;

use fieldbook_core::access::Role;
use fieldbook_core::company::{Company, CompanyError};
use jiff::Timestamp;

use super::Manifest;

/// What is undone and what to check, by ids and counts.
///
/// # Errors
/// [`CompanyError`] of the store.
pub(super) fn describe(manifest: &Manifest, company: &Company) -> Result<String, CompanyError> {
    let (users, teams) = (company.users()?, company.teams()?);
    let active: Vec<_> = users.iter().filter(|(_, row)| row.active).collect();
    let with = |role: Role| active.iter().filter(move |(_, row)| row.role == role);
    let admins: Vec<String> = with(Role::Admin).map(|(id, _)| id.to_string()).collect();
    let of = Timestamp::from_second(manifest.created_ms / 1_000)
        .map_or_else(|_| format!("{} ms", manifest.created_ms), |at| at.to_string());
    Ok(format!(
        "people stand as they did at the backup of {of}: {} users, of them {} active, and {} teams. \
         Undone are all roles, teams, names and leaders that were changed since, and people and teams that were added since are gone. \
         Whoever lost rights since has them again: {} directors, {} managers, {} administrators ({}). \
         Before phones reconnect compare /api/users and /api/teams with what was decided since and set it again; \
         add who is gone under the id that they had, by PUT /api/users/ID (docs/operations.md, \"Somebody was added after the backup\").",
        users.len(),
        active.len(),
        teams.len(),
        with(Role::Director).count(),
        with(Role::Manager).count(),
        admins.len(),
        admins.join(", "),
    ))
}

/// Leaves it in the data folder for the next start.
///
/// # Errors
/// What the disk says.
pub(super) fn leave(data_dir: &Path, said: &str) -> io::Result<()> {
    fs::write(data_dir.join(FILE), said)
}

/// What the restore of this data folder has undone, once: for the log of the first start behind it.
///
/// # Errors
/// What the disk says.
pub fn take(data_dir: &Path) -> io::Result<Option<String>> {
    let path = data_dir.join(FILE);
    match fs::read_to_string(&path) {
        Ok(said) => fs::remove_file(&path).map(|()| Some(said)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

const FILE: &str = "restored.txt";
