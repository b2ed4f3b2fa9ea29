//! Who may do what to which document: role × relation × kind × verb, in one table (design decision 3).
//!
//! Owns the table and what follows from it: the channels a document belongs to, and the channels a phone may hold. Refuses every
//! decision that needs more than the table: whether work came late is `company::push`'s.

use std::collections::BTreeSet;
use std::fmt;

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::ids::{DocKind, TeamId, UserId};

/// What somebody is in the company.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Encode, Decode,
)]
#[serde(rename_all = "snake_case")]
#[cbor(index_only)]
pub enum Role {
    /// 销售: works leads in the field.
    #[n(0)]
    Rep,
    /// 主管: leads one or more teams.
    #[n(1)]
    Manager,
    /// 总监: reads the whole company.
    #[n(2)]
    Director,
    /// 客服: sees the service view of every lead and nothing of its money (C89).
    #[n(3)]
    Service,
    /// 市场.
    #[n(4)]
    Marketing,
    /// 财务: sees the finance view of every lead (C89).
    #[n(5)]
    Finance,
    /// 系统管理员: runs the server, its people and its policy.
    #[n(6)]
    Admin,
}

impl Role {
    /// By which documents and requests name it.
    pub fn name(self) -> &'static str {
        match self {
            Role::Rep => "rep",
            Role::Manager => "manager",
            Role::Director => "director",
            Role::Service => "service",
            Role::Marketing => "marketing",
            Role::Finance => "finance",
            Role::Admin => "admin",
        }
    }

    /// The role of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }

    /// Every role.
    pub const ALL: [Role; 7] = [
        Role::Rep,
        Role::Manager,
        Role::Director,
        Role::Service,
        Role::Marketing,
        Role::Finance,
        Role::Admin,
    ];
}

/// How a person stands to a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Relation {
    /// Owner or joint owner of the lead; the user of a calendar; whoever shares an account through a lead of theirs.
    Owner,
    /// Leads a team that the owner belongs to, at any height of the tree.
    Supervisor,
    /// Belongs to the company.
    Colleague,
}

/// What is done to a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Verb {
    /// Hold it on a phone, read it through REST.
    Read,
    /// Push changes to it.
    Write,
}

/// What is done to the company rather than to a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OfficeVerb {
    /// Manage users, teams, devices, enrolment codes, policy.
    Administer,
    /// Create leads for others, import tables.
    Intake,
    /// Move a lead to another owner.
    Assign,
    /// Accept or discard held work.
    Review,
    /// Write the playbook.
    Instruct,
}

use Relation::{Colleague, Owner, Supervisor};
use Role::{Admin, Director, Finance, Manager, Marketing, Rep, Service};
use Verb::{Read, Write};

/// The table. Whoever is not in it may not. `None` as role: every role.
const TABLE: &[(DocKind, Relation, Option<Role>, &[Verb])] = &[
    (DocKind::Lead, Owner, None, &[Read, Write]),
    (DocKind::Lead, Supervisor, Some(Manager), &[Read, Write]),
    (DocKind::Lead, Colleague, Some(Director), &[Read]),
    (DocKind::Lead, Colleague, Some(Admin), &[Read]),
    (DocKind::Advancement, Owner, None, &[Read, Write]),
    (DocKind::Advancement, Supervisor, Some(Manager), &[Read, Write]),
    (DocKind::Advancement, Colleague, Some(Director), &[Read]),
    (DocKind::Advancement, Colleague, Some(Admin), &[Read]),
    (DocKind::Ruling, Owner, None, &[Read]),
    (DocKind::Ruling, Supervisor, Some(Manager), &[Read]),
    (DocKind::Ruling, Colleague, Some(Director), &[Read]),
    (DocKind::Ruling, Colleague, Some(Admin), &[Read]),
    (DocKind::Account, Owner, None, &[Read, Write]),
    (DocKind::Account, Supervisor, Some(Manager), &[Read, Write]),
    (DocKind::Account, Colleague, Some(Director), &[Read]),
    (DocKind::Account, Colleague, Some(Admin), &[Read]),
    (DocKind::Finance, Colleague, Some(Finance), &[Read, Write]),
    (DocKind::Finance, Colleague, Some(Director), &[Read]),
    (DocKind::Service, Owner, Some(Rep), &[Read]),
    (DocKind::Service, Owner, Some(Manager), &[Read]),
    (DocKind::Service, Supervisor, Some(Manager), &[Read]),
    (DocKind::Service, Colleague, Some(Service), &[Read, Write]),
    (DocKind::Calendar, Owner, None, &[Read, Write]),
    (DocKind::Calendar, Supervisor, Some(Manager), &[Read]),
    (DocKind::Policy, Colleague, None, &[Read]),
    (DocKind::Directory, Colleague, None, &[Read]),
    (DocKind::Playbook, Colleague, None, &[Read]),
];

/// Office verbs by role.
const OFFICE: &[(Role, &[OfficeVerb])] = &[
    (Manager, &[OfficeVerb::Intake, OfficeVerb::Assign, OfficeVerb::Review]),
    (Director, &[OfficeVerb::Intake, OfficeVerb::Assign, OfficeVerb::Review, OfficeVerb::Instruct]),
    (Marketing, &[OfficeVerb::Intake, OfficeVerb::Instruct]),
    (
        Admin,
        &[
            OfficeVerb::Administer,
            OfficeVerb::Intake,
            OfficeVerb::Assign,
            OfficeVerb::Review,
            OfficeVerb::Instruct,
        ],
    ),
];

/// Whether a person of `role` who stands in `relation` to a document of `kind` may do `verb`. Everybody is a colleague too.
pub fn may(role: Role, relation: Relation, kind: DocKind, verb: Verb) -> bool {
    TABLE.iter().any(|(k, rel, who, verbs)| {
        *k == kind
            && (*rel == relation || *rel == Colleague)
            && who.is_none_or(|w| w == role)
            && verbs.contains(&verb)
    })
}

/// Whether `role` may do `verb` to the company.
pub fn may_office(role: Role, verb: OfficeVerb) -> bool {
    OFFICE.iter().any(|(r, verbs)| *r == role && verbs.contains(&verb))
}

/// Whether a phone of `role` may bring a new document of `kind` into being.
pub fn may_create(role: Role, kind: DocKind) -> bool {
    may(role, Owner, kind, Write)
}

/// Whether leads are given to people of `role` to work on: a large one goes straight to the director (S0). Whoever creates one on a phone
/// owns it until somebody decides, whatever their role.
pub fn may_be_given_leads(role: Role) -> bool {
    matches!(role, Rep | Manager | Director)
}

/// An index into the company's log (design decision 6). A phone holds several, a document belongs to several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub enum Channel {
    /// What everybody holds: policy, directory, playbook.
    #[n(0)]
    Public,
    /// What this person owns.
    #[n(1)]
    User(#[n(0)] UserId),
    /// What the people of this team, and of the teams below it, own.
    #[n(2)]
    Team(#[n(0)] TeamId),
    /// What this role reads of the whole company.
    #[n(3)]
    Office(#[n(0)] Role),
}

impl Channel {
    /// Bytes of a channel in a store key.
    pub const KEY_LEN: usize = 9;

    /// Nine bytes that order and compare like nothing else.
    pub fn to_key(self) -> [u8; Self::KEY_LEN] {
        let (tag, id) = match self {
            Channel::Public => (0, [0; 8]),
            Channel::User(user) => (1, user.0),
            Channel::Team(team) => (2, team.0),
            Channel::Office(role) => (3, [role as u8, 0, 0, 0, 0, 0, 0, 0]),
        };
        let mut key = [tag; Self::KEY_LEN];
        key[1..].copy_from_slice(&id);
        key
    }

    /// The channel of a key of one user or team; `None` for every other.
    pub fn of_people(key: &[u8]) -> Option<Self> {
        let (tag, id) = key.split_first()?;
        match tag {
            1 => UserId::from_slice(id).map(Channel::User),
            2 => TeamId::from_slice(id).map(Channel::Team),
            _ => None,
        }
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Channel::Public => write!(f, "public"),
            Channel::User(user) => write!(f, "user/{user}"),
            Channel::Team(team) => write!(f, "team/{team}"),
            Channel::Office(role) => write!(f, "office/{role:?}"),
        }
    }
}

/// A person as the table needs to know them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Who.
    pub user: UserId,
    /// What they are.
    pub role: Role,
    /// The teams that they lead.
    pub leads: BTreeSet<TeamId>,
}

impl Person {
    /// The channels that this person's phones hold.
    pub fn channels(&self) -> BTreeSet<Channel> {
        let mut channels = BTreeSet::from([Channel::Public, Channel::User(self.user)]);
        if self.role == Manager {
            channels.extend(self.leads.iter().map(|team| Channel::Team(*team)));
        }
        if DocKind::ALL.iter().any(|kind| !is_public(*kind) && may(self.role, Colleague, *kind, Read)) {
            channels.insert(Channel::Office(self.role));
        }
        channels
    }

    /// How this person stands to a document of these ties.
    pub fn relation(&self, ties: &Ties) -> Relation {
        if ties.owners.iter().any(|(owner, _)| *owner == self.user) {
            Owner
        } else if ties.teams.iter().any(|team| self.leads.contains(team)) {
            Supervisor
        } else {
            Colleague
        }
    }

    /// Whether this person may do `verb` to a document of these ties.
    pub fn may(&self, ties: &Ties, kind: DocKind, verb: Verb) -> bool {
        may(self.role, self.relation(ties), kind, verb)
    }
}

/// Whom a document belongs to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ties {
    /// Owners with their roles.
    pub owners: BTreeSet<(UserId, Role)>,
    /// The owners' teams and every team above them.
    pub teams: BTreeSet<TeamId>,
}

/// The channels that a document of `kind` and these ties belongs to: exactly those through which somebody may read it.
pub fn channels_of(kind: DocKind, ties: &Ties) -> BTreeSet<Channel> {
    if is_public(kind) {
        return BTreeSet::from([Channel::Public]);
    }
    let owners = ties
        .owners
        .iter()
        .filter(|(_, role)| may(*role, Owner, kind, Read))
        .map(|(user, _)| Channel::User(*user));
    let teams =
        ties.teams.iter().filter(|_| may(Manager, Supervisor, kind, Read)).map(|team| Channel::Team(*team));
    let office = Role::ALL.into_iter().filter(|role| may(*role, Colleague, kind, Read)).map(Channel::Office);
    owners.chain(teams).chain(office).collect()
}

/// Whether whoever holds documents of `kind` through this channel may write them.
pub fn writes_through(channel: Channel, kind: DocKind) -> bool {
    match channel {
        Channel::Public => false,
        Channel::User(_) => Role::ALL.into_iter().any(|role| may(role, Owner, kind, Write)),
        Channel::Team(_) => may(Manager, Supervisor, kind, Write),
        Channel::Office(role) => may(role, Colleague, kind, Write),
    }
}

fn is_public(kind: DocKind) -> bool {
    Role::ALL.iter().all(|role| may(*role, Colleague, kind, Read))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(role: Role, leads: &[u8]) -> Person {
        Person { user: UserId([1; 8]), role, leads: leads.iter().map(|t| TeamId([*t; 8])).collect() }
    }

    #[test]
    fn a_channel_delivers_what_the_table_allows_and_nothing_else() {
        let owner = UserId([1; 8]);
        let team = TeamId([9; 8]);
        for owner_role in Role::ALL {
            let ties = Ties { owners: [(owner, owner_role)].into(), teams: [team].into() };
            for role in Role::ALL {
                for (user, leads) in [(owner, vec![]), (UserId([2; 8]), vec![9]), (UserId([2; 8]), vec![8])] {
                    if user == owner && role != owner_role {
                        continue;
                    }
                    let who = Person { user, ..person(role, &leads) };
                    for kind in DocKind::ALL {
                        let held = !who.channels().is_disjoint(&channels_of(kind, &ties));
                        assert_eq!(
                            held,
                            who.may(&ties, kind, Read),
                            "{role:?} {kind:?} {:?}",
                            who.relation(&ties)
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn nobody_but_the_server_writes_rulings_policy_or_directory() {
        for role in Role::ALL {
            for relation in [Owner, Supervisor, Colleague] {
                for kind in [DocKind::Ruling, DocKind::Policy, DocKind::Directory, DocKind::Playbook] {
                    assert!(!may(role, relation, kind, Write), "{role:?} {relation:?} {kind:?}");
                }
            }
        }
    }

    #[test]
    fn customer_service_never_sees_money_and_reps_never_see_margins() {
        assert!(!may(Service, Colleague, DocKind::Finance, Read));
        assert!(!may(Rep, Owner, DocKind::Finance, Read));
        assert!(may(Service, Colleague, DocKind::Service, Write));
        assert!(!may(Service, Colleague, DocKind::Lead, Read));
    }
}
