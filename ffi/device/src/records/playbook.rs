//! What the playbook hands out (C38, C94).

/// 话术包: what may be said and sent against something that customers say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TalkPackItem {
    /// By which judgements name it.
    pub id: String,
    /// As it is called.
    pub title: String,
    /// What may be said, in order.
    pub lines: Vec<String>,
    /// Materials that go with it.
    pub materials: Vec<MaterialItem>,
}

/// 资料: something to send or to take along.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaterialItem {
    /// By which judgements name it.
    pub id: String,
    /// As it is called.
    pub title: String,
    /// Where it lies; empty: the company has not said.
    pub link: String,
}

/// 丢单: a deal that was lost before, without the customer's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostDealItem {
    /// Its id.
    pub id: String,
    /// The day on which it was written down, ISO.
    pub day: String,
    /// 设备; this and the next five empty: not known.
    pub equipment: String,
    /// Who won it.
    pub brand: String,
    /// 需求关键词.
    pub need: String,
    /// 行业.
    pub industry: String,
    /// 省份.
    pub province: String,
    /// The customer's budget, fen.
    pub budget_fen: Option<i64>,
    /// Tags that the lead had.
    pub tags: Vec<String>,
    /// 丢单点: where it was lost.
    pub point: String,
    /// 客户原话: what the customer said.
    pub words: String,
    /// 应对: what was answered, or would have to be.
    pub answer: String,
    /// What it has in common with the lead that was asked about; empty: none was.
    pub because: Vec<String>,
}

/// What of the playbook speaks of something.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PlaybookFound {
    /// Talk packs, by id.
    pub packs: Vec<TalkPackItem>,
    /// Lost deals, the newest first.
    pub lost_deals: Vec<LostDealItem>,
}
