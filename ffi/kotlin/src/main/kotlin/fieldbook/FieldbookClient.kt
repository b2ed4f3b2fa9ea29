/*
 * The Fieldbook of a Kotlin app: suspend functions and a Flow over the generated bindings.
 * It adds threads, time-outs and cancellation, and decides nothing: every answer comes from the library.
 */
package fieldbook

import fieldbook.generated.Change
import fieldbook.generated.Config
import fieldbook.generated.Fieldbook
import fieldbook.generated.FieldbookException
import fieldbook.generated.LeadSummary
import fieldbook.generated.SyncReport
import kotlin.time.Duration
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.CoroutineDispatcher
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.withContext

/**
 * The one handle of an app, usable from any thread. Every suspend function runs its blocking call on [io], so it may be
 * called from the main thread. A call after [close] throws [FieldbookException.Closed].
 */
class FieldbookClient private constructor(private val raw: Fieldbook, private val io: CoroutineDispatcher) :
    AutoCloseable {

    /**
     * What to read again, from the moment of collection until [close]. Each collector has its own subscription, which
     * ends with the collection. A collector that falls more than [CHANGES_HELD] changes behind gets
     * [Change.Everything] instead of what it missed.
     */
    val changes: Flow<Change> = changesOf(raw)

    /** Creates a lead; on the phone's disk when this returns. */
    suspend fun createLead(customer: String): LeadSummary = withContext(io) { raw.createLead(customer) }

    /** The leads whose customer contains [query]; an empty query finds all. */
    suspend fun leads(query: String = ""): List<LeadSummary> = withContext(io) { raw.leads(query) }

    /**
     * Exchanges edits with the server. Throws [FieldbookException.Offline] when it took longer than [timeout];
     * cancelling the coroutine ends the exchange. Either way nothing is lost and the call may be repeated.
     */
    suspend fun syncNow(timeout: Duration = 30.seconds): SyncReport =
        cancellable(io) { token -> raw.syncNow(timeout.milliseconds32(), token) }

    /** Ends everything and frees the store. Blocks for moments; safe to repeat. */
    override fun close() = raw.shutdown()

    companion object {
        /** Opens or makes the store. */
        suspend fun open(config: Config, io: CoroutineDispatcher = Dispatchers.IO): FieldbookClient =
            withContext(io) { FieldbookClient(Fieldbook.open(config), io) }
    }
}
