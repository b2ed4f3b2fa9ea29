//! The playbook in its document: a log of which the last entry of an id counts, or says that there is none any more.

use serde::{Deserialize, Serialize};

use super::{LOST_DEALS_MAX, LostDeal, Material, Playbook, TalkPack, Written};
use crate::document::{Doc, Edit, NoClocks};
use crate::time::Act;

/// The log of the document.
const LOG: &str = "entries";

/// An entry.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Entry {
    /// The later of two has the larger one.
    no: u64,
    #[serde(flatten)]
    says: Says,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Says {
    /// From here on what ships counts no more: the company has written its own.
    Own,
    Pack {
        id: String,
        pack: Option<TalkPack>,
    },
    Material {
        id: String,
        material: Option<Material>,
    },
    LostDeal {
        id: String,
        deal: Option<LostDeal>,
    },
}

impl Playbook {
    /// Reads the document, over what ships. What a newer version wrote is passed over.
    pub fn read(doc: &Doc) -> Self {
        let entries = entries(doc);
        let mut book = if is_own(&entries) { Self::default() } else { Self::shipped().clone() };
        for entry in entries {
            match entry.says {
                Says::Own => {}
                Says::Pack { id, pack } => put(&mut book.packs, id, pack),
                Says::Material { id, material } => put(&mut book.materials, id, material),
                Says::LostDeal { id, deal } => put(&mut book.lost_deals, id, deal),
            }
        }
        book
    }
}

fn entries(doc: &Doc) -> Vec<Entry> {
    let read = |body: &str| serde_json::from_str::<Entry>(body).ok();
    let mut entries: Vec<Entry> =
        doc.log(LOG, &NoClocks).iter().filter_map(|entry| read(&entry.body)).collect();
    entries.sort_by_key(|entry| entry.no);
    entries
}

/// Whether the company has published packs: then none that ships counts, and a release changes nothing of them.
fn is_own(entries: &[Entry]) -> bool {
    entries.iter().any(|entry| matches!(entry.says, Says::Own))
}

fn put<T>(all: &mut std::collections::BTreeMap<String, T>, id: String, says: Option<T>) {
    match says {
        Some(says) => all.insert(id, says),
        None => all.remove(&id),
    };
}

/// Edits after which the packs and materials are those that are written, and the lost deals those that they were. Empty: they are already.
pub fn publish(doc: &Doc, written: &Written, act: &Act) -> Vec<Edit> {
    let before = entries(doc);
    let book = if is_own(&before) { Playbook::read(doc) } else { Playbook::default() };
    let own = (!is_own(&before)).then_some(Says::Own);
    let gone = |id: &String, is_written: bool| (!is_written).then(|| id.clone());
    let packs = written.packs.iter().filter(|pack| book.packs.get(&pack.id) != Some(pack));
    let packs = packs.map(|pack| Says::Pack { id: pack.id.clone(), pack: Some(pack.clone()) });
    let no_packs =
        book.packs.keys().filter_map(|id| gone(id, written.packs.iter().any(|pack| pack.id == *id)));
    let materials =
        written.materials.iter().filter(|material| book.materials.get(&material.id) != Some(material));
    let materials = materials
        .map(|material| Says::Material { id: material.id.clone(), material: Some(material.clone()) });
    let is_material = |id: &String| written.materials.iter().any(|material| material.id == *id);
    let no_materials = book.materials.keys().filter_map(|id| gone(id, is_material(id)));
    let says = own
        .into_iter()
        .chain(packs)
        .chain(no_packs.map(|id| Says::Pack { id, pack: None }))
        .chain(materials)
        .chain(no_materials.map(|id| Says::Material { id, material: None }));
    appended(doc, says.collect(), act)
}

/// Edits that record a lost deal; of too many the oldest is withdrawn.
pub fn record_lost_deal(doc: &Doc, deal: LostDeal, act: &Act) -> Vec<Edit> {
    let book = Playbook::read(doc);
    let known = book.lost_deals.get(&deal.id);
    if known == Some(&deal) {
        return Vec::new();
    }
    let mut says = Vec::new();
    if book.lost_deals.len() >= LOST_DEALS_MAX && known.is_none() {
        let oldest = book.lost_deals.values().min_by_key(|deal| (deal.day.clone(), deal.id.clone()));
        says.extend(oldest.map(|oldest| Says::LostDeal { id: oldest.id.clone(), deal: None }));
    }
    says.push(Says::LostDeal { id: deal.id.clone(), deal: Some(deal) });
    appended(doc, says, act)
}

/// Edits that take a lost deal out; empty: there is none of this id.
pub fn withdraw_lost_deal(doc: &Doc, id: &str, act: &Act) -> Vec<Edit> {
    let is_there = Playbook::read(doc).lost_deals.contains_key(id);
    let says = is_there.then(|| Says::LostDeal { id: id.to_owned(), deal: None });
    appended(doc, says.into_iter().collect(), act)
}

fn appended(doc: &Doc, says: Vec<Says>, act: &Act) -> Vec<Edit> {
    let next = entries(doc).last().map_or(1, |entry| entry.no + 1);
    let append = |(no, says)| {
        // A struct of texts and numbers can always be written.
        let body = serde_json::to_string(&Entry { no, says }).unwrap_or_default();
        Edit::Append { log: LOG.to_owned(), id: act.fresh_id(), body }
    };
    (next..).zip(says).map(append).collect()
}
