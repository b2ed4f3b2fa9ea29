/*
 * The Fieldbook of a Kotlin app: suspend functions and a Flow over the generated bindings.
 * It adds threads, time-outs and cancellation, and decides nothing: every answer comes from the library.
 */
package fieldbook

import fieldbook.generated.*
import kotlin.time.Duration
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.CoroutineDispatcher
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.withContext

/**
 * The one handle of an app, usable from any thread. Every suspend function runs its blocking call on [io], so it may be
 * called from the main thread. Calls throw [FieldbookException]: decide by the variant or its `code`, show its `text`, log
 * its `detail`. A call after [close] throws [FieldbookException.Closed].
 */
class FieldbookClient private constructor(private val raw: Fieldbook, private val io: CoroutineDispatcher) :
    AutoCloseable {

    /**
     * What to read again, until [close]. It begins with [Change.Everything], once the subscription stands: a collector
     * that reads then, and after each change, misses nothing. Each collector has its own subscription, which ends with
     * the collection. A collector that falls more than [CHANGES_HELD] changes behind gets
     * [Change.Everything] instead of what it missed.
     */
    val changes: Flow<Change> = changesOf(raw)

    /** Ends everything and frees the store. Blocks for moments; safe to repeat. */
    override fun close() = raw.shutdown()

    // The phone and its server.

    /** Enrols this phone with the content of a QR code (`https://…/enrol#CODE`). */
    suspend fun enrol(invitation: String, deviceName: String, timeout: Duration = 30.seconds): Me =
        cancellable(io) { token -> raw.enrol(invitation, deviceName, timeout.milliseconds32(), token) }

    /** Who this phone is; null when it is not enrolled. */
    suspend fun me(): Me? = call { me() }

    /** How things stand. */
    suspend fun status(): Status = call { status() }

    /**
     * Sends everything up and takes everything down, once. Throws [FieldbookException.Offline] when it took longer than
     * [timeout]; cancelling the coroutine ends the exchange. Either way nothing is lost and the call may be repeated.
     */
    suspend fun syncNow(timeout: Duration = 30.seconds): SyncReport =
        cancellable(io) { token -> raw.syncNow(timeout.milliseconds32(), token) }

    /** Stays connected from now on, and comes back after a loss. */
    suspend fun startBackground() = call { startBackground() }

    /** Ends the standing connection. */
    suspend fun stopBackground() = call { stopBackground() }

    /** Tells what the system says of the network. Until then it counts as metered. */
    suspend fun setNetwork(network: Network) = call { setNetwork(network) }

    /** For the moment when the app goes to the background: the store opens fast even after a kill. */
    suspend fun settle() = call { settle() }

    /** For a phone on its charger: compacts the store when that is worth it. Other calls wait meanwhile. */
    suspend fun maintain() = call { maintain() }

    /** Deletes everything on this phone and forgets its enrolment. */
    suspend fun leave(discardUnsent: Boolean = false) = call { leave(discardUnsent) }

    /** A one-time code for the user's next phone, and what this one has yet to send. */
    suspend fun handover(timeout: Duration = 30.seconds): Handover =
        cancellable(io) { token -> raw.handover(timeout.milliseconds32(), token) }

    /** The phones of this user. */
    suspend fun phones(timeout: Duration = 30.seconds): List<Phone> =
        cancellable(io) { token -> raw.phones(timeout.milliseconds32(), token) }

    /** Ends another phone of this user; a stolen one is wiped and nothing that it sends is kept. */
    suspend fun endPhone(device: DeviceId, stolen: Boolean = false, timeout: Duration = 30.seconds): Unit =
        cancellable(io) { token -> raw.endPhone(device, stolen, timeout.milliseconds32(), token) }

    /** The sentence for a code that came without an exception. */
    fun sentence(code: String): String = raw.sentence(code)

    // Leads.

    /** Creates a lead; on the phone's disk when this returns. Customer, phone and need are mandatory. */
    suspend fun createLead(fields: LeadFields, notes: String = "", contacts: List<Contact> = emptyList()): DocId =
        call { createLead(NewLead(fields, notes, contacts)) }

    /** Writes the fields of [set] that have a value and empties those named in [clear]. */
    suspend fun editLead(lead: DocId, set: LeadFields = LeadFields(), clear: List<String> = emptyList()) =
        call { editLead(lead, set, clear) }

    /** Brings in what the user typed: the editor opened with [base] and ended with [text]. What others typed meanwhile stays. */
    suspend fun editNotes(lead: DocId, base: String, text: String) = call { editNotes(lead, base, text) }

    /** Deletes a lead; it can be restored. */
    suspend fun deleteLead(lead: DocId) = call { deleteLead(lead) }

    /** Brings a deleted lead back. */
    suspend fun restoreLead(lead: DocId) = call { restoreLead(lead) }

    /** Takes the last act of this phone back, as far as nobody has written over it or built on it since. */
    suspend fun undo(): Undone = call { undo() }

    /**
     * A page of leads, the last changed first. [text] finds parts of names, pinyin initials and syllables. With [deleted] the
     * leads that were deleted, which are in no other list.
     */
    suspend fun leads(
        text: String = "",
        offset: Int = 0,
        limit: Int = 50,
        onlyConflicts: Boolean = false,
        deleted: Boolean = false,
    ): List<LeadRow> = call { leads(LeadQuery(text, offset.toUInt(), limit.toUInt(), onlyConflicts, deleted)) }

    /** Everything of one lead. */
    suspend fun lead(lead: DocId): LeadPage = call { lead(lead) }

    /** Adds a contact. */
    suspend fun addContact(lead: DocId, contact: Contact): EntryId = call { addContact(lead, contact) }

    /** Writes the fields of [contact] that have a value. */
    suspend fun editContact(lead: DocId, id: EntryId, contact: Contact) = call { editContact(lead, id, contact) }

    /** Removes a contact. */
    suspend fun removeContact(lead: DocId, id: EntryId) = call { removeContact(lead, id) }

    /** Adds a todo. [due] is an ISO day, or milliseconds since 1970 UTC as text. */
    suspend fun addTodo(lead: DocId, title: String, due: String? = null): EntryId = call { addTodo(lead, title, due) }

    /** Marks a todo done, or open again. */
    suspend fun completeTodo(lead: DocId, id: EntryId, done: Boolean = true) = call { completeTodo(lead, id, done) }

    /** Removes a todo. */
    suspend fun removeTodo(lead: DocId, id: EntryId) = call { removeTodo(lead, id) }

    /** Puts a tag on that counts for [days]; null: for ever. */
    suspend fun tag(lead: DocId, name: String, days: Int? = null) = call { tag(lead, name, days?.toUInt()) }

    /** Takes a tag off. */
    suspend fun untag(lead: DocId, name: String) = call { untag(lead, name) }

    /** Ticks or unticks a row of the advancement table. */
    suspend fun tick(lead: DocId, row: String, confirmed: Boolean = true) = call { tick(lead, row, confirmed) }

    /** Writes what was found out for a row of the advancement table. */
    suspend fun answer(lead: DocId, row: String, answer: String) = call { answer(lead, row, answer) }

    // Accounts. Their contacts, tags and notes are written by the calls for those of a lead.

    /** Creates an account, which needs a name; on the phone's disk when this returns. */
    suspend fun createAccount(
        fields: AccountFields,
        notes: String = "",
        contacts: List<Contact> = emptyList(),
    ): DocId = call { createAccount(NewAccount(fields, notes, contacts)) }

    /** Writes the fields of [set] that have a value and empties those named in [clear]. */
    suspend fun editAccount(account: DocId, set: AccountFields = AccountFields(), clear: List<String> = emptyList()) =
        call { editAccount(account, set, clear) }

    /** Everything of one account. */
    suspend fun account(account: DocId): AccountPage = call { account(account) }

    /** The accounts on this phone by name. [text] finds parts of names, pinyin initials and syllables. */
    suspend fun accounts(text: String = ""): List<AccountRow> = call { accounts(text) }

    // What happened, conflicts, evidence.

    /** Logs a visit and sets state, next action and date of the lead where the visit tells them. */
    suspend fun logVisit(lead: DocId, visit: Visit): EntryId = call { logVisit(lead, visit) }

    /** Logs a call, a message, a mail. */
    suspend fun logTouch(lead: DocId, touch: Touch): EntryId = call { logTouch(lead, touch) }

    /** Proposes a stage; the server confirms it or rolls it back. */
    suspend fun proposeStage(lead: DocId, proposal: StageProposal): EntryId = call { proposeStage(lead, proposal) }

    /** Takes an entry of the timeline back. */
    suspend fun retract(lead: DocId, entry: EntryId) = call { retract(lead, entry) }

    /** Every conflict on this phone: of leads, their tables, calendars, accounts. */
    suspend fun allConflicts(): List<ConflictItem> = call { allConflicts() }

    /** The conflicts of a lead and its table. */
    suspend fun conflicts(lead: DocId): List<ConflictItem> = call { conflicts(lead) }

    /** Settles a conflict by keeping `conflict.values[choice]`; code `stale` when they have changed. */
    suspend fun resolve(conflict: ConflictItem, choice: Int) = call { resolve(conflict, choice.toUInt()) }

    /** Work of this phone that the server did not merge, with its words. */
    suspend fun kept(): List<KeptItem> = call { kept() }

    /** Takes one piece of it off the list; what the server holds waits for its decision all the same. */
    suspend fun dismissKept(kept: KeptItem) = call { dismissKept(kept) }

    /** Attaches bytes to a lead; on the server after the next contact. */
    suspend fun attach(lead: DocId, what: Attachment, bytes: ByteArray): EntryId = call { attach(lead, what, bytes) }

    /** As [attach], from a file, which is not needed afterwards. */
    suspend fun attachFile(lead: DocId, what: Attachment, path: String): EntryId = call { attachFile(lead, what, path) }

    /** The bytes of a piece of evidence: from this phone, or from the server. */
    suspend fun evidence(lead: DocId, hash: Hash32, timeout: Duration = 60.seconds): ByteArray =
        cancellable(io) { token -> raw.evidence(lead, hash, timeout.milliseconds32(), token) }

    // What the rules say, and what follows from a talk.

    /** Everything that the rules say of one lead, now; a part that cannot be said is null, `undetermined` names why. */
    suspend fun judge(lead: DocId): LeadJudgement = call { judge(lead) }

    /** The home page: today's five most pressing things, what to fill in before visits, responses that are owed. */
    suspend fun home(): Home = call { home() }

    /** The policy in force, as far as an app draws forms by it. */
    suspend fun policy(): PolicyForms = call { policy() }

    /** What is proposed after a talk in which [text] was said; [finishTalk] writes it. */
    suspend fun endOfTalk(lead: DocId, text: String = ""): EndOfTalk = call { endOfTalk(lead, text) }

    /** Logs the talk, makes the todo for the next contact and sets the state, in one act that [undo] takes back. */
    suspend fun finishTalk(lead: DocId, plan: TalkPlan): FinishedTalk = call { finishTalk(lead, plan) }

    /** Whether a purpose of the calendar says nothing. */
    suspend fun isVaguePurpose(text: String): Boolean = call { isVaguePurpose(text) }

    /** Whether 沟通中 may be set by hand: what shows that there was a talk, or the refusal. */
    suspend fun mayStartTalk(lead: DocId): TalkStart = call { mayStartTalk(lead) }

    /**
     * What a dictated note or a shared message says; `on` is the day on which it was spoken or written, ISO, else today. What it does not say
     * is null, and nothing is kept.
     */
    suspend fun readNote(text: String, on: String? = null): NoteReading = call { readNote(text, on) }

    /** Whether a first contact asks an open question about the customer's need, and which. */
    suspend fun firstContact(text: String): FirstContact = call { firstContact(text) }

    /** The talk pack of this id, as a judgement or the end of a talk named it; refused with code `not_found` where there is none. */
    suspend fun talkPack(id: String): TalkPackItem = call { talkPack(id) }

    /** The material of this id, as a judgement or a talk pack named it; refused with code `not_found` where there is none. */
    suspend fun material(id: String): MaterialItem = call { material(id) }

    /** Up to three deals that were lost and are like this lead, the most alike first, each with what they have in common. */
    suspend fun similarLostDeals(lead: DocId): List<LostDealItem> = call { similarLostDeals(lead) }

    /** The talk packs and lost deals that speak of something; an empty text finds all. */
    suspend fun searchPlaybook(text: String = ""): PlaybookFound = call { searchPlaybook(text) }

    /** Ticks or unticks a question of the loss predictor, by its id in [policy]. */
    suspend fun tickLoss(lead: DocId, tick: String, ticked: Boolean = true) = call { tickLoss(lead, tick, ticked) }

    /** Answers a question of the week, by the key that [judge] gave it. */
    suspend fun answerQuestion(lead: DocId, key: String, text: String) = call { answerQuestion(lead, key, text) }

    /** Logs a signal, of a kind that the policy names. */
    suspend fun logSignal(lead: DocId, signal: Signal): EntryId = call { logSignal(lead, signal) }

    /** A leader's word on a colleague's proposal; [FieldbookException.Refused] for everybody else. */
    suspend fun approve(lead: DocId, proposal: EntryId, approved: Boolean = true, note: String = ""): EntryId =
        call { approve(lead, proposal, approved, note) }

    /** Notes that the owner has opened the lead, once for each assignment. Whether it was noted. */
    suspend fun markRead(lead: DocId): Boolean = call { markRead(lead) }

    // The calendar.

    /** Plans a block; it needs a day and a purpose. */
    suspend fun planEntry(entry: CalendarEntry): EntryId = call { planEntry(entry) }

    /** Moves a block to another ISO day. */
    suspend fun moveEntry(id: EntryId, day: String) = call { moveEntry(id, day) }

    /** Writes the fields of [entry] that have a value, except the day. */
    suspend fun editEntry(id: EntryId, entry: CalendarEntry) = call { editEntry(id, entry) }

    /** Marks a block done, or open again. */
    suspend fun completeEntry(id: EntryId, done: Boolean = true) = call { completeEntry(id, done) }

    /** Removes a block. */
    suspend fun removeEntry(id: EntryId) = call { removeEntry(id) }

    /** The blocks of a month (`2026-02`), by day and time. */
    suspend fun calendar(month: String): List<CalendarItem> = call { calendar(month) }

    /** What belongs into today's 3×3 of importance and urgency. */
    suspend fun board(): List<CalendarItem> = call { board() }

    /** A page of HTML for one sheet of A4: the 3×3 with tomorrow's three most important open blocks. */
    suspend fun sheet(): String = call { sheet() }

    /** Today's blocks and every open todo that is due. */
    suspend fun today(): Today = call { today() }

    /** A short call: at most a disk write. It is not cancellable: it is over in moments. */
    private suspend fun <T> call(what: Fieldbook.() -> T): T = withContext(io) { raw.what() }

    companion object {
        /** Opens or makes the store. */
        suspend fun open(config: Config, io: CoroutineDispatcher = Dispatchers.IO): FieldbookClient =
            withContext(io) { FieldbookClient(Fieldbook.open(config), io) }
    }
}
