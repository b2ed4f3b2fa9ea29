//! The network: websockets as two ordered pipes each. A connection loses nothing until it breaks; what was on its way up when it
//! broke may still arrive, long after the phone has connected anew.

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
    /// Frames that have not arrived.
    pub in_flight: usize,
    /// Frames that would arrive later than this are lost, by way.
    dies_at: [i64; 2],
    /// When the newest frame arrives, by way: frames never overtake each other.
    last_at: [i64; 2],
}

/// All connections that anybody still thinks of.
#[derive(Debug, Default)]
pub struct Net {
    conns: BTreeMap<u64, Conn>,
    next: u64,
}

impl Net {
    /// Opens a connection of this phone.
    pub fn open(&mut self, phone: usize) -> u64 {
        self.next += 1;
        let conn = Conn { phone, broken: false, in_flight: 0, dies_at: [i64::MAX; 2], last_at: [0; 2] };
        self.conns.insert(self.next, conn);
        self.next
    }

    /// A connection.
    pub fn get(&self, conn: u64) -> Option<&Conn> {
        self.conns.get(&conn)
    }

    /// When a frame sent now arrives; `None` when it never does.
    pub fn send(&mut self, conn: u64, way: Way, now_ms: i64, dice: &mut Dice) -> Option<i64> {
        let conn = self.conns.get_mut(&conn).filter(|conn| !conn.broken)?;
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
        now_ms <= conn.dies_at[way as usize]
    }

    /// Breaks a connection. Some of what is on its way still arrives.
    pub fn snap(&mut self, conn: u64, now_ms: i64, dice: &mut Dice) -> bool {
        let Some(conn) = self.conns.get_mut(&conn).filter(|conn| !conn.broken) else { return false };
        conn.broken = true;
        let lingers = |dice: &mut Dice| if dice.one_in(2) { 0 } else { dice.below(5_000) as i64 };
        conn.dies_at = [now_ms + lingers(dice), now_ms + lingers(dice)];
        true
    }

    /// The connections that are not broken.
    pub fn whole(&self) -> Vec<u64> {
        self.conns.iter().filter(|(_, conn)| !conn.broken).map(|(id, _)| *id).collect()
    }
}
