// The Fieldbook of a Swift app: async functions and an AsyncSequence over the generated bindings.
// It adds threads, time-outs and cancellation, and decides nothing: every answer comes from the library.

import Foundation

/// The one handle of an app, usable from any task. Blocking calls run on a queue of their own, never on Swift's
/// cooperative threads. Calls throw `FieldbookError`: decide by the case or its `code`, show its `text`, log its `detail`.
/// A call after `close()` throws `FieldbookError.Closed`.
public final class FieldbookClient: @unchecked Sendable {
    private let raw: Fieldbook

    private init(raw: Fieldbook) {
        self.raw = raw
    }

    /// Opens or makes the store.
    public static func open(_ config: Config) async throws -> FieldbookClient {
        FieldbookClient(raw: try await blocking { try Fieldbook.open(config: config) })
    }

    /// What to read again, until `close()`, beginning with `.everything`. Each iteration has its own subscription.
    public var changes: Changes { Changes(raw: raw) }

    /// Ends everything and frees the store; safe to repeat.
    public func close() async {
        try? await blocking { [raw] in raw.shutdown() }
    }
}

/// The phone and its server.
extension FieldbookClient {
    /// Enrols this phone with the content of a QR code (`https://…/enrol#CODE`).
    @discardableResult
    public func enrol(_ invitation: String, deviceName: String, timeout: Duration = .seconds(30)) async throws -> Me {
        try await cancellable { [raw] token in
            try raw.enrol(
                invitation: invitation, deviceName: deviceName, timeoutMs: timeout.milliseconds32, cancel: token)
        }
    }

    /// Who this phone is; nil when it is not enrolled.
    public func me() async throws -> Me? { try await call { try $0.me() } }

    /// How things stand.
    public func status() async throws -> Status { try await call { try $0.status() } }

    /// Sends everything up and takes everything down, once. Throws `FieldbookError.Offline` when it took longer than
    /// `timeout`; cancelling the task ends the exchange with `CancellationError`. Either way nothing is lost and the call
    /// may be repeated.
    @discardableResult
    public func syncNow(timeout: Duration = .seconds(30)) async throws -> SyncReport {
        try await cancellable { [raw] token in try raw.syncNow(timeoutMs: timeout.milliseconds32, cancel: token) }
    }

    /// Stays connected from now on, and comes back after a loss.
    public func startBackground() async throws { try await call { try $0.startBackground() } }

    /// Ends the standing connection.
    public func stopBackground() async throws { try await call { try $0.stopBackground() } }

    /// Tells what the system says of the network. Until then it counts as metered.
    public func setNetwork(_ network: Network) async throws { try await call { try $0.setNetwork(network: network) } }

    /// For the moment when the app goes to the background: the store opens fast even after a kill.
    public func settle() async throws { try await call { try $0.settle() } }

    /// For a phone on its charger: compacts the store when that is worth it. Other calls wait meanwhile.
    public func maintain() async throws { try await call { try $0.maintain() } }

    /// Deletes everything on this phone and forgets its enrolment.
    public func leave(discardUnsent: Bool = false) async throws {
        try await call { try $0.leave(discardUnsent: discardUnsent) }
    }

    /// A one-time code for the user's next phone, and what this one has yet to send.
    public func handover(timeout: Duration = .seconds(30)) async throws -> Handover {
        try await cancellable { [raw] token in try raw.handover(timeoutMs: timeout.milliseconds32, cancel: token) }
    }

    /// The phones of this user.
    public func phones(timeout: Duration = .seconds(30)) async throws -> [Phone] {
        try await cancellable { [raw] token in try raw.phones(timeoutMs: timeout.milliseconds32, cancel: token) }
    }

    /// Ends another phone of this user; a stolen one is wiped and nothing that it sends is kept.
    public func endPhone(_ device: DeviceId, stolen: Bool = false, timeout: Duration = .seconds(30)) async throws {
        try await cancellable { [raw] token in
            try raw.endPhone(device: device, stolen: stolen, timeoutMs: timeout.milliseconds32, cancel: token)
        }
    }

    /// The sentence for a code that came without an error.
    public func sentence(for code: String) -> String { raw.sentence(code: code) }
}

/// Leads.
extension FieldbookClient {
    /// Creates a lead; on the phone's disk when this returns. Customer, phone and need are mandatory.
    public func createLead(_ fields: LeadFields, notes: String = "", contacts: [Contact] = []) async throws -> DocId {
        try await call { try $0.createLead(lead: NewLead(fields: fields, notes: notes, contacts: contacts)) }
    }

    /// Writes the fields of `set` that have a value and empties those named in `clear`.
    public func editLead(_ lead: DocId, set: LeadFields = LeadFields(), clear: [String] = []) async throws {
        try await call { try $0.editLead(lead: lead, set: set, clear: clear) }
    }

    /// Brings in what the user typed: the editor opened with `base` and ended with `text`. What others typed meanwhile stays.
    public func editNotes(_ lead: DocId, base: String, text: String) async throws {
        try await call { try $0.editNotes(lead: lead, base: base, text: text) }
    }

    /// Deletes a lead; it can be restored.
    public func deleteLead(_ lead: DocId) async throws { try await call { try $0.deleteLead(lead: lead) } }

    /// Brings a deleted lead back.
    public func restoreLead(_ lead: DocId) async throws { try await call { try $0.restoreLead(lead: lead) } }

    /// Takes the last act of this phone back, as far as nobody has written over it or built on it since.
    @discardableResult
    public func undo() async throws -> Undone { try await call { try $0.undo() } }

    /// A page of leads, the last changed first. `text` finds parts of names, pinyin initials and syllables. With `deleted`
    /// the leads that were deleted, which are in no other list.
    public func leads(
        matching text: String = "", offset: UInt32 = 0, limit: UInt32 = 50, onlyConflicts: Bool = false,
        deleted: Bool = false
    ) async throws -> [LeadRow] {
        let query = LeadQuery(
            text: text, offset: offset, limit: limit, onlyConflicts: onlyConflicts, deleted: deleted)
        return try await call { try $0.leads(query: query) }
    }

    /// Everything of one lead.
    public func lead(_ lead: DocId) async throws -> LeadPage { try await call { try $0.lead(lead: lead) } }

    /// Adds a contact.
    @discardableResult
    public func addContact(_ lead: DocId, _ contact: Contact) async throws -> EntryId {
        try await call { try $0.addContact(lead: lead, contact: contact) }
    }

    /// Writes the fields of `contact` that have a value.
    public func editContact(_ lead: DocId, id: EntryId, _ contact: Contact) async throws {
        try await call { try $0.editContact(lead: lead, id: id, contact: contact) }
    }

    /// Removes a contact.
    public func removeContact(_ lead: DocId, id: EntryId) async throws {
        try await call { try $0.removeContact(lead: lead, id: id) }
    }

    /// Adds a todo. `due` is an ISO day, or milliseconds since 1970 UTC as text.
    @discardableResult
    public func addTodo(_ lead: DocId, title: String, due: String? = nil) async throws -> EntryId {
        try await call { try $0.addTodo(lead: lead, title: title, due: due) }
    }

    /// Marks a todo done, or open again.
    public func completeTodo(_ lead: DocId, id: EntryId, done: Bool = true) async throws {
        try await call { try $0.completeTodo(lead: lead, id: id, done: done) }
    }

    /// Removes a todo.
    public func removeTodo(_ lead: DocId, id: EntryId) async throws {
        try await call { try $0.removeTodo(lead: lead, id: id) }
    }

    /// Puts a tag on that counts for `days`; nil: for ever.
    public func tag(_ lead: DocId, _ name: String, days: UInt32? = nil) async throws {
        try await call { try $0.tag(lead: lead, name: name, days: days) }
    }

    /// Takes a tag off.
    public func untag(_ lead: DocId, _ name: String) async throws {
        try await call { try $0.untag(lead: lead, name: name) }
    }

    /// Ticks or unticks a row of the advancement table.
    public func tick(_ lead: DocId, row: String, confirmed: Bool = true) async throws {
        try await call { try $0.tick(lead: lead, row: row, confirmed: confirmed) }
    }

    /// Writes what was found out for a row of the advancement table.
    public func answer(_ lead: DocId, row: String, _ answer: String) async throws {
        try await call { try $0.answer(lead: lead, row: row, answer: answer) }
    }
}

/// Accounts. Their contacts, tags and notes are written by the calls for those of a lead.
extension FieldbookClient {
    /// Creates an account, which needs a name; on the phone's disk when this returns.
    public func createAccount(
        _ fields: AccountFields, notes: String = "", contacts: [Contact] = []
    ) async throws -> DocId {
        let account = NewAccount(fields: fields, notes: notes, contacts: contacts)
        return try await call { try $0.createAccount(account: account) }
    }

    /// Writes the fields of `set` that have a value and empties those named in `clear`.
    public func editAccount(
        _ account: DocId, set: AccountFields = AccountFields(), clear: [String] = []
    ) async throws {
        try await call { try $0.editAccount(account: account, set: set, clear: clear) }
    }

    /// Everything of one account.
    public func account(_ account: DocId) async throws -> AccountPage {
        try await call { try $0.account(account: account) }
    }

    /// The accounts on this phone by name. `text` finds parts of names, pinyin initials and syllables.
    public func accounts(matching text: String = "") async throws -> [AccountRow] {
        try await call { try $0.accounts(text: text) }
    }
}

/// What happened, conflicts, evidence.
extension FieldbookClient {
    /// Logs a visit and sets state, next action and date of the lead where the visit tells them.
    @discardableResult
    public func logVisit(_ lead: DocId, _ visit: Visit) async throws -> EntryId {
        try await call { try $0.logVisit(lead: lead, visit: visit) }
    }

    /// Logs a call, a message, a mail.
    @discardableResult
    public func logTouch(_ lead: DocId, _ touch: Touch) async throws -> EntryId {
        try await call { try $0.logTouch(lead: lead, touch: touch) }
    }

    /// Proposes a stage; the server confirms it or rolls it back.
    @discardableResult
    public func proposeStage(_ lead: DocId, _ proposal: StageProposal) async throws -> EntryId {
        try await call { try $0.proposeStage(lead: lead, proposal: proposal) }
    }

    /// Takes an entry of the timeline back.
    public func retract(_ lead: DocId, entry: EntryId) async throws {
        try await call { try $0.retract(lead: lead, entry: entry) }
    }

    /// Every conflict on this phone: of leads, their tables, calendars, accounts.
    public func allConflicts() async throws -> [ConflictItem] { try await call { try $0.allConflicts() } }

    /// The conflicts of a lead and its table.
    public func conflicts(_ lead: DocId) async throws -> [ConflictItem] {
        try await call { try $0.conflicts(lead: lead) }
    }

    /// Settles a conflict by keeping `conflict.values[choice]`; code `stale` when they have changed.
    public func resolve(_ conflict: ConflictItem, choice: Int) async throws {
        try await call { try $0.resolve(conflict: conflict, choice: UInt32(choice)) }
    }

    /// Work of this phone that the server did not merge, with its words.
    public func kept() async throws -> [KeptItem] { try await call { try $0.kept() } }

    /// Takes one piece of it off the list; what the server holds waits for its decision all the same.
    public func dismiss(_ kept: KeptItem) async throws { try await call { try $0.dismissKept(kept: kept) } }

    /// Attaches bytes to a lead; on the server after the next contact.
    @discardableResult
    public func attach(_ lead: DocId, _ what: Attachment, bytes: Data) async throws -> EntryId {
        try await call { try $0.attach(lead: lead, what: what, bytes: bytes) }
    }

    /// As `attach`, from a file, which is not needed afterwards.
    @discardableResult
    public func attach(_ lead: DocId, _ what: Attachment, file: URL) async throws -> EntryId {
        try await call { try $0.attachFile(lead: lead, what: what, path: file.path) }
    }

    /// The bytes of a piece of evidence: from this phone, or from the server.
    public func evidence(_ lead: DocId, hash: Hash32, timeout: Duration = .seconds(60)) async throws -> Data {
        try await cancellable { [raw] token in
            try raw.evidence(lead: lead, hash: hash, timeoutMs: timeout.milliseconds32, cancel: token)
        }
    }
}

/// What the rules say, and what follows from a talk.
extension FieldbookClient {
    /// Everything that the rules say of one lead, now; a part that cannot be said is nil, `undetermined` names why.
    public func judge(_ lead: DocId) async throws -> LeadJudgement { try await call { try $0.judge(lead: lead) } }

    /// The home page: today's five most pressing things, what to fill in before visits, responses that are owed.
    public func home() async throws -> Home { try await call { try $0.home() } }

    /// The policy in force, as far as an app draws forms by it.
    public func policy() async throws -> PolicyForms { try await call { try $0.policy() } }

    /// What is proposed after a talk in which `text` was said; `finishTalk` writes it.
    public func endOfTalk(_ lead: DocId, text: String = "") async throws -> EndOfTalk {
        try await call { try $0.endOfTalk(lead: lead, text: text) }
    }

    /// Logs the talk, makes the todo for the next contact and sets the state, in one act that `undo` takes back.
    @discardableResult
    public func finishTalk(_ lead: DocId, _ plan: TalkPlan) async throws -> FinishedTalk {
        try await call { try $0.finishTalk(lead: lead, plan: plan) }
    }

    /// Whether a purpose of the calendar says nothing.
    public func isVaguePurpose(_ text: String) async throws -> Bool {
        try await call { try $0.isVaguePurpose(text: text) }
    }

    /// Whether 沟通中 may be set by hand: what shows that there was a talk, or the refusal.
    public func mayStartTalk(_ lead: DocId) async throws -> TalkStart {
        try await call { try $0.mayStartTalk(lead: lead) }
    }

    /// What a dictated note or a shared message says; `on` is the day on which it was spoken or written, ISO, else today. What it does not
    /// say is nil, and nothing is kept.
    public func readNote(_ text: String, on day: String? = nil) async throws -> NoteReading {
        try await call { try $0.readNote(text: text, on: day) }
    }

    /// Whether a first contact asks an open question about the customer's need, and which.
    public func firstContact(_ text: String) async throws -> FirstContact {
        try await call { try $0.firstContact(text: text) }
    }

    /// The talk pack of this id, as a judgement or the end of a talk named it; refused with code `not_found` where there is none.
    public func talkPack(_ id: String) async throws -> TalkPackItem {
        try await call { try $0.talkPack(id: id) }
    }

    /// The material of this id, as a judgement or a talk pack named it; refused with code `not_found` where there is none.
    public func material(_ id: String) async throws -> MaterialItem {
        try await call { try $0.material(id: id) }
    }

    /// Up to three deals that were lost and are like this lead, the most alike first, each with what they have in common.
    public func similarLostDeals(_ lead: DocId) async throws -> [LostDealItem] {
        try await call { try $0.similarLostDeals(lead: lead) }
    }

    /// The talk packs and lost deals that speak of something; an empty text finds all.
    public func searchPlaybook(_ text: String = "") async throws -> PlaybookFound {
        try await call { try $0.searchPlaybook(text: text) }
    }

    /// Ticks or unticks a question of the loss predictor, by its id in `policy()`.
    public func tickLoss(_ lead: DocId, _ tick: String, ticked: Bool = true) async throws {
        try await call { try $0.tickLoss(lead: lead, tick: tick, ticked: ticked) }
    }

    /// Answers a question of the week, by the key that `judge` gave it.
    public func answerQuestion(_ lead: DocId, key: String, text: String) async throws {
        try await call { try $0.answerQuestion(lead: lead, key: key, text: text) }
    }

    /// Logs a signal, of a kind that the policy names.
    @discardableResult
    public func logSignal(_ lead: DocId, _ signal: Signal) async throws -> EntryId {
        try await call { try $0.logSignal(lead: lead, signal: signal) }
    }

    /// A leader's word on a colleague's proposal; `FieldbookError.Refused` for everybody else.
    @discardableResult
    public func approve(
        _ lead: DocId, proposal: EntryId, approved: Bool = true, note: String = ""
    ) async throws -> EntryId {
        try await call { try $0.approve(lead: lead, proposal: proposal, approved: approved, note: note) }
    }

    /// Notes that the owner has opened the lead, once for each assignment. Whether it was noted.
    @discardableResult
    public func markRead(_ lead: DocId) async throws -> Bool { try await call { try $0.markRead(lead: lead) } }
}

/// The calendar.
extension FieldbookClient {
    /// Plans a block; it needs a day and a purpose.
    @discardableResult
    public func planEntry(_ entry: CalendarEntry) async throws -> EntryId {
        try await call { try $0.planEntry(entry: entry) }
    }

    /// Moves a block to another ISO day.
    public func moveEntry(_ id: EntryId, to day: String) async throws {
        try await call { try $0.moveEntry(id: id, day: day) }
    }

    /// Writes the fields of `entry` that have a value, except the day.
    public func editEntry(_ id: EntryId, _ entry: CalendarEntry) async throws {
        try await call { try $0.editEntry(id: id, entry: entry) }
    }

    /// Marks a block done, or open again.
    public func completeEntry(_ id: EntryId, done: Bool = true) async throws {
        try await call { try $0.completeEntry(id: id, done: done) }
    }

    /// Removes a block.
    public func removeEntry(_ id: EntryId) async throws { try await call { try $0.removeEntry(id: id) } }

    /// The blocks of a month (`2026-02`), by day and time.
    public func calendar(month: String) async throws -> [CalendarItem] {
        try await call { try $0.calendar(month: month) }
    }

    /// What belongs into today's 3×3 of importance and urgency.
    public func board() async throws -> [CalendarItem] { try await call { try $0.board() } }

    /// A page of HTML for one sheet of A4: the 3×3 with tomorrow's three most important open blocks.
    public func sheet() async throws -> String { try await call { try $0.sheet() } }

    /// Today's blocks and every open todo that is due.
    public func today() async throws -> Today { try await call { try $0.today() } }
}

extension FieldbookClient {
    /// A short call: at most a disk write.
    private func call<T: Sendable>(_ what: @escaping @Sendable (Fieldbook) throws -> T) async throws -> T {
        try await blocking { [raw] in try what(raw) }
    }
}
