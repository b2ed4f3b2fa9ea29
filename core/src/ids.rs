//! Identifiers: fixed-size bytes on the wire, lower-case hex on screens and in logs.
//!
//! No identifier is drawn here: core has no randomness. Fresh ids come from the [`crate::time::Act`] that the
//! caller passes in, derived ids are hashed from what they belong to.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

/// Text that is not the identifier it was parsed as.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a valid {expected}: {text:?}")]
pub struct ParseIdError {
    expected: &'static str,
    text: String,
}

macro_rules! byte_id {
    ($(#[$doc:meta])* $name:ident, $len:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub [u8; $len]);

        impl $name {
            /// Bytes on the wire.
            pub const LEN: usize = $len;

            /// The bytes of this id.
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }

            /// Reads the id from a slice of exactly the right length.
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let mut bytes = [0u8; $len];
                hex::decode_to_slice(text, &mut bytes).map_err(|_| ParseIdError {
                    expected: stringify!($name),
                    text: text.chars().take(64).collect(),
                })?;
                Ok(Self(bytes))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl<C> minicbor::Encode<C> for $name {
            fn encode<W: minicbor::encode::Write>(
                &self,
                e: &mut minicbor::Encoder<W>,
                _: &mut C,
            ) -> Result<(), minicbor::encode::Error<W::Error>> {
                e.bytes(&self.0)?.ok()
            }
        }

        impl<'b, C> minicbor::Decode<'b, C> for $name {
            fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
                let bytes = d.bytes()?;
                Self::from_slice(bytes)
                    .ok_or_else(|| minicbor::decode::Error::message(concat!("wrong length for ", stringify!($name))))
            }
        }
    };
}

byte_id!(
    /// A document. The first byte is its [`DocKind`], the other fifteen are random (lead, account) or a hash of
    /// (kind, parent, key), so that two phones without signal create the same derived document.
    DocId,
    16
);
byte_id!(
    /// A person of the company.
    UserId,
    8
);
byte_id!(
    /// A phone (or a server process) that may write documents.
    DeviceId,
    8
);
byte_id!(
    /// A team; teams form a tree, a region is a team with teams below it.
    TeamId,
    8
);
byte_id!(
    /// One entry of a log, one contact, one todo, one calendar entry: unique for ever (O6).
    EntryId,
    16
);
byte_id!(
    /// SHA-256 of a piece of evidence (O5) or of an automerge change.
    Hash32,
    32
);

/// The kinds of document of design decision 3. The discriminant is the first byte of every [`DocId`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum DocKind {
    /// 客户: a customer, its contacts and decision chain.
    Account = 1,
    /// 线索: a lead, written by whoever works it.
    Lead = 2,
    /// 裁定: what the server alone decides about a lead (owner, first source, confirmed stage).
    Ruling = 3,
    /// 采购推进表: the advancement table of a lead (C55).
    Advancement = 4,
    /// 财务: amounts that the field never reads (C89).
    Finance = 5,
    /// 售后: the service view of a lead (C79, C89).
    Service = 6,
    /// 销售日历: the entries of one user and month (C58, C59).
    Calendar = 7,
    /// 公司规则: the versioned policy (O13).
    Policy = 8,
    /// 通讯录: users, teams and devices by name.
    Directory = 9,
    /// 话术库: talk packs and lost deals, cached on the phone (C38, C94).
    Playbook = 10,
}

impl DocKind {
    /// Every kind, in the order of its discriminant.
    pub const ALL: [DocKind; 10] = [
        DocKind::Account,
        DocKind::Lead,
        DocKind::Ruling,
        DocKind::Advancement,
        DocKind::Finance,
        DocKind::Service,
        DocKind::Calendar,
        DocKind::Policy,
        DocKind::Directory,
        DocKind::Playbook,
    ];

    /// The kind with this discriminant.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == code)
    }

    /// Lower-case English name, as in logs and in the OpenAPI document.
    pub fn name(self) -> &'static str {
        match self {
            DocKind::Account => "account",
            DocKind::Lead => "lead",
            DocKind::Ruling => "ruling",
            DocKind::Advancement => "advancement",
            DocKind::Finance => "finance",
            DocKind::Service => "service",
            DocKind::Calendar => "calendar",
            DocKind::Policy => "policy",
            DocKind::Directory => "directory",
            DocKind::Playbook => "playbook",
        }
    }
}

impl DocId {
    /// A document with fresh random bytes: an account or a lead.
    pub fn fresh(kind: DocKind, random: EntryId) -> Self {
        let mut bytes = random.0;
        bytes[0] = kind as u8;
        Self(bytes)
    }

    /// The document that belongs to `parent` under `key`, the same on every phone (design decision 3).
    pub fn derived(kind: DocKind, parent: &[u8], key: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"fieldbook/derived/1");
        hash.update([kind as u8]);
        hash.update((parent.len() as u32).to_be_bytes());
        hash.update(parent);
        hash.update(key.as_bytes());
        let digest = hash.finalize();
        let mut bytes = [0u8; 16];
        bytes.copy_from_slice(&digest[..16]);
        bytes[0] = kind as u8;
        Self(bytes)
    }

    /// The kind that the first byte names; `None` when no such kind exists.
    pub fn kind(&self) -> Option<DocKind> {
        DocKind::from_code(self.0[0])
    }

    /// The ruling of this lead.
    pub fn ruling_of(lead: DocId) -> Self {
        Self::derived(DocKind::Ruling, &lead.0, "")
    }

    /// The advancement table of this lead.
    pub fn advancement_of(lead: DocId) -> Self {
        Self::derived(DocKind::Advancement, &lead.0, "")
    }

    /// The calendar of this user and month (`"2026-02"`).
    pub fn calendar_of(user: UserId, month: &str) -> Self {
        Self::derived(DocKind::Calendar, &user.0, month)
    }

    /// The one policy document of the company.
    pub fn policy() -> Self {
        Self::derived(DocKind::Policy, b"", "")
    }

    /// The one directory document of the company.
    pub fn directory() -> Self {
        Self::derived(DocKind::Directory, b"", "")
    }

    /// The one playbook of the company.
    pub fn playbook() -> Self {
        Self::derived(DocKind::Playbook, b"", "")
    }
}

/// Who wrote a change: a device and the incarnation of its store (design decision 4). Twelve bytes as an
/// automerge actor id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Actor {
    /// The device, bound to one user at enrolment.
    pub device: DeviceId,
    /// Counts up whenever the store lost a suffix, so that a sequence number is never used twice.
    pub incarnation: u32,
}

impl Actor {
    /// Bytes of an automerge actor id of ours.
    pub const LEN: usize = 12;

    /// The bytes automerge holds.
    pub fn to_bytes(self) -> [u8; Self::LEN] {
        let mut bytes = [0u8; Self::LEN];
        bytes[..8].copy_from_slice(&self.device.0);
        bytes[8..].copy_from_slice(&self.incarnation.to_be_bytes());
        bytes
    }

    /// Reads an actor back; `None` for a foreign actor of another length.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (device, incarnation) = bytes.split_at_checked(8)?;
        Some(Self {
            device: DeviceId::from_slice(device)?,
            incarnation: u32::from_be_bytes(incarnation.try_into().ok()?),
        })
    }

    /// As automerge takes it.
    pub fn to_automerge(self) -> automerge::ActorId {
        automerge::ActorId::from(self.to_bytes().as_slice())
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.device, self.incarnation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derived_ids_are_the_same_on_every_phone() {
        let lead = DocId::fresh(DocKind::Lead, EntryId([7; 16]));
        assert_eq!(DocId::ruling_of(lead), DocId::ruling_of(lead));
        assert_ne!(DocId::ruling_of(lead).0[1..], DocId::advancement_of(lead).0[1..]);
        assert_eq!(DocId::advancement_of(lead).kind(), Some(DocKind::Advancement));
        assert_eq!(lead.kind(), Some(DocKind::Lead));
        // A change here would orphan every derived document in the field.
        assert_eq!(DocId::policy().to_string(), DocId::derived(DocKind::Policy, b"", "").to_string());
    }

    #[test]
    fn ids_survive_text_and_reject_rubbish() {
        let id = DeviceId([1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!("xyz".parse::<DeviceId>().is_err());
        assert!("01".parse::<DeviceId>().is_err());
    }

    #[test]
    fn actors_survive_bytes() {
        let actor = Actor { device: DeviceId([9; 8]), incarnation: 3 };
        assert_eq!(Actor::from_bytes(&actor.to_bytes()), Some(actor));
        assert_eq!(Actor::from_bytes(&[0; 16]), None);
        assert_eq!(Actor::from_bytes(&[0; 3]), None);
    }
}
