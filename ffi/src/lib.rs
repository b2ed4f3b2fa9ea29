//! The UniFFI skin for Kotlin, Swift and Python: forwarding calls to [`fieldbook_device`], and the records and errors that a phone app sees.
//! It holds no domain, no network and no policy; a call that decides anything belongs to `fieldbook-device` or `core`.
//!
//! The hand-written layers in `ffi/kotlin`, `ffi/swift` and `ffi/python` make it read natively; an app uses those.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fieldbook_core::ids::{DeviceId, DocId, EntryId, Hash32};
use fieldbook_core::model::{
    AccountFields, CalendarEntry, Contact, LeadFields, NewAccount, NewLead, Signal, StageProposal, Touch,
    Visit,
};
use fieldbook_device as device;
use fieldbook_device::{
    AccountPage, AccountRow, Attachment, CalendarItem, ConflictItem, EndOfTalk, FinishedTalk, FirstContact,
    Handover, Home, KeptItem, Language, LeadJudgement, LeadPage, LeadQuery, LeadRow, LostDealItem,
    MaterialItem, Me, Network, NoteReading, Phone, PlaybookFound, PolicyForms, Status, SyncReport,
    TalkPackItem, TalkPlan, TalkStart, Today, Undone,
};

mod errors;
mod ids;
mod listen;
mod records;

pub use errors::FieldbookError;
pub use listen::{CancelToken, ChangeListener, ListenerError, Subscription};

uniffi::setup_scaffolding!();

/// How a phone's store is opened.
#[derive(Debug, Clone, uniffi::Record)]
pub struct Config {
    /// The store's file. Its folder must exist; files beside it with the same name and a suffix belong to the store.
    pub path: String,
    /// 32 random bytes that the app keeps in the phone's key store. Without them nothing on the disk is readable.
    pub store_key: Vec<u8>,
    /// Product and version of the app, up to 100 characters. It goes with each hello; the server does not keep it.
    #[uniffi(default = "")]
    pub agent: String,
    /// Language of the sentences in errors.
    #[uniffi(default = None)]
    pub language: Option<Language>,
    /// Certificates (PEM) that are trusted besides the public ones: a company's own authority.
    #[uniffi(default = None)]
    pub extra_roots_pem: Option<String>,
    /// Allows `http://` to a server that is not on this machine: for trials in a closed network only.
    #[uniffi(default = false)]
    pub allow_plain_http: bool,
}

/// The one handle of an app, usable from any thread. Calls block: for a disk write at the longest, except those that take a time-out.
#[derive(uniffi::Object)]
pub struct Fieldbook {
    inner: device::Fieldbook,
}

type Result<T> = std::result::Result<T, FieldbookError>;

#[uniffi::export]
impl Fieldbook {
    /// Opens or makes the store. The language is Chinese unless the configuration says otherwise.
    #[uniffi::constructor]
    pub fn open(config: Config) -> Result<Arc<Self>> {
        let language = config.language.unwrap_or_default();
        ids::speak(language);
        let failed = |error: device::Error| FieldbookError::of(&error, language);
        let key = <[u8; 32]>::try_from(config.store_key.as_slice())
            .map_err(|_| failed(device::Error::Invalid("the store key has 32 bytes".into())))?;
        let mut inner = device::Config::new(config.path, key);
        inner.language = language;
        inner.extra_roots_pem = config.extra_roots_pem;
        inner.allow_plain_http = config.allow_plain_http;
        if !config.agent.is_empty() {
            inner.agent = config.agent;
        }
        Ok(Arc::new(Self { inner: device::Fieldbook::open(inner).map_err(failed)? }))
    }

    /// Enrols this phone with the content of a QR code (`https://…/enrol#CODE`); blocks at most `timeout_ms`. Repeating it after a lost
    /// answer costs no second code. A phone that is signed out comes back by a new code for the same user, as the device that it was, with
    /// what it holds and what waits.
    pub fn enrol(
        &self,
        invitation: String,
        device_name: String,
        timeout_ms: u32,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<Me> {
        self.say(self.inner.enrol(&invitation, &device_name, ms(timeout_ms), token(cancel)))
    }

    /// Who this phone is; nothing when it is not enrolled.
    pub fn me(&self) -> Result<Option<Me>> {
        match self.inner.me() {
            Err(device::Error::NotEnrolled) => Ok(None),
            other => self.say(other.map(Some)),
        }
    }

    /// Sends everything up and takes everything down, once; blocks at most `timeout_ms`. What went either way until an error stays.
    pub fn sync_now(&self, timeout_ms: u32, cancel: Option<Arc<CancelToken>>) -> Result<SyncReport> {
        self.say(self.inner.sync_now(ms(timeout_ms), token(cancel)))
    }

    /// Stays connected from now on: sends edits as they are made, takes news as they come, comes back after a loss.
    pub fn start_background(&self) -> Result<()> {
        self.say(self.inner.start_background())
    }

    /// Ends the standing connection. What is under way is sent again next time.
    pub fn stop_background(&self) -> Result<()> {
        self.say(self.inner.stop_background())
    }

    /// Tells what the system says of the network. A change ends a pause between attempts.
    pub fn set_network(&self, network: Network) -> Result<()> {
        self.say(self.inner.set_network(network))
    }

    /// How things stand. Works in a locked and in a not enrolled phone.
    pub fn status(&self) -> Result<Status> {
        self.say(self.inner.status())
    }

    /// Calls `listener` with every change from now on, until the subscription is cancelled or dropped.
    pub fn subscribe(&self, listener: Arc<dyn ChangeListener>) -> Result<Arc<Subscription>> {
        let subscription = self.inner.subscribe(Arc::new(listen::Adapter(listener)));
        Ok(Arc::new(Subscription(self.say(subscription)?)))
    }

    /// For the moment when the app goes to the background: leaves the store so that it opens fast even after a kill.
    pub fn settle(&self) -> Result<()> {
        self.say(self.inner.settle())
    }

    /// For a phone on its charger: writes the store anew when something has left it, so that no byte of that is left; otherwise compacts it
    /// when that is worth it. Other calls wait meanwhile.
    pub fn maintain(&self) -> Result<()> {
        self.say(self.inner.maintain())
    }

    /// Deletes everything that this phone holds and forgets its enrolment. Refused while work is not on the server, unless
    /// `discard_unsent`.
    pub fn leave(&self, discard_unsent: bool) -> Result<()> {
        self.say(self.inner.leave(discard_unsent))
    }

    /// The sentence for a code, for codes that come without an error (kept work, status).
    pub fn sentence(&self, code: String) -> String {
        self.inner.sentence(&code).to_owned()
    }

    /// Ends everything: the connection, the listeners (with `Closed`) and the hold on the store's file. Every later call answers `Closed`.
    /// Safe to repeat.
    pub fn shutdown(&self) {
        self.inner.shutdown();
    }
}

/// Leads.
#[uniffi::export]
impl Fieldbook {
    /// Creates a lead; on the phone's disk when this returns. 客户名称, 联系人手机 and 需求关键词 (采购/维保/升级) are mandatory (C3).
    pub fn create_lead(&self, lead: NewLead) -> Result<DocId> {
        self.say(self.inner.create_lead(&lead))
    }

    /// Writes the fields of `set` that have a value and empties those named in `clear`.
    pub fn edit_lead(&self, lead: DocId, set: LeadFields, clear: Vec<String>) -> Result<()> {
        self.say(self.inner.edit_lead(lead, &set, &clear))
    }

    /// Brings into the notes what the user typed: `base` is the text that the editor opened with, `text` what it ended with. What others
    /// typed meanwhile stays.
    pub fn edit_notes(&self, lead: DocId, base: String, text: String) -> Result<()> {
        self.say(self.inner.edit_notes(lead, &base, &text))
    }

    /// Deletes a lead. The document stays and can be restored.
    pub fn delete_lead(&self, lead: DocId) -> Result<()> {
        self.say(self.inner.delete_lead(lead))
    }

    /// Brings a deleted lead back.
    pub fn restore_lead(&self, lead: DocId) -> Result<()> {
        self.say(self.inner.restore_lead(lead))
    }

    /// Takes the last act of this phone back, as far as nobody has written over it or built on it since.
    pub fn undo(&self) -> Result<Undone> {
        self.say(self.inner.undo())
    }

    /// A page of leads, the last changed first. A text finds parts of names, pinyin initials and syllables.
    pub fn leads(&self, query: LeadQuery) -> Result<Vec<LeadRow>> {
        self.say(self.inner.leads(&query))
    }

    /// Everything of one lead.
    pub fn lead(&self, lead: DocId) -> Result<LeadPage> {
        self.say(self.inner.lead(lead))
    }

    /// Adds a contact (C13, C53).
    pub fn add_contact(&self, lead: DocId, contact: Contact) -> Result<EntryId> {
        self.say(self.inner.add_contact(lead, &contact))
    }

    /// Writes the fields of `contact` that have a value.
    pub fn edit_contact(&self, lead: DocId, id: EntryId, contact: Contact) -> Result<()> {
        self.say(self.inner.edit_contact(lead, id, &contact))
    }

    /// Removes a contact.
    pub fn remove_contact(&self, lead: DocId, id: EntryId) -> Result<()> {
        self.say(self.inner.remove_contact(lead, id))
    }

    /// Adds a todo. `due` is an ISO day, or milliseconds since 1970 UTC.
    pub fn add_todo(&self, lead: DocId, title: String, due: Option<String>) -> Result<EntryId> {
        self.say(self.inner.add_todo(lead, &title, due.as_deref()))
    }

    /// Marks a todo done, or open again.
    pub fn complete_todo(&self, lead: DocId, id: EntryId, done: bool) -> Result<()> {
        self.say(self.inner.complete_todo(lead, id, done))
    }

    /// Removes a todo.
    pub fn remove_todo(&self, lead: DocId, id: EntryId) -> Result<()> {
        self.say(self.inner.remove_todo(lead, id))
    }

    /// Puts a tag on that counts for `days` (C47); without: for ever.
    pub fn tag(&self, lead: DocId, name: String, days: Option<u32>) -> Result<()> {
        self.say(self.inner.tag(lead, &name, days))
    }

    /// Takes a tag off.
    pub fn untag(&self, lead: DocId, name: String) -> Result<()> {
        self.say(self.inner.untag(lead, &name))
    }

    /// Ticks or unticks a row of the advancement table (C55).
    pub fn tick(&self, lead: DocId, row: String, confirmed: bool) -> Result<()> {
        self.say(self.inner.tick(lead, &row, confirmed))
    }

    /// Writes what was found out for a row of the advancement table (C55, C56).
    pub fn answer(&self, lead: DocId, row: String, answer: String) -> Result<()> {
        self.say(self.inner.answer(lead, &row, &answer))
    }
}

/// Accounts. Their contacts, tags and notes are written by the calls for those of a lead.
#[uniffi::export]
impl Fieldbook {
    /// Creates an account, which needs a name; on the phone's disk when this returns. A lead names it by `account`.
    pub fn create_account(&self, account: NewAccount) -> Result<DocId> {
        self.say(self.inner.create_account(&account))
    }

    /// Writes the fields of `set` that have a value and empties those named in `clear`.
    pub fn edit_account(&self, account: DocId, set: AccountFields, clear: Vec<String>) -> Result<()> {
        self.say(self.inner.edit_account(account, &set, &clear))
    }

    /// Everything of one account.
    pub fn account(&self, account: DocId) -> Result<AccountPage> {
        self.say(self.inner.account(account))
    }

    /// The accounts on this phone by name. A text finds parts of names, pinyin initials and syllables.
    pub fn accounts(&self, text: String) -> Result<Vec<AccountRow>> {
        self.say(self.inner.accounts(&text))
    }
}

/// What happened, conflicts, evidence.
#[uniffi::export]
impl Fieldbook {
    /// Logs a visit and sets 客户状态, 下一步动作 and 预计成交时间 of the lead where the visit tells them (C4).
    pub fn log_visit(&self, lead: DocId, visit: Visit) -> Result<EntryId> {
        self.say(self.inner.log_visit(lead, &visit))
    }

    /// Logs a call, a message, a mail.
    pub fn log_touch(&self, lead: DocId, touch: Touch) -> Result<EntryId> {
        self.say(self.inner.log_touch(lead, &touch))
    }

    /// Proposes a stage; the server confirms it or rolls it back naming what is missing (O4).
    pub fn propose_stage(&self, lead: DocId, proposal: StageProposal) -> Result<EntryId> {
        self.say(self.inner.propose_stage(lead, &proposal))
    }

    /// Takes an entry of the timeline back.
    pub fn retract(&self, lead: DocId, entry: EntryId) -> Result<()> {
        self.say(self.inner.retract(lead, entry))
    }

    /// Every conflict of every document on this phone: leads, their tables, calendars, accounts.
    pub fn all_conflicts(&self) -> Result<Vec<ConflictItem>> {
        self.say(self.inner.all_conflicts())
    }

    /// The conflicts of a lead and its table.
    pub fn conflicts(&self, lead: DocId) -> Result<Vec<ConflictItem>> {
        self.say(self.inner.conflicts(lead))
    }

    /// Settles a conflict by keeping the value `choice` (from 0) of those that it shows. Refused with code `stale` when they have changed.
    pub fn resolve(&self, conflict: ConflictItem, choice: u32) -> Result<()> {
        let chosen = conflict.values.get(choice as usize).ok_or(device::Error::Stale);
        let chosen = self.say(chosen)?;
        self.say(self.inner.resolve(conflict.doc, &conflict.path, &chosen.value))
    }

    /// Work of this phone that the server did not merge, with its words.
    pub fn kept(&self) -> Result<Vec<KeptItem>> {
        self.say(self.inner.kept())
    }

    /// Takes one piece of it off the list, because its author has read it or made it again. What the server holds waits for its decision all
    /// the same.
    pub fn dismiss_kept(&self, kept: KeptItem) -> Result<()> {
        self.say(self.inner.dismiss_kept(kept.doc, kept.number))
    }

    /// Attaches bytes to a lead: encrypted on this phone and named in the lead when this returns; on the server after the next contact.
    pub fn attach(&self, lead: DocId, what: Attachment, bytes: Vec<u8>) -> Result<EntryId> {
        self.say(self.inner.attach(lead, &what, &bytes))
    }

    /// As `attach`, from a file. The file is not touched and not needed afterwards.
    pub fn attach_file(&self, lead: DocId, what: Attachment, path: String) -> Result<EntryId> {
        self.say(self.inner.attach_file(lead, &what, Path::new(&path)))
    }

    /// The bytes of a piece of evidence that a lead names: from this phone, or from the server, for which it blocks at most `timeout_ms`.
    pub fn evidence(
        &self,
        lead: DocId,
        hash: Hash32,
        timeout_ms: u32,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<Vec<u8>> {
        self.say(self.inner.evidence(lead, hash, ms(timeout_ms), token(cancel)))
    }
}

/// What the rules say, and what follows from a talk. Works without network.
#[uniffi::export]
impl Fieldbook {
    /// Everything that the rules say of one lead, now. A part that cannot be said is nothing, and `undetermined` names what is missing.
    pub fn judge(&self, lead: DocId) -> Result<LeadJudgement> {
        self.say(self.inner.judge(lead))
    }

    /// The home page over the user's own leads: today's five most pressing things, each with the money that hangs on it (C32), what to fill
    /// in before the next visits (C33), and the first responses that are owed.
    pub fn home(&self) -> Result<Home> {
        self.say(self.inner.home())
    }

    /// The policy in force, as far as an app draws forms by it.
    pub fn policy(&self) -> Result<PolicyForms> {
        self.say(self.inner.policy())
    }

    /// What is proposed after a talk in which this was said (C31). Nothing is written; `finish_talk` does that.
    pub fn end_of_talk(&self, lead: DocId, text: String) -> Result<EndOfTalk> {
        self.say(self.inner.end_of_talk(lead, &text))
    }

    /// Logs a talk, makes the todo for the next contact and sets 客户状态, in one act that `undo` takes back as one.
    pub fn finish_talk(&self, lead: DocId, plan: TalkPlan) -> Result<FinishedTalk> {
        self.say(self.inner.finish_talk(lead, &plan))
    }

    /// Whether a purpose of the calendar says nothing (C59).
    pub fn is_vague_purpose(&self, text: String) -> Result<bool> {
        self.say(self.inner.is_vague_purpose(&text))
    }

    /// Whether 沟通中 may be set by hand (C36): what shows that there was a talk, or the refusal.
    pub fn may_start_talk(&self, lead: DocId) -> Result<TalkStart> {
        self.say(self.inner.may_start_talk(lead))
    }

    /// What a dictated note or a shared message says (C43, C44, C83, C84). `on` is the day on which it was spoken or written, ISO; none: today.
    /// What it does not say is empty, and nothing is kept.
    pub fn read_note(&self, text: String, on: Option<String>) -> Result<NoteReading> {
        self.say(self.inner.read_note(&text, on.as_deref()))
    }

    /// Whether a first contact asks an open question about the customer's need, and which (C35).
    pub fn first_contact(&self, text: String) -> Result<FirstContact> {
        self.say(self.inner.first_contact(&text))
    }

    /// 话术包 (C38): the talk pack of this id, as a judgement or the end of a talk named it; refused with code `not_found` where there is none.
    pub fn talk_pack(&self, id: String) -> Result<TalkPackItem> {
        self.say(self.inner.talk_pack(&id))
    }

    /// 资料: the material of this id, as a judgement or a talk pack named it; refused with code `not_found` where there is none.
    pub fn material(&self, id: String) -> Result<MaterialItem> {
        self.say(self.inner.material(&id))
    }

    /// 查看类似丢单 (C94): up to three deals that were lost and are like this lead, the most alike first, each with what they have in common.
    pub fn similar_lost_deals(&self, lead: DocId) -> Result<Vec<LostDealItem>> {
        self.say(self.inner.similar_lost_deals(lead))
    }

    /// The talk packs and lost deals that speak of something: 账期, CT. An empty text finds all.
    pub fn search_playbook(&self, text: String) -> Result<PlaybookFound> {
        self.say(self.inner.search_playbook(&text))
    }

    /// Ticks or unticks a question of the loss predictor (C39), by its id in the policy.
    pub fn tick_loss(&self, lead: DocId, tick: String, ticked: bool) -> Result<()> {
        self.say(self.inner.tick_loss(lead, &tick, ticked))
    }

    /// Answers a question of the week (C7), by the key that the judgement gave it.
    pub fn answer_question(&self, lead: DocId, key: String, text: String) -> Result<()> {
        self.say(self.inner.answer_question(lead, &key, &text))
    }

    /// Logs something that the customer did or that somebody recorded, of a kind that the policy names.
    pub fn log_signal(&self, lead: DocId, signal: Signal) -> Result<EntryId> {
        self.say(self.inner.log_signal(lead, &signal))
    }

    /// A leader's word on a proposal of somebody else (C28); refused with code `leaders_only` for whom the directory has as none.
    pub fn approve(&self, lead: DocId, proposal: EntryId, approved: bool, note: String) -> Result<EntryId> {
        self.say(self.inner.approve(lead, proposal, approved, &note))
    }

    /// Notes that the owner has opened the lead (C18), once for each assignment. Whether it was noted.
    pub fn mark_read(&self, lead: DocId) -> Result<bool> {
        self.say(self.inner.mark_read(lead))
    }
}

/// The calendar, and the user's phones.
#[uniffi::export]
impl Fieldbook {
    /// Plans a block (C59); it needs a day and a purpose.
    pub fn plan_entry(&self, entry: CalendarEntry) -> Result<EntryId> {
        self.say(self.inner.plan_entry(&entry))
    }

    /// Moves a block to another ISO day, in whatever month, under the same id.
    pub fn move_entry(&self, id: EntryId, day: String) -> Result<()> {
        self.say(self.inner.move_entry(id, &day))
    }

    /// Writes the fields of `entry` that have a value, except the day.
    pub fn edit_entry(&self, id: EntryId, entry: CalendarEntry) -> Result<()> {
        self.say(self.inner.edit_entry(id, &entry))
    }

    /// Marks a block done, or open again.
    pub fn complete_entry(&self, id: EntryId, done: bool) -> Result<()> {
        self.say(self.inner.complete_entry(id, done))
    }

    /// Removes a block.
    pub fn remove_entry(&self, id: EntryId) -> Result<()> {
        self.say(self.inner.remove_entry(id))
    }

    /// The blocks of a month (`2026-02`), by day and time.
    pub fn calendar(&self, month: String) -> Result<Vec<CalendarItem>> {
        self.say(self.inner.calendar(&month))
    }

    /// What belongs into the 3×3 of importance and urgency today (C58): every item has its cell.
    pub fn board(&self) -> Result<Vec<CalendarItem>> {
        self.say(self.inner.board())
    }

    /// A page of HTML for one sheet of A4: the 3×3 of today with tomorrow's three most important open blocks (C60).
    pub fn sheet(&self) -> Result<String> {
        self.say(self.inner.sheet())
    }

    /// Today's blocks and every open todo that is due.
    pub fn today(&self) -> Result<Today> {
        self.say(self.inner.today())
    }

    /// A one-time code for the user's next phone, and what this one has yet to send; blocks at most `timeout_ms`.
    pub fn handover(&self, timeout_ms: u32, cancel: Option<Arc<CancelToken>>) -> Result<Handover> {
        self.say(self.inner.handover(ms(timeout_ms), token(cancel)))
    }

    /// The phones of this user; blocks at most `timeout_ms`.
    pub fn phones(&self, timeout_ms: u32, cancel: Option<Arc<CancelToken>>) -> Result<Vec<Phone>> {
        self.say(self.inner.phones(ms(timeout_ms), token(cancel)))
    }

    /// Ends another phone of this user; blocks at most `timeout_ms`. A stolen one is wiped and nothing that it sends is kept.
    pub fn end_phone(
        &self,
        device: DeviceId,
        stolen: bool,
        timeout_ms: u32,
        cancel: Option<Arc<CancelToken>>,
    ) -> Result<()> {
        self.say(self.inner.end_phone(device, stolen, ms(timeout_ms), token(cancel)))
    }
}

impl Fieldbook {
    /// An answer of the device, with its error in the user's language.
    fn say<T>(&self, answer: std::result::Result<T, device::Error>) -> Result<T> {
        answer.map_err(|error| FieldbookError::of(&error, self.inner.language()))
    }
}

fn ms(timeout_ms: u32) -> Duration {
    Duration::from_millis(timeout_ms.into())
}

fn token(cancel: Option<Arc<CancelToken>>) -> Option<Arc<device::CancelToken>> {
    cancel.map(|token| token.0.clone())
}
