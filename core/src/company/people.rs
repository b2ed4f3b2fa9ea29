//! People, teams and devices: who is what, who leads whom, which phone is whose, and the first words with a phone.

use std::collections::{BTreeMap, BTreeSet};

use minicbor::{Decode, Encode};
use serde::Serialize;

use super::rows::{ContactRow, decode, encode};
use super::{Company, CompanyError, keys};
use crate::access::{Channel, Person, Role, Ties};
use crate::document::{Edit, Value};
use crate::ids::{DeviceId, DocId, EntryId, TeamId, UserId};
use crate::limits;
use crate::store::{Batch, Direction, Position, Range, Row};
use crate::sync::message::{ChannelState, Fill, Hello, VERSIONS, Welcome, WireCode, WireError};

/// A user of the company.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Encode, Decode)]
pub struct UserRow {
    /// Name as shown to colleagues.
    #[n(0)]
    pub name: String,
    /// What they are.
    #[n(1)]
    pub role: Role,
    /// The team that they belong to.
    #[n(2)]
    pub team: Option<TeamId>,
    /// Whether they may sign in.
    #[n(3)]
    pub active: bool,
}

/// A team.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Encode, Decode)]
pub struct TeamRow {
    /// Name as shown.
    #[n(0)]
    pub name: String,
    /// The team above it.
    #[n(1)]
    pub parent: Option<TeamId>,
    /// Who leads it.
    #[n(2)]
    pub leaders: Vec<UserId>,
}

/// Whether a device may still speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Encode, Decode)]
#[serde(rename_all = "snake_case")]
#[cbor(index_only)]
pub enum DeviceStatus {
    /// In use.
    #[n(0)]
    Active,
    /// Handed in: it may bring what it still holds once, which is held for a person, and is then wiped.
    #[n(1)]
    Revoked,
    /// Reported stolen: it is wiped and heard no more.
    #[n(2)]
    Stolen,
    /// It has been wiped.
    #[n(3)]
    Wiped,
}

/// An enrolled device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Encode, Decode)]
pub struct DeviceRow {
    /// Whose it is, for ever.
    #[n(0)]
    pub user: UserId,
    /// What its user calls it.
    #[n(1)]
    pub name: String,
    /// Whether it may still speak.
    #[n(2)]
    pub status: DeviceStatus,
    /// Server time of the enrolment.
    #[n(3)]
    pub enrolled_ms: i64,
}

/// A device and its user as they stand now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// The device.
    pub device: DeviceId,
    /// Its user, with role and teams led.
    pub person: Person,
    /// Whether the device may still speak.
    pub status: DeviceStatus,
    /// The highest position that the device acknowledged.
    pub acked: Position,
    /// The boot in which the device said hello, and server time minus monotonic time within it, milliseconds (O1).
    pub clock: Option<(u64, i64)>,
    /// The channels that its phone took for its own when it said hello: what its user has lost of them since, the phone did not know of
    /// when it made what it pushes.
    pub believed: BTreeSet<Channel>,
}

/// What a handshake came to.
#[derive(Debug, Clone)]
pub struct Greeting {
    /// The answer.
    pub welcome: Welcome,
    /// Who it is.
    pub principal: Principal,
    /// The channels of the session and how full the phone holds them.
    pub channels: BTreeMap<Channel, Fill>,
    /// Where reading the log begins.
    pub cursor: Position,
    /// The end of the log at the greeting.
    pub head: Position,
}

impl Company {
    /// Adds or changes a user. Documents follow a changed team or role. Returns the channels with news.
    ///
    /// # Errors
    /// [`CompanyError::Unknown`] for a team that does not exist.
    pub fn put_user(&self, id: UserId, row: UserRow, now_ms: i64) -> Result<BTreeSet<Channel>, CompanyError> {
        if let Some(team) = row.team {
            self.team(team)?;
        }
        let values = [
            ("name", Value::from(row.name.as_str())),
            ("role", Value::from(row.role.name())),
            ("team", row.team.map_or(Value::Null, |t| Value::Text(t.to_string()))),
            ("active", Value::Bool(row.active)),
        ];
        let channel = Channel::User(id);
        let entry = Listed { field: "users", id: id.0, followed: Some(channel) };
        let mut touched =
            self.put_listed(keys::user(id), &entry, now_ms, |_| Ok(Some((encode(&row), values.to_vec()))))?;
        touched.extend(self.follow(channel)?);
        Ok(touched)
    }

    /// Adds or changes a team. Returns the channels with news.
    ///
    /// # Errors
    /// [`CompanyError::Unknown`] for a parent that does not exist, [`CompanyError::Refused`] for a circle.
    pub fn put_team(&self, id: TeamId, row: TeamRow, now_ms: i64) -> Result<BTreeSet<Channel>, CompanyError> {
        if let Some(parent) = row.parent {
            self.team(parent)?;
            if self.team_chain(Some(parent))?.contains_key(&id) {
                return Err(CompanyError::Refused(format!("team {id} would be above itself")));
            }
        }
        if self.team(id).is_err() && self.teams()?.len() >= limits::TEAMS_MAX {
            return Err(CompanyError::Refused(format!("a company has at most {} teams", limits::TEAMS_MAX)));
        }
        let leader = row.leaders.first().map_or(Value::Null, |u| Value::Text(u.to_string()));
        let values = [
            ("name", Value::from(row.name.as_str())),
            ("parent", row.parent.map_or(Value::Null, |t| Value::Text(t.to_string()))),
            ("lead", leader),
        ];
        // Moved below another team, it takes along what its people own and what waits in its pool.
        let moved = self.team(id).is_ok_and(|old| old.parent != row.parent);
        let channel = Channel::Team(id);
        let entry = Listed { field: "teams", id: id.0, followed: moved.then_some(channel) };
        let mut touched =
            self.put_listed(keys::team(id), &entry, now_ms, |_| Ok(Some((encode(&row), values.to_vec()))))?;
        if moved {
            touched.extend(self.follow(channel)?);
        }
        Ok(touched)
    }

    /// Enrols a device for a user. Returns the channels with news.
    ///
    /// # Errors
    /// [`CompanyError::Unknown`] for the user, [`CompanyError::Refused`] when the id is taken or the user inactive.
    pub fn put_device(
        &self,
        id: DeviceId,
        user: UserId,
        name: &str,
        now_ms: i64,
    ) -> Result<BTreeSet<Channel>, CompanyError> {
        self.check_active(user)?;
        let row =
            DeviceRow { user, name: name.to_owned(), status: DeviceStatus::Active, enrolled_ms: now_ms };
        self.put_device_row(id, now_ms, |old| match old {
            None if id != self.meta.device => Ok(Some(row.clone())),
            _ => Err(CompanyError::Refused(format!("device {id} is enrolled already"))),
        })
    }

    /// Revokes a device, or reports it stolen. What is stolen stays stolen, and what is wiped is not merely revoked. Returns the channels
    /// with news.
    ///
    /// # Errors
    /// [`CompanyError::Unknown`].
    pub fn set_device_status(
        &self,
        id: DeviceId,
        status: DeviceStatus,
        now_ms: i64,
    ) -> Result<BTreeSet<Channel>, CompanyError> {
        self.put_device_row(id, now_ms, |old| {
            let old = old.ok_or_else(|| CompanyError::Unknown { what: "device", id: id.to_string() })?;
            let stands = old.status == status
                || old.status == DeviceStatus::Stolen
                || (old.status == DeviceStatus::Wiped && status == DeviceStatus::Revoked);
            Ok((!stands).then_some(DeviceRow { status, ..old }))
        })
    }

    fn put_device_row(
        &self,
        id: DeviceId,
        now_ms: i64,
        next: impl Fn(Option<DeviceRow>) -> Result<Option<DeviceRow>, CompanyError>,
    ) -> Result<BTreeSet<Channel>, CompanyError> {
        let key = keys::device(id);
        let entry = Listed { field: "devices", id: id.0, followed: None };
        self.put_listed(key.clone(), &entry, now_ms, |old| {
            let old = old.map(|old| decode(&key, old)).transpose()?;
            let Some(row) = next(old)? else { return Ok(None) };
            let values = vec![
                ("user", Value::Text(row.user.to_string())),
                ("name", Value::from(row.name.as_str())),
                ("revoked", Value::Bool(row.status != DeviceStatus::Active)),
            ];
            Ok(Some((encode(&row), values)))
        })
    }

    /// Refuses somebody who has left.
    ///
    /// # Errors
    /// [`CompanyError::Refused`], [`CompanyError::Unknown`].
    pub(super) fn check_active(&self, user: UserId) -> Result<(), CompanyError> {
        if self.user(user)?.active {
            return Ok(());
        }
        Err(CompanyError::Refused(format!("user {user} is not active")))
    }

    /// Writes a row and its entry in the directory document together, and whose documents have to follow: a server that stops in between
    /// goes on when it starts. `next` gives the row, and what the directory says of it, from the row that is there; `None`: it stays.
    fn put_listed(
        &self,
        key: Vec<u8>,
        entry: &Listed,
        now_ms: i64,
        next: impl Fn(Option<&[u8]>) -> Result<Option<ListedRow>, CompanyError>,
    ) -> Result<BTreeSet<Channel>, CompanyError> {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&entry.id);
        let id = EntryId(id);
        let plan = || {
            let mut batch = Batch::new();
            let old = self.store.get(&key)?;
            let Some((row, values)) = next(old.as_deref())? else { return Ok((batch, BTreeSet::new())) };
            batch.guard(key.clone(), old).put(key.clone(), row.clone());
            if let Some(channel) = entry.followed {
                batch.put(keys::retie(channel), row);
            }
            let directory = self.own(DocId::directory(), None)?;
            let field = entry.field.to_owned();
            let edits = match directory.doc.record(entry.field, id, &crate::document::NoClocks) {
                None => {
                    let values = values.into_iter().filter(|(_, v)| !v.is_null());
                    let values = values.map(|(name, v)| (name.to_owned(), v)).collect();
                    vec![Edit::AddRecord { field, id, values }]
                }
                Some(old) => values
                    .into_iter()
                    .filter(|(name, v)| old.get(*name).unwrap_or(&Value::Null) != v)
                    .map(|(name, value)| Edit::SetRecord {
                        field: field.clone(),
                        id,
                        name: name.to_owned(),
                        value,
                    })
                    .collect(),
            };
            let mut touched = BTreeSet::new();
            if !edits.is_empty() {
                touched = self.plan_own(&mut batch, directory, &edits, &Ties::default(), now_ms)?;
            }
            Ok((batch, touched))
        };
        self.transact(plan).map(|(touched, _)| touched)
    }

    /// Creates the directory and policy documents of a company that has none yet.
    pub(super) fn found_directory(self) -> Result<Self, CompanyError> {
        for doc in [DocId::directory(), DocId::policy()] {
            if self.header(doc)?.is_some() {
                continue;
            }
            let mut batch = Batch::new();
            let own = self.own(doc, None)?;
            self.plan_new(&mut batch, own, &Ties::default())?;
            self.store.commit_one(batch)?;
        }
        Ok(self)
    }

    /// A user.
    ///
    /// # Errors
    /// [`CompanyError::Unknown`].
    pub fn user(&self, id: UserId) -> Result<UserRow, CompanyError> {
        self.row(&keys::user(id), "user", &id.to_string())
    }

    /// A team.
    ///
    /// # Errors
    /// [`CompanyError::Unknown`].
    pub fn team(&self, id: TeamId) -> Result<TeamRow, CompanyError> {
        self.row(&keys::team(id), "team", &id.to_string())
    }

    /// A device.
    ///
    /// # Errors
    /// [`CompanyError::Unknown`].
    pub fn device(&self, id: DeviceId) -> Result<DeviceRow, CompanyError> {
        self.row(&keys::device(id), "device", &id.to_string())
    }

    /// All users, by id.
    ///
    /// # Errors
    /// [`CompanyError`] of the store.
    pub fn users(&self) -> Result<Vec<(UserId, UserRow)>, CompanyError> {
        self.table(keys::USERS, UserId::from_slice)
    }

    /// All teams, by id.
    ///
    /// # Errors
    /// [`CompanyError`] of the store.
    pub fn teams(&self) -> Result<Vec<(TeamId, TeamRow)>, CompanyError> {
        self.table(keys::TEAMS, TeamId::from_slice)
    }

    /// All devices, by id, with the server time of their last contact (0: never).
    ///
    /// # Errors
    /// [`CompanyError`] of the store.
    pub fn devices(&self) -> Result<Vec<(DeviceId, DeviceRow, i64)>, CompanyError> {
        let rows: Vec<(DeviceId, DeviceRow)> = self.table(keys::DEVICES, DeviceId::from_slice)?;
        rows.into_iter().map(|(id, row)| Ok((id, row, self.contact(id)?.last_ms))).collect()
    }

    fn table<K, R: for<'b> Decode<'b, ()>>(
        &self,
        prefix: &[u8],
        id: impl Fn(&[u8]) -> Option<K>,
    ) -> Result<Vec<(K, R)>, CompanyError> {
        let mut out = Vec::new();
        let mut range = Range::prefix(prefix);
        loop {
            let page = self.store.scan(&range, Direction::Forward, limits::SCAN_MAX_ROWS)?;
            let Some((last, _)) = page.last() else { return Ok(out) };
            range = Range::prefix_after(prefix, last);
            for (key, value) in &page {
                if let Some(id) = id(&key[prefix.len()..]) {
                    out.push((id, decode(key, value)?));
                }
            }
        }
    }

    fn row<R: for<'b> Decode<'b, ()>>(
        &self,
        key: &[u8],
        what: &'static str,
        id: &str,
    ) -> Result<R, CompanyError> {
        decode(key, &self.raw_row(key, what, id)?)
    }

    fn raw_row(&self, key: &[u8], what: &'static str, id: &str) -> Result<Vec<u8>, CompanyError> {
        self.store.get(key)?.ok_or_else(|| CompanyError::Unknown { what, id: id.to_owned() })
    }

    /// A person with the teams that they lead.
    ///
    /// # Errors
    /// [`CompanyError::Unknown`].
    pub fn person(&self, id: UserId) -> Result<Person, CompanyError> {
        let role = self.user(id)?.role;
        self.person_of(id, role)
    }

    fn person_of(&self, id: UserId, role: Role) -> Result<Person, CompanyError> {
        let leads = match role {
            Role::Manager => self
                .teams()?
                .into_iter()
                .filter(|(_, team)| team.leaders.contains(&id))
                .map(|(team, _)| team)
                .collect(),
            _ => BTreeSet::new(),
        };
        Ok(Person { user: id, role, leads })
    }

    /// A team and every team above it, with their rows. Bounded against a circle in a damaged store.
    fn team_chain(&self, team: Option<TeamId>) -> Result<BTreeMap<TeamId, Vec<u8>>, CompanyError> {
        let mut chain = BTreeMap::new();
        let mut next = team;
        while let Some(team) = next {
            if chain.contains_key(&team) || chain.len() > limits::CHANNELS_MAX {
                break;
            }
            let key = keys::team(team);
            let raw = self.raw_row(&key, "team", &team.to_string())?;
            next = decode::<TeamRow>(&key, &raw)?.parent;
            chain.insert(team, raw);
        }
        Ok(chain)
    }

    /// Whom a document of these owners belongs to.
    pub(super) fn ties_of(&self, owners: &[UserId], pool: Option<TeamId>) -> Result<Ties, CompanyError> {
        Ok(self.ties_now(owners, pool)?.ties)
    }

    /// Whom a document of these owners belongs to, with the rows that say so, for a batch that must not be written when they change.
    pub(super) fn ties_now(&self, owners: &[UserId], pool: Option<TeamId>) -> Result<TiesNow, CompanyError> {
        let mut found = TiesNow::default();
        found.add_teams(self.team_chain(pool)?);
        for owner in owners {
            let key = keys::user(*owner);
            let raw = self.raw_row(&key, "user", &owner.to_string())?;
            let row: UserRow = decode(&key, &raw)?;
            found.ties.owners.insert((*owner, row.role));
            found.rows.insert(key, raw);
            found.add_teams(self.team_chain(row.team)?);
        }
        Ok(found)
    }

    pub(super) fn contact(&self, device: DeviceId) -> Result<ContactRow, CompanyError> {
        let key = keys::contact(device);
        self.store.get(&key)?.map_or(Ok(ContactRow::default()), |value| decode(&key, &value))
    }

    /// A device and its user as they stand now.
    ///
    /// # Errors
    /// [`CompanyError::Unknown`] for the device.
    pub fn principal(&self, device: DeviceId) -> Result<Principal, CompanyError> {
        let (principal, _) = self.principal_with_rows(device)?;
        Ok(Principal { acked: self.contact(device)?.acked, ..principal })
    }

    /// As [`Company::principal`], but for what the device acknowledged, with the rows of device and user that say so.
    pub(super) fn principal_with_rows(
        &self,
        device: DeviceId,
    ) -> Result<(Principal, [Row; 2]), CompanyError> {
        let device_key = keys::device(device);
        let device_row = self.raw_row(&device_key, "device", &device.to_string())?;
        let row: DeviceRow = decode(&device_key, &device_row)?;
        let user_key = keys::user(row.user);
        let user_row = self.raw_row(&user_key, "user", &row.user.to_string())?;
        let user: UserRow = decode(&user_key, &user_row)?;
        let left = row.status == DeviceStatus::Active && !user.active;
        let status = if left { DeviceStatus::Revoked } else { row.status };
        let person = self.person_of(row.user, user.role)?;
        let principal =
            Principal { device, person, status, acked: 0, clock: None, believed: BTreeSet::new() };
        Ok((principal, [(device_key, device_row), (user_key, user_row)]))
    }

    /// Answers a phone's first message. The token was checked by the shell, which passes the device that it names.
    ///
    /// # Errors
    /// `Ok(Err(_))` is the answer to the phone when it may not go on; `Err` is the store's.
    pub fn greet(
        &self,
        device: DeviceId,
        hello: &Hello,
        now_ms: i64,
    ) -> Result<Result<Greeting, WireError>, CompanyError> {
        let (oldest, newest) = hello.versions;
        let version = newest.min(VERSIONS.1);
        if version < VERSIONS.0 || version < oldest {
            let detail = format!("this server speaks {} to {}", VERSIONS.0, VERSIONS.1);
            return Ok(Err(WireError { code: WireCode::Version, detail }));
        }
        // The hello was on its way for a moment; what that costs is far below the doubt that anybody minds.
        let clock = Some((hello.boot, now_ms.saturating_sub_unsigned(hello.mono_ms)));
        let principal = match self.principal(device) {
            Ok(principal) => Principal { clock, ..principal },
            Err(CompanyError::Unknown { .. }) => {
                return Ok(Err(device_error("this device is not enrolled here")));
            }
            Err(other) => return Err(other),
        };
        if hello.channels.len() > 2 * limits::CHANNELS_MAX {
            return Ok(Err(WireError { code: WireCode::Malformed, detail: "too many channels".into() }));
        }
        let contact = self.contact(device)?;
        let head = self.store.head()?;
        let quarantine_only = principal.status != DeviceStatus::Active;
        let (cursor, fallback) = match self.place(hello, head) {
            // Whoever is heard for the last time reads nothing, and must not be turned away over where it would go on reading.
            _ if quarantine_only => (head, None),
            Ok(place) => place,
            Err(refused) => return Ok(Err(refused)),
        };
        // A store that was restored or cloned gives itself away: the server answered pushes that it never made.
        let (incarnation, pushed) = self.newest_answer(device)?;
        let behind =
            hello.incarnation < incarnation || (hello.incarnation == incarnation && hello.pushed < pushed);
        let rotate_to = behind.then(|| incarnation.saturating_add(1));
        self.note_contact(device, hello, &contact, now_ms)?;
        let principal = self.note_farewell(principal)?;
        let (channels, believed) = if quarantine_only {
            (BTreeMap::new(), BTreeSet::new())
        } else {
            // The restored server may have forgotten moves that the phone followed: everything is filled anew.
            let granted = self.grant(device, &principal.person)?;
            let channels = session_channels(&principal.person, &granted, &hello.channels, fallback.is_some());
            let kept = hello.channels.iter().filter(|known| {
                matches!(known.fill, Fill::Complete | Fill::Upto(_)) && granted.contains(&known.channel)
            });
            let believed = kept.map(|known| known.channel).chain(principal.person.channels()).collect();
            (channels, believed)
        };
        let principal = Principal { believed, ..principal };
        let welcome = Welcome {
            version,
            epoch: self.meta.epoch,
            fallback,
            now_ms,
            device,
            user: principal.person.user,
            role: principal.person.role,
            rotate_to,
            lock_after_days: self.lock_after_days,
            quarantine_only,
            channels: if quarantine_only {
                Vec::new()
            } else {
                principal.person.channels().into_iter().collect()
            },
        };
        Ok(Ok(Greeting { welcome, principal, channels, cursor, head }))
    }

    /// Where a phone's cursor stands in this log, and where it falls back to when the log was restored.
    fn place(&self, hello: &Hello, head: Position) -> Result<(Position, Option<Position>), WireError> {
        if hello.epoch == 0 {
            // What a phone made before it ever heard of its server may have been pushed on a connection that broke, and moved since.
            return Ok((if hello.pushed > 0 { 0 } else { head }, None));
        }
        if hello.epoch == self.meta.epoch {
            if hello.cursor > head {
                let detail = format!("cursor {} is ahead of the log at {head}", hello.cursor);
                return Err(WireError { code: WireCode::Cursor, detail });
            }
            return Ok((hello.cursor, None));
        }
        let known =
            self.meta.past.iter().find(|(epoch, _)| *epoch == hello.epoch).map_or(0, |(_, upto)| *upto);
        Ok((hello.cursor.min(known), Some(known)))
    }

    /// The channels that a device was ever granted, these of its user now included; remembered before the first byte of a new one goes out.
    fn grant(&self, device: DeviceId, person: &Person) -> Result<BTreeSet<Channel>, CompanyError> {
        let mut granted = self.granted(device)?;
        let before = granted.len();
        granted.extend(person.channels());
        if granted.len() > before {
            let mut batch = Batch::new();
            batch.put(keys::granted(device), encode(&granted.iter().copied().collect::<Vec<_>>()));
            self.store.commit_one(batch)?;
        }
        Ok(granted)
    }

    /// The channels that a device was ever granted.
    pub(super) fn granted(&self, device: DeviceId) -> Result<BTreeSet<Channel>, CompanyError> {
        let key = keys::granted(device);
        let stored: Vec<Channel> =
            self.store.get(&key)?.map_or(Ok(Vec::new()), |value| decode(&key, &value))?;
        Ok(stored.into_iter().collect())
    }

    /// Incarnation and id of the newest push of a device that was answered.
    fn newest_answer(&self, device: DeviceId) -> Result<(u32, u64), CompanyError> {
        let range = Range::prefix(&keys::answered_by(device));
        let newest = self.store.scan(&range, Direction::Backward, 1)?;
        Ok(newest.first().and_then(|(key, _)| keys::parse_answered(key)).unwrap_or((0, 0)))
    }

    /// A revoked device is heard once; connections break, so it may come a few times to say it. One that never ends is wiped unheard.
    fn note_farewell(&self, principal: Principal) -> Result<Principal, CompanyError> {
        if principal.status != DeviceStatus::Revoked {
            return Ok(principal);
        }
        let (farewells, _) = self.transact(|| {
            let key = keys::contact(principal.device);
            let old = self.store.get(&key)?;
            let mut contact: ContactRow =
                old.as_deref().map_or(Ok(Default::default()), |v| decode(&key, v))?;
            contact.farewells = contact.farewells.saturating_add(1);
            let mut batch = Batch::new();
            batch.guard(key.clone(), old).put(key, encode(&contact));
            Ok((batch, contact.farewells))
        })?;
        let status =
            if farewells > limits::FAREWELLS_MAX { DeviceStatus::Wiped } else { DeviceStatus::Revoked };
        Ok(Principal { status, ..principal })
    }

    fn note_contact(
        &self,
        device: DeviceId,
        hello: &Hello,
        old: &ContactRow,
        now_ms: i64,
    ) -> Result<(), CompanyError> {
        // The time of a contact is worth a flush a minute, not one a reconnect.
        if now_ms.saturating_sub(old.last_ms) < CONTACT_FLUSH_MS {
            return Ok(());
        }
        let new = ContactRow { last_ms: now_ms, skew_ms: hello.wall_ms.saturating_sub(now_ms), ..*old };
        let mut batch = Batch::new();
        batch.guard(keys::contact(device), self.store.get(&keys::contact(device))?);
        batch.put(keys::contact(device), encode(&new));
        // When the guard fails somebody else noted a contact just now.
        self.store.commit_one(batch)?;
        Ok(())
    }

    /// Plans the record of an acknowledgement: everything up to `at` is known to the phone's user.
    ///
    /// # Errors
    /// [`CompanyError`] of the store.
    pub fn plan_ack(
        &self,
        device: DeviceId,
        at: Position,
        now_ms: i64,
    ) -> Result<Option<Batch>, CompanyError> {
        let mut contact = self.contact(device)?;
        let at = at.min(self.store.head()?);
        if at <= contact.acked {
            return Ok(None);
        }
        contact.acked = at;
        contact.last_ms = now_ms;
        let mut batch = Batch::new();
        batch.put(keys::contact(device), encode(&contact));
        // Of the answered pushes only the newest says something.
        let range = Range::prefix(&keys::answered_by(device));
        let answered = self.store.scan(&range, Direction::Forward, limits::SCAN_MAX_ROWS)?;
        if let Some((_, older)) = answered.split_last() {
            for (key, _) in older {
                batch.delete(key.clone());
            }
        }
        Ok(Some(batch))
    }
}

/// Whom a document belongs to, and the rows of people and teams from which that follows.
#[derive(Debug, Clone, Default)]
pub(super) struct TiesNow {
    pub ties: Ties,
    rows: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl TiesNow {
    fn add_teams(&mut self, chain: BTreeMap<TeamId, Vec<u8>>) {
        self.ties.teams.extend(chain.keys());
        self.rows.extend(chain.into_iter().map(|(team, raw)| (keys::team(team), raw)));
    }

    /// Demands of a batch that nothing of it has changed.
    pub fn guard(&self, batch: &mut Batch) {
        for (key, raw) in &self.rows {
            batch.guard(key.clone(), Some(raw.clone()));
        }
    }
}

/// An entry of the directory document.
struct Listed {
    field: &'static str,
    id: [u8; 8],
    /// The channel whose documents have to follow.
    followed: Option<Channel>,
}

/// A row, and what the directory says of it.
type ListedRow = (Vec<u8>, Vec<(&'static str, Value)>);

/// How stale the stored time of the last contact may be.
const CONTACT_FLUSH_MS: i64 = 60_000;

/// The channels of a session: what the person may hold, as full as the phone says, and what the phone has to give back.
/// Only channels that the device was granted once are given back document by document: a list of documents is itself something to know.
fn session_channels(
    person: &Person,
    granted: &BTreeSet<Channel>,
    held: &[ChannelState],
    anew: bool,
) -> BTreeMap<Channel, Fill> {
    let may = person.channels();
    let mut channels: BTreeMap<Channel, Fill> =
        may.iter().map(|channel| (*channel, Fill::Upto(None))).collect();
    for state in held {
        let fill = match (may.contains(&state.channel), state.fill) {
            (true, Fill::Complete | Fill::Upto(_)) if anew => Fill::Upto(None),
            (true, fill @ (Fill::Complete | Fill::Upto(_))) => fill,
            // It was being given back and is allowed again: what was wiped has to come anew.
            (true, Fill::Leaving(_) | Fill::Left) => Fill::Upto(None),
            (false, Fill::Left) => continue,
            (false, _) if !granted.contains(&state.channel) => Fill::Left,
            (false, fill @ Fill::Leaving(_)) => fill,
            (false, Fill::Complete | Fill::Upto(_)) => Fill::Leaving(None),
        };
        channels.insert(state.channel, fill);
    }
    channels
}

fn device_error(detail: &str) -> WireError {
    WireError { code: WireCode::Device, detail: detail.to_owned() }
}

#[cfg(test)]
mod tests;
