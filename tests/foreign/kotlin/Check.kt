/* The Kotlin client against the library: the same story as the Python and Swift checks tell. */
package fieldbook.check

import fieldbook.CHANGES_HELD
import fieldbook.FieldbookClient
import fieldbook.generated.Change
import fieldbook.generated.ChangeListener
import fieldbook.generated.Config
import fieldbook.generated.Fieldbook
import fieldbook.generated.FieldbookException
import java.nio.file.Files
import kotlin.system.exitProcess
import kotlin.time.Duration.Companion.milliseconds
import kotlin.time.Duration.Companion.seconds
import kotlin.time.measureTime
import kotlinx.coroutines.CoroutineStart
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.TimeoutCancellationException
import kotlinx.coroutines.async
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.onEach
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout

private val config = Config(
    folder = Files.createTempDirectory("fieldbook").toString(),
    storeKey = ByteArray(32) { it.toByte() },
)

private val checks = linkedMapOf<String, suspend () -> Unit>(
    "a wrong key is a typed error with detail" to {
        val error = fails<FieldbookException.Invalid> { FieldbookClient.open(config.copy(storeKey = ByteArray(5))) }
        expect("32 bytes" in error.detail) { error.detail }
    },
    "Chinese text survives the border" to {
        client { client ->
            val lead = client.createLead("市第一人民医院 🩺")
            client.createLead("Riverside Clinic")
            same(listOf(lead), client.leads("第一"))
            same(2, client.leads().size)
        }
    },
    "changes arrive in order and end with the client" to {
        client { client ->
            // Unconfined and undispatched: the subscription exists when `async` returns.
            val seen = async(Dispatchers.Unconfined, CoroutineStart.UNDISPATCHED) { client.changes.toList() }
            val ids = List(3) { client.createLead("account $it").id }
            client.close()
            same(ids, seen.await().map { (it as Change.Document).id })
        }
    },
    "a slow collector is told that it missed something" to {
        client { client ->
            val free = kotlinx.coroutines.CompletableDeferred<Unit>()
            val seen = async(Dispatchers.Unconfined, CoroutineStart.UNDISPATCHED) {
                client.changes.onEach { free.await() }.toList()
            }
            repeat(CHANGES_HELD + 10) { client.createLead("account $it") }
            client.close()
            free.complete(Unit)
            val all = seen.await()
            expect(all.any { it is Change.Everything }) { "no gap told" }
            expect(all.size < CHANGES_HELD + 10) { "${all.size} changes were held" }
        }
    },
    "sync reports, and times out in the library" to {
        client { client ->
            client.createLead("account")
            same(1u, client.syncNow(10.seconds).acknowledged)
            fails<FieldbookException.Offline> { client.syncNow(20.milliseconds) }
        }
    },
    "cancelling the coroutine returns at once" to {
        client { client ->
            val took = measureTime {
                fails<TimeoutCancellationException> { withTimeout(20.milliseconds) { client.syncNow() } }
            }
            expect(took < 150.milliseconds) { "took $took" }
        }
    },
    "a listener that throws harms nobody" to {
        val raw = Fieldbook.open(config)
        var calls = 0
        val subscription = raw.subscribe(object : ChangeListener {
            override fun onChange(change: Change) {
                calls++
                error("the app's own bug")
            }
        })
        raw.createLead("one")
        raw.createLead("two")
        same(2, calls)
        subscription.cancel()
        raw.createLead("three")
        same(2, calls)
        raw.shutdown()
    },
    "a closed client answers closed" to {
        client { client ->
            client.close()
            client.close()
            fails<FieldbookException.Closed> { client.leads() }
            fails<FieldbookException.Closed> { client.changes.first() }
        }
    },
)

fun main() {
    var failed = 0
    for ((name, check) in checks) {
        try {
            runBlocking { withTimeout(30.seconds) { check() } }
            println("ok      $name")
        } catch (problem: Throwable) {
            failed++
            println("FAILED  $name")
            problem.printStackTrace(System.out)
        }
    }
    println("${checks.size - failed} passed, $failed failed")
    exitProcess(if (failed == 0) 0 else 1)
}

private suspend fun client(story: suspend kotlinx.coroutines.CoroutineScope.(FieldbookClient) -> Unit) =
    FieldbookClient.open(config).use { client -> kotlinx.coroutines.coroutineScope { story(client) } }

private suspend inline fun <reified E : Throwable> fails(crossinline call: suspend () -> Unit): E {
    try {
        call()
    } catch (problem: Throwable) {
        return problem as? E ?: throw problem
    }
    throw AssertionError("expected ${E::class.java.simpleName}, but it succeeded")
}

private fun expect(holds: Boolean, why: () -> String) {
    if (!holds) throw AssertionError(why())
}

private fun same(expected: Any?, actual: Any?) = expect(expected == actual) { "expected $expected, got $actual" }
