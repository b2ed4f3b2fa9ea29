/*
 * The code of ffi/kotlin/README.md, word for word (tests/tests/quickstart.rs compares), each part as a function that Check.kt runs.
 */
package fieldbook.check

// snippet: imports
import fieldbook.FieldbookClient
import fieldbook.generated.*
import java.io.File
import kotlin.time.Duration.Companion.seconds
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.launch
// end

suspend fun quickstartFirst(path: String, key: ByteArray, invitation: String) {
    // snippet: first
    FieldbookClient.open(Config(path, key)).use { book ->
        book.enrol(invitation, "我的手机")
        val lead = book.createLead(LeadFields(customerName = "瑞金医院", contactPhone = "021-00000000", need = "采购"))
        book.logVisit(lead, Visit(customerState = "方案沟通", nextAction = "确认CT机安装场地尺寸", expectedClose = "2026-12-20"))
        book.tick(lead, "decision_maker")
        println(book.leads("rjyy").map { it.customerName })
        println(book.syncNow())
    }
    // end
}

suspend fun quickstartBackground(scope: CoroutineScope, book: FieldbookClient, show: suspend (List<LeadRow>) -> Unit) {
    // snippet: background
    scope.launch {
        // Everything comes first, when the subscription stands.
        book.changes.collect { change ->
            when (change) {
                is Change.Lead, is Change.Everything -> show(book.leads())
                else -> Unit
            }
        }
    }
    book.startBackground()
    // end
}

suspend fun quickstartErrors(
    book: FieldbookClient,
    show: (String) -> Unit,
    log: (String, String) -> Unit,
    askForInvitation: (String) -> Unit,
) {
    // snippet: errors
    try {
        book.syncNow(10.seconds)
    } catch (problem: FieldbookException.Offline) {
        // It is all on the disk and goes up with the next contact.
    } catch (problem: FieldbookException.Enrolment) {
        askForInvitation(problem.text)
    } catch (problem: FieldbookException.Refused) {
        show(problem.text)
        log(problem.code, problem.detail)
    }
    // end
}

suspend fun quickstartConflicts(book: FieldbookClient, lead: DocId) {
    // snippet: conflicts
    for (conflict in book.conflicts(lead)) {
        for (choice in conflict.values) {
            println("${conflict.label}: ${choice.value} (${choice.userName}, ${choice.deviceName})")
        }
        book.resolve(conflict, 0)
    }
    // end
}

suspend fun quickstartEvidence(book: FieldbookClient, lead: DocId, visit: EntryId, photo: File) {
    // snippet: evidence
    val what = Attachment(name = "单据.jpg", mime = "image/jpeg", event = visit, unmeteredOnly = true)
    book.attachFile(lead, what, photo.path)
    book.setNetwork(Network.UNMETERED)
    book.syncNow()
    val piece = book.lead(lead).evidence.first()
    println("${piece.place}: ${book.evidence(lead, piece.hash).size} bytes")
    // end
}
