//! The playbook on the phone (C38, C39, C48, C94): what helps in a talk, and deals that were lost before, without a network.

use std::sync::Arc;

use fieldbook_core::ids::DocId;
use fieldbook_core::playbook::{LostDeal, Material, Playbook, TalkPack};
use fieldbook_core::rules::similar::find_similar;

use super::Fieldbook;
use super::judge::{Held, said};
use crate::error::Error;
use crate::records::{LostDealItem, MaterialItem, PlaybookFound, TalkPackItem};

impl Fieldbook {
    /// 话术包: the talk pack of this id, as a judgement or the end of a talk named it.
    ///
    /// # Errors
    /// [`Error::NotFound`] where the company has none of this id; [`Error::NotEnrolled`], [`Error::Locked`].
    pub fn talk_pack(&self, id: &str) -> Result<TalkPackItem, Error> {
        let book = self.playbook()?;
        let pack = book.packs.get(id).ok_or_else(|| Error::NotFound(id.to_owned()))?;
        Ok(pack_item(&book, pack))
    }

    /// 资料: the material of this id, as a judgement or a talk pack named it.
    ///
    /// # Errors
    /// As [`Fieldbook::talk_pack`].
    pub fn material(&self, id: &str) -> Result<MaterialItem, Error> {
        let book = self.playbook()?;
        book.materials.get(id).map(material_item).ok_or_else(|| Error::NotFound(id.to_owned()))
    }

    /// 查看类似丢单 (C94): up to three deals that were lost and are like this lead, the most alike first, each with what they have in common.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a lead that is not here; [`Error::Undetermined`], [`Error::Locked`].
    pub fn similar_lost_deals(&self, lead: DocId) -> Result<Vec<LostDealItem>, Error> {
        self.shared.read(|replica, now| {
            let held = Held::load(&self.shared, replica, lead, now)?;
            let book = self.shared.playbook(replica)?;
            let similar = said(find_similar(&held.facts(), &book).says)?;
            let item = |similar: fieldbook_core::rules::similar::Similar| LostDealItem {
                because: similar.because,
                ..deal_item(&similar.deal)
            };
            Ok::<_, Error>(similar.into_iter().map(item).collect())
        })
    }

    /// The talk packs and lost deals that speak of something: 账期, CT. An empty text finds all.
    ///
    /// # Errors
    /// [`Error::NotEnrolled`], [`Error::Locked`].
    pub fn search_playbook(&self, text: &str) -> Result<PlaybookFound, Error> {
        let book = self.playbook()?;
        let (packs, mut deals) = book.search(text);
        deals.sort_by(|a, b| b.day.cmp(&a.day).then_with(|| a.id.cmp(&b.id)));
        Ok(PlaybookFound {
            packs: packs.into_iter().map(|pack| pack_item(&book, pack)).collect(),
            lost_deals: deals.into_iter().map(deal_item).collect(),
        })
    }

    fn playbook(&self) -> Result<Arc<Playbook>, Error> {
        self.shared.read(|replica, _| {
            replica.identity()?;
            self.shared.playbook(replica)
        })
    }
}

/// A pack with its materials; of one that is gone its id is told.
fn pack_item(book: &Playbook, pack: &TalkPack) -> TalkPackItem {
    let material = |id: &String| {
        let gone = || MaterialItem { id: id.clone(), title: id.clone(), link: String::new() };
        book.materials.get(id).map_or_else(gone, material_item)
    };
    TalkPackItem {
        id: pack.id.clone(),
        title: pack.title.clone(),
        lines: pack.lines.clone(),
        materials: pack.materials.iter().map(material).collect(),
    }
}

fn material_item(material: &Material) -> MaterialItem {
    MaterialItem { id: material.id.clone(), title: material.title.clone(), link: material.link.clone() }
}

fn deal_item(deal: &LostDeal) -> LostDealItem {
    LostDealItem {
        id: deal.id.clone(),
        day: deal.day.clone(),
        equipment: deal.equipment.clone(),
        brand: deal.brand.clone(),
        need: deal.need.clone(),
        industry: deal.industry.clone(),
        province: deal.province.clone(),
        budget_fen: deal.budget_fen,
        tags: deal.tags.iter().cloned().collect(),
        point: deal.point.clone(),
        words: deal.words.clone(),
        answer: deal.answer.clone(),
        because: Vec::new(),
    }
}
