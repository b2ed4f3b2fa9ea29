/*
 * How blocking calls and listeners become coroutines. Nothing here knows what a call means.
 */
package fieldbook

import fieldbook.generated.CancelToken
import fieldbook.generated.Change
import fieldbook.generated.ChangeListener
import fieldbook.generated.Fieldbook
import java.util.concurrent.atomic.AtomicBoolean
import kotlin.time.Duration
import kotlinx.coroutines.CoroutineDispatcher
import kotlinx.coroutines.channels.awaitClose
import kotlinx.coroutines.flow.Flow
import kotlinx.coroutines.flow.buffer
import kotlinx.coroutines.flow.callbackFlow
import kotlinx.coroutines.flow.flow
import kotlinx.coroutines.suspendCancellableCoroutine

/**
 * Runs a long call on [io]. Cancelling the coroutine returns at once and tells the library to end the call;
 * a result that comes too late is thrown away. The token is freed by its cleaner: freeing it here would race
 * with a cancellation from another thread.
 */
internal suspend fun <T> cancellable(io: CoroutineDispatcher, call: (CancelToken) -> T): T {
    val token = CancelToken()
    return suspendCancellableCoroutine { continuation ->
        continuation.invokeOnCancellation { token.cancel() }
        io.dispatch(continuation.context) { continuation.resumeWith(runCatching { call(token) }) }
    }
}

/** The library counts milliseconds in 32 bits; a longer or infinite time becomes the longest one, 49 days. */
internal fun Duration.milliseconds32(): UInt =
    inWholeMilliseconds.coerceIn(0L, UInt.MAX_VALUE.toLong()).toUInt()

/**
 * A subscription as a cold flow. The listener only hands over and returns: it runs on a thread of the library.
 * What finds the buffer full is counted as missed. The collector then still has a full buffer before it, so it learns
 * of the gap with the next change that it takes, and what it reads from then on contains what it missed.
 * Nobody sees from outside when a cold flow has subscribed, so it says so itself: [Change.Everything] comes first.
 */
internal fun changesOf(raw: Fieldbook): Flow<Change> = flow {
    val missed = AtomicBoolean()
    val handedOver = callbackFlow {
        val subscription = raw.subscribe(object : ChangeListener {
            override fun onChange(change: Change) {
                if (change is Change.Closed) close() else if (!trySend(change).isSuccess) missed.set(true)
            }
        })
        trySend(Change.Everything)
        awaitClose {
            subscription.cancel()
            subscription.close()
        }
    }.buffer(CHANGES_HELD)
    handedOver.collect { change ->
        if (missed.getAndSet(false)) emit(Change.Everything)
        emit(change)
    }
}

/** As many changes as a screen can sensibly be behind; more and reading everything again is cheaper. */
const val CHANGES_HELD: Int = 256
