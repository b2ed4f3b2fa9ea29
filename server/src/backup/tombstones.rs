//! Tombstones: what was ended for good, in a file of its own beside the store (design decision 6). A backup holds none of it, so that a
//! restore cannot bring back what ended after the backup: a stolen phone, somebody who left, a used code, a leaked key.
//!
//! One act a line, `time what … checksum`, appended and synced **before** the store hears of the act: a crash in between ends more than was
//! answered, never less. A last line without its end was never answered and is cut off; any other bad line is damage, and said.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use fieldbook_core::ids::{DeviceId, EntryId, UserId};
use fieldbook_core::store::StoreError;
use sha2::{Digest, Sha256};

use crate::auth::{CodeId, FamilyId, Kid};

/// Something that ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tombstone {
    /// A device was revoked, or reported stolen.
    Device {
        /// Which.
        device: DeviceId,
        /// Reported stolen: it is not even heard.
        stolen: bool,
    },
    /// A user was set inactive, or active again: the last line of a user holds.
    User {
        /// Who.
        user: UserId,
        /// Whether they may sign in from now on.
        active: bool,
    },
    /// A one-time code was redeemed or revoked.
    Code(CodeId),
    /// A signing key, or the key of the refresh tokens, is trusted no longer.
    Key(Kid),
    /// A sign-in was revoked, or another one took its place.
    SignIn(DeviceId, FamilyId),
    /// The key of another system was revoked.
    IntakeKey(EntryId),
}

/// Why a file of tombstones cannot be used. Nothing is passed over in silence: a line that is lost is a phone that comes back.
#[derive(Debug, thiserror::Error)]
pub enum TombstoneError {
    /// The disk.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A line is not what was written.
    #[error("{path}:{line}: this tombstone is damaged, or of a newer version")]
    Line {
        /// The file.
        path: PathBuf,
        /// Line, from 1.
        line: usize,
    },
}

/// The tombstones of a running company.
pub struct Tombstones {
    file: File,
    path: PathBuf,
    state: Mutex<State>,
}

struct State {
    /// Bytes of whole lines; what a failed write left behind them is overwritten.
    bytes: u64,
    devices: BTreeSet<DeviceId>,
    /// Users whose last line says that they left.
    left: BTreeSet<UserId>,
}

impl State {
    fn note(&mut self, stone: Tombstone) {
        match stone {
            Tombstone::Device { device, .. } => {
                self.devices.insert(device);
            }
            Tombstone::User { user, active: false } => {
                self.left.insert(user);
            }
            Tombstone::User { user, active: true } => {
                self.left.remove(&user);
            }
            Tombstone::Code(_) | Tombstone::Key(_) | Tombstone::SignIn(..) | Tombstone::IntakeKey(_) => {}
        }
    }
}

impl Tombstones {
    /// Opens the file of a data folder, and makes it when there is none: a server that ended nothing yet can say so.
    ///
    /// # Errors
    /// [`TombstoneError`].
    pub fn open(data_dir: &Path) -> Result<Self, TombstoneError> {
        let path = data_dir.join(FILE);
        let failed = |source| TombstoneError::Io { path: path.clone(), source };
        fs::create_dir_all(data_dir).map_err(failed)?;
        let mut open = OpenOptions::new();
        let file = open.create(true).truncate(false).write(true).mode(0o600).open(&path).map_err(failed)?;
        super::sync_parent(&path).map_err(failed)?;
        let (lines, bytes) = read_whole(&path)?;
        let mut state = State { bytes, devices: BTreeSet::new(), left: BTreeSet::new() };
        lines.into_iter().for_each(|(_, stone)| state.note(stone));
        Ok(Self { file, path, state: Mutex::new(state) })
    }

    /// Writes a tombstone, durable when this returns.
    ///
    /// # Errors
    /// [`StoreError::Io`]; the act must then not be carried out.
    pub fn bury(&self, stone: Tombstone, now_ms: i64) -> Result<(), StoreError> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.append(&mut state, &line(stone, now_ms))
            .map_err(|e| StoreError::Io(format!("{}: {e}", self.path.display())))?;
        state.note(stone);
        Ok(())
    }

    /// Whether this user was set inactive and not active again since, known to the store or not.
    pub fn has_user(&self, user: UserId) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).left.contains(&user)
    }

    /// Whether this device was ended once, known to the store or not: a device that was enrolled and stolen after the backup is not.
    pub fn has_device(&self, device: DeviceId) -> bool {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).devices.contains(&device)
    }

    fn append(&self, state: &mut State, line: &str) -> io::Result<()> {
        self.file.set_len(state.bytes)?;
        self.file.write_all_at(line.as_bytes(), state.bytes)?;
        self.file.sync_all()?;
        state.bytes += line.len() as u64;
        Ok(())
    }
}

/// Where a data folder has its tombstones; `from` is the folder or the file itself.
pub fn file_of(from: &Path) -> PathBuf {
    if from.is_dir() { from.join(FILE) } else { from.to_owned() }
}

/// All tombstones of a file, oldest first; none when there is no file.
///
/// # Errors
/// [`TombstoneError`].
pub fn read(path: &Path) -> Result<Vec<(i64, Tombstone)>, TombstoneError> {
    read_whole(path).map(|(stones, _)| stones)
}

/// Writes a whole file of tombstones into a data folder, in the place of the one there is.
///
/// # Errors
/// What the disk says.
pub fn write_all(data_dir: &Path, stones: &[(i64, Tombstone)]) -> io::Result<()> {
    let text: String = stones.iter().map(|(at_ms, stone)| line(*stone, *at_ms)).collect();
    let (path, partial) = (data_dir.join(FILE), data_dir.join(format!("{FILE}.partial")));
    fs::write(&partial, text)?;
    File::open(&partial)?.sync_all()?;
    fs::rename(&partial, &path)?;
    super::sync_parent(&path)
}

fn read_whole(path: &Path) -> Result<(Vec<(i64, Tombstone)>, u64), TombstoneError> {
    let bytes = match fs::read(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok((Vec::new(), 0)),
        other => other.map_err(|source| TombstoneError::Io { path: path.to_owned(), source })?,
    };
    // What stands behind the last line's end was being written when the power went.
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let mut stones = Vec::new();
    for (at, line) in bytes[..whole].split_inclusive(|byte| *byte == b'\n').enumerate() {
        let stone = std::str::from_utf8(line).ok().and_then(parse);
        stones.push(stone.ok_or_else(|| TombstoneError::Line { path: path.to_owned(), line: at + 1 })?);
    }
    Ok((stones, whole as u64))
}

fn line(stone: Tombstone, now_ms: i64) -> String {
    let said = format!("{now_ms} {stone}");
    format!("{said} {}\n", checksum(&said))
}

fn parse(line: &str) -> Option<(i64, Tombstone)> {
    let (said, sum) = line.strip_suffix('\n')?.rsplit_once(' ')?;
    if sum != checksum(said) {
        return None;
    }
    let words: Vec<&str> = said.split(' ').collect();
    let (at_ms, what) = words.split_first()?;
    let stone = match what {
        ["device", device, how @ ("revoked" | "stolen")] => {
            Tombstone::Device { device: device.parse().ok()?, stolen: *how == "stolen" }
        }
        ["user", user, how @ ("inactive" | "active")] => {
            Tombstone::User { user: user.parse().ok()?, active: *how == "active" }
        }
        ["code", code] => Tombstone::Code(code.parse().ok()?),
        ["key", kid] => Tombstone::Key(Kid::parse(kid)?),
        ["sign-in", device, family] => Tombstone::SignIn(device.parse().ok()?, FamilyId::parse(family)?),
        ["intake-key", key] => Tombstone::IntakeKey(key.parse().ok()?),
        _ => return None,
    };
    Some((at_ms.parse().ok()?, stone))
}

impl fmt::Display for Tombstone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Device { device, stolen: true } => write!(f, "device {device} stolen"),
            Self::Device { device, stolen: false } => write!(f, "device {device} revoked"),
            Self::User { user, active: true } => write!(f, "user {user} active"),
            Self::User { user, active: false } => write!(f, "user {user} inactive"),
            Self::Code(code) => write!(f, "code {code}"),
            Self::Key(kid) => write!(f, "key {kid}"),
            Self::SignIn(device, family) => write!(f, "sign-in {device} {family}"),
            Self::IntakeKey(key) => write!(f, "intake-key {key}"),
        }
    }
}

fn checksum(said: &str) -> String {
    hex::encode(&Sha256::digest(said.as_bytes())[..8])
}

/// The file's name in a data folder.
pub const FILE: &str = "tombstones";

#[cfg(test)]
mod tests {
    use super::*;

    const DEVICE: DeviceId = DeviceId([3; 8]);
    const USER: UserId = UserId([4; 8]);

    fn stones() -> Vec<(i64, Tombstone)> {
        let all = [
            Tombstone::Device { device: DEVICE, stolen: false },
            Tombstone::Device { device: DEVICE, stolen: true },
            Tombstone::User { user: USER, active: false },
            Tombstone::User { user: USER, active: true },
            Tombstone::Code(CodeId([5; 5])),
            Tombstone::Key(Kid([6; 8])),
            Tombstone::SignIn(DEVICE, FamilyId([7; 16])),
            Tombstone::IntakeKey(EntryId([8; 16])),
        ];
        (1..).zip(all).collect()
    }

    #[test]
    fn every_tombstone_comes_back_from_the_file_and_a_device_is_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let open = Tombstones::open(folder.path()).unwrap();
        assert!(!open.has_device(DEVICE));
        for (at_ms, stone) in stones() {
            open.bury(stone, at_ms).unwrap();
        }
        assert!(open.has_device(DEVICE));
        assert_eq!(read(&file_of(folder.path())).unwrap(), stones());
        let again = Tombstones::open(folder.path()).unwrap();
        assert!(again.has_device(DEVICE) && !again.has_user(USER), "the last line of a user holds");
        again.bury(Tombstone::User { user: USER, active: false }, 9).unwrap();
        assert!(again.has_user(USER) && Tombstones::open(folder.path()).unwrap().has_user(USER));
    }

    #[test]
    fn a_torn_last_line_is_cut_off_and_the_next_one_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        let (first, second) = (stones()[0], stones()[2]);
        let (whole, torn) = (line(first.1, first.0), line(second.1, second.0));
        for cut in 1..torn.len() {
            fs::write(&path, format!("{whole}{}", &torn[..cut])).unwrap();
            assert_eq!(read(&path).unwrap(), [first], "{cut}");
            Tombstones::open(folder.path()).unwrap().bury(second.1, second.0).unwrap();
            assert_eq!(read(&path).unwrap(), [first, second], "{cut}");
        }
    }

    #[test]
    fn a_damaged_or_foreign_line_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        let good = line(stones()[0].1, 1);
        let newer = "1 planet mars".to_owned();
        let newer = format!("{newer} {}\n", checksum(&newer));
        for bad in [good.replace("revoked", "stolen"), "\n".to_owned(), newer] {
            fs::write(&path, format!("{good}{bad}{good}")).unwrap();
            let refused = read(&path).unwrap_err().to_string();
            assert!(refused.contains("tombstones:2: "), "{refused}");
            assert!(Tombstones::open(folder.path()).is_err());
        }
    }
}
