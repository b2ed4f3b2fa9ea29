//! 通讯录: users, teams and devices by name, so that a phone can show who wrote what without signal. A record's id is
//! the eight bytes of what it names, then eight zeros.

use std::collections::BTreeMap;

use super::fields::{record_registers, registers};
use crate::document::{Clocks, Doc};
use crate::ids::{DeviceId, EntryId, TeamId, UserId};

registers! {
    /// 人员.
    pub struct DirectoryUser {
        /// 姓名.
        name: String,
        /// 角色.
        role: String,
        /// 团队.
        team: TeamId,
        /// 在职.
        active: bool,
    }
}
record_registers!(DirectoryUser);

registers! {
    /// 团队.
    pub struct DirectoryTeam {
        /// 名称.
        name: String,
        /// 上级团队.
        parent: TeamId,
        /// 主管.
        lead: UserId,
    }
}
record_registers!(DirectoryTeam);

registers! {
    /// 设备.
    pub struct DirectoryDevice {
        /// 持有人.
        user: UserId,
        /// 设备名.
        name: String,
        /// 已吊销.
        revoked: bool,
    }
}
record_registers!(DirectoryDevice);

/// The directory, read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DirectoryModel {
    /// 人员.
    pub users: BTreeMap<UserId, DirectoryUser>,
    /// 团队.
    pub teams: BTreeMap<TeamId, DirectoryTeam>,
    /// 设备.
    pub devices: BTreeMap<DeviceId, DirectoryDevice>,
}

impl DirectoryModel {
    /// Reads the document.
    pub fn read(doc: &Doc, clocks: &dyn Clocks) -> Self {
        let users = DirectoryUser::read_all(doc, "users", clocks).into_iter();
        let teams = DirectoryTeam::read_all(doc, "teams", clocks).into_iter();
        let devices = DirectoryDevice::read_all(doc, "devices", clocks).into_iter();
        Self {
            users: users.map(|(id, user)| (UserId(named(id)), user)).collect(),
            teams: teams.map(|(id, team)| (TeamId(named(id)), team)).collect(),
            devices: devices.map(|(id, device)| (DeviceId(named(id)), device)).collect(),
        }
    }

    /// The record id of a user, team or device.
    pub fn entry_id(id: &[u8; 8]) -> EntryId {
        let mut entry = [0u8; 16];
        entry[..8].copy_from_slice(id);
        EntryId(entry)
    }
}

fn named(entry: EntryId) -> [u8; 8] {
    let mut id = [0u8; 8];
    id.copy_from_slice(&entry.0[..8]);
    id
}
