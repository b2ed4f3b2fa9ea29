//! The network: websockets as two ordered pipes each. A connection loses nothing until it breaks, because a websocket stands on TCP: its
//! frames arrive once and in their order, or not at all. What was on its way up when it broke may still arrive, long after the phone has
//! connected anew; a link that goes deaf one way loses everything that way until both ends give it up. Messages *inside* the pipes
//! are repeated and swapped where the protocol leaves their order free: see [`super::courier`].
//!
//! Owns too who is parted from the server, and until when: nobody dials through a partition.

use std::collections::BTreeMap;

use fieldbook_engines::faults::Dice;

/// Which way a frame travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From the phone.
    Up,
    /// To the phone.
    Down,
}

/// One connection.
#[derive(Debug)]
pub struct Conn {
    /// The phone at one end.
    pub phone: usize,
    /// Nothing sent from now on arrives.
    pub broken: bool,
    /// When its hello set out.
    pub dialled_ms: i64,
    /// Frames that have not arrived.
    pub in_flight: usize,
    /// Nothing arrives this way any more, and neither end knows.
    deaf: Option<Way>,
    /// Frames that would arrive later than this are lost, by way.
    dies_at: [i64; 2],
    /// When the newest frame arrives, by way: frames never overtake each other.
    last_at: [i64; 2],
}

impl Conn {
    /// Whether both ends hear each other.
    pub fn is_whole(&self) -> bool {
        !self.broken && self.deaf.is_none()
    }
}

/// All connections that anybody still thinks of.
#[derive(Debug, Default)]
pub struct Net {
    conns: BTreeMap<u64, Conn>,
    next: u64,
    /// Phones that cannot reach the server, and until when.
    parted: BTreeMap<usize, i64>,
    /// Frames that never arrived.
    pub lost: u64,
}

impl Net {
    /// Opens a connection of this phone.
    pub fn open(&mut self, phone: usize, dialled_ms: i64) -> u64 {
        self.next += 1;
        let conn = Conn {
            phone,
            broken: false,
            dialled_ms,
            in_flight: 0,
            deaf: None,
            dies_at: [i64::MAX; 2],
            last_at: [0; 2],
        };
        self.conns.insert(self.next, conn);
        self.next
    }

    /// A connection.
    pub fn get(&self, conn: u64) -> Option<&Conn> {
        self.conns.get(&conn)
    }

    /// When a frame sent now arrives; `None` when it never does.
    pub fn send(&mut self, conn: u64, way: Way, now_ms: i64, dice: &mut Dice) -> Option<i64> {
        let Some(conn) = self.conns.get_mut(&conn).filter(|conn| !conn.broken && conn.deaf != Some(way))
        else {
            self.lost += 1;
            return None;
        };
        let slow = if dice.one_in(20) { 3_000 } else { 80 };
        let last = &mut conn.last_at[way as usize];
        *last = (*last).max(now_ms + 5 + dice.below(slow) as i64);
        conn.in_flight += 1;
        Some(*last)
    }

    /// A frame has come to its end at `now_ms`: whether there is anybody to hear it.
    pub fn arrives(&mut self, conn: u64, way: Way, now_ms: i64) -> bool {
        let Some(conn) = self.conns.get_mut(&conn) else { return false };
        conn.in_flight = conn.in_flight.saturating_sub(1);
        let arrives = now_ms <= conn.dies_at[way as usize] && conn.deaf != Some(way);
        self.lost += u64::from(!arrives);
        arrives
    }

    /// Breaks a connection. Some of what is on its way still arrives.
    pub fn snap(&mut self, conn: u64, now_ms: i64, dice: &mut Dice) -> bool {
        let Some(conn) = self.conns.get_mut(&conn).filter(|conn| !conn.broken) else { return false };
        conn.broken = true;
        let lingers = |dice: &mut Dice| if dice.one_in(2) { 0 } else { dice.below(5_000) as i64 };
        conn.dies_at = [now_ms + lingers(dice), now_ms + lingers(dice)];
        true
    }

    /// From now on nothing arrives one way; answers whether the connection was whole.
    pub fn deafen(&mut self, conn: u64, way: Way) -> bool {
        let whole = self.conns.get_mut(&conn).filter(|conn| conn.is_whole());
        whole.map(|conn| conn.deaf = Some(way)).is_some()
    }

    /// Parts a phone from the server.
    pub fn part(&mut self, phone: usize, until_ms: i64) {
        let until = self.parted.entry(phone).or_insert(until_ms);
        *until = until_ms.max(*until);
    }

    /// Until when a phone is parted from the server; `None` when it is not.
    pub fn parted_until(&self, phone: usize, now_ms: i64) -> Option<i64> {
        self.parted.get(&phone).copied().filter(|until| *until > now_ms)
    }

    /// Ends every partition.
    pub fn heal(&mut self) {
        self.parted.clear();
    }

    /// A phone's connections that are not broken.
    pub fn of(&self, phone: usize) -> Vec<u64> {
        let mine = self.conns.iter().filter(|(_, conn)| !conn.broken && conn.phone == phone);
        mine.map(|(id, _)| *id).collect()
    }

    /// The connections that are not broken.
    pub fn whole(&self) -> Vec<u64> {
        self.conns.iter().filter(|(_, conn)| !conn.broken).map(|(id, _)| *id).collect()
    }
}
