/*
 * The Kotlin client against the library and a real server: the same story as the Python and Swift checks tell.
 * FIELDBOOK_ADDRESS is the server's base address, FIELDBOOK_CODE a one-time code for a phone of some rep.
 */
package fieldbook.check

import fieldbook.CHANGES_HELD
import fieldbook.FieldbookClient
import fieldbook.generated.AccountFields
import fieldbook.generated.Attachment
import fieldbook.generated.BoardCell
import fieldbook.generated.CalendarEntry
import fieldbook.generated.Change
import fieldbook.generated.ChangeListener
import fieldbook.generated.Config
import fieldbook.generated.Contact
import fieldbook.generated.EvidencePlace
import fieldbook.generated.FieldValue
import fieldbook.generated.Fieldbook
import fieldbook.generated.FieldbookException
import fieldbook.generated.Happening
import fieldbook.generated.Importance
import fieldbook.generated.KeptItem
import fieldbook.generated.Language
import fieldbook.generated.LeadFields
import fieldbook.generated.Network
import fieldbook.generated.NewLead
import fieldbook.generated.ProposalOutcome
import fieldbook.generated.Signal
import fieldbook.generated.StageProposal
import fieldbook.generated.Talk
import fieldbook.generated.TalkPlan
import fieldbook.generated.Touch
import fieldbook.generated.TouchChannel
import fieldbook.generated.TouchDirection
import fieldbook.generated.TouchOutcome
import fieldbook.generated.Urgency
import fieldbook.generated.Visit
import java.nio.file.Files
import java.util.concurrent.atomic.AtomicInteger
import kotlin.system.exitProcess
import kotlin.time.Duration
import kotlin.time.Duration.Companion.milliseconds
import kotlin.time.Duration.Companion.seconds
import kotlin.time.measureTime
import kotlinx.coroutines.CompletableDeferred
import kotlinx.coroutines.CoroutineScope
import kotlinx.coroutines.CoroutineStart
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.Job
import kotlinx.coroutines.TimeoutCancellationException
import kotlinx.coroutines.async
import kotlinx.coroutines.cancelAndJoin
import kotlinx.coroutines.channels.Channel
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.flow.filter
import kotlinx.coroutines.flow.first
import kotlinx.coroutines.flow.onEach
import kotlinx.coroutines.flow.toList
import kotlinx.coroutines.job
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.withTimeout

private val address: String = System.getenv("FIELDBOOK_ADDRESS")
private val code: String = System.getenv("FIELDBOOK_CODE")
private val folder = Files.createTempDirectory("fieldbook")
private val key = ByteArray(32) { it.toByte() }
private val config = Config(path = folder.resolve("rep.fieldbook").toString(), storeKey = key)
private val long = 60.seconds

private fun newLead(customer: String = "市第一人民医院 🩺") =
    LeadFields(customerName = customer, contactPhone = "13800000000", need = "采购")

private val checks = linkedMapOf<String, suspend () -> Unit>(
    "wrong keys are typed errors" to {
        val short = fails<FieldbookException.Invalid> { FieldbookClient.open(config.copy(storeKey = ByteArray(5))) }
        expect("32 bytes" in short.detail) { short.detail }
        val wrong = fails<FieldbookException.Storage> { FieldbookClient.open(config.copy(storeKey = ByteArray(32))) }
        same("wrong_key", wrong.code)
    },
    "a refusal speaks the user's language" to {
        val texts = mapOf(
            Language.CHINESE to "请先填写：客户名称、联系人手机。",
            Language.ENGLISH to "Please fill in: customer name, contact phone.",
        )
        for ((language, text) in texts) {
            val fresh = Config(folder.resolve(language.name).toString(), key, language = language)
            FieldbookClient.open(fresh).use { client ->
                val missing = fails<FieldbookException.Invalid> { client.createLead(LeadFields(need = "采购")) }
                same("missing" to text, missing.code to missing.text)
                val used = fails<FieldbookException.Refused> { client.enrol("$address/enrol#$code", "another", long) }
                same("code_used", used.code)
            }
        }
    },
    "a bad id is a typed error" to {
        client { client ->
            val bad = fails<FieldbookException.Invalid> { client.lead("no id") }
            same("输入的内容无法保存，请检查后重试。", bad.text)
            fails<FieldbookException.NotFound> { client.lead("02".repeat(16)) }
        }
    },
    "a day without signal goes up in one round" to {
        client { client ->
            client.setNetwork(Network.OFFLINE)
            val lead = client.createLead(newLead("瑞金医院分院").copy(hospital = "瑞金医院", budgetMaxFen = 380_000_000))
            same(listOf(lead), client.leads("rjyyfy").map { it.id })
            client.logVisit(lead, Visit(customerState = "3月启动招标", nextAction = "确认CT机安装场地尺寸"))
            client.tick(lead, "decision_maker")
            client.answer(lead, "budget_approval", "七成")
            val contact = client.addContact(lead, Contact(name = "张院长", role = "院长", attitude = "支持"))
            client.editContact(lead, contact, Contact(attitude = "观望"))
            client.addTodo(lead, "发送产品手册", "2026-01-05")
            client.tag(lead, "集采敏感", days = 3)
            val page = client.lead(lead)
            same("确认CT机安装场地尺寸", page.fields.nextAction)
            same(33 to "观望", page.row.index.toInt() to page.contacts.single().contact.attitude)
            expect(page.timeline.single().what is Happening.Visit && page.tags.single().fresh) { "$page" }
            expect(client.today().todos.any { it.todo.title == "发送产品手册" }) { "the todo is not due" }
            same(8uL, client.status().unanswered)
            val report = client.syncNow(long)
            same(8uL to 0uL, report.up to report.setAside)
            same(0uL, client.status().unanswered)
            // The server has ruled by now, at the latest after one more round.
            client.syncNow(long)
            same(true, client.lead(lead).row.mine)
        }
    },
    "the last act is taken back" to {
        client { client ->
            val lead = client.createLead(newLead())
            client.editLead(lead, LeadFields(brand = "联影"))
            client.undo()
            same(null, client.lead(lead).fields.brand)
            client.deleteLead(lead)
            expect(client.leads(limit = 500).none { it.id == lead }) { "still listed" }
            val gone = client.leads(deleted = true).single { it.id == lead }
            expect(gone.deletedAtMs != null && !gone.editedSinceDeleted) { "$gone" }
            client.restoreLead(lead)
            expect(client.leads(limit = 500).any { it.id == lead }) { "not listed" }
        }
    },
    "two phones keep both values and share a photograph" to {
        client { client ->
            val lead = client.createLead(newLead("浙大一院"))
            client.attach(lead, Attachment(name = "现场.jpg", mime = "image/jpeg"), ByteArray(300_002) { (it % 251).toByte() })
            same(1u, client.syncNow(long).evidenceUp)
            val way = client.handover(long)
            FieldbookClient.open(config.copy(path = folder.resolve("second").toString())).use { second ->
                same(client.me()?.user, second.enrol(way.invitation, "Kotlin 2", long).user)
                second.syncNow(long)
                val piece = second.lead(lead).evidence.single()
                same(EvidencePlace.ELSEWHERE, piece.place)
                same(300_002, second.evidence(lead, piece.hash, long).size)
                client.editLead(lead, LeadFields(brand = "联影"))
                second.editLead(lead, LeadFields(brand = "西门子"))
                client.syncNow(long)
                second.syncNow(long)
                val conflict = second.conflicts(lead).single()
                same(listOf(conflict), second.allConflicts().filter { it.lead == lead })
                same("浙大一院", conflict.subject)
                same("倾向品牌" to 2, conflict.label to conflict.values.size)
                same(listOf(lead), second.leads(onlyConflicts = true).map { it.id })
                val mine = conflict.values.indexOfFirst { it.value == FieldValue.Text("联影") }
                second.resolve(conflict, mine)
                same("stale", fails<FieldbookException.Invalid> { second.resolve(conflict, mine) }.code)
                second.syncNow(long)
                same(setOf("Kotlin", "Kotlin 2"), second.phones(long).map { it.name }.toSet())
            }
            client.syncNow(long)
            same("联影" to 0, client.lead(lead).fields.brand to client.conflicts(lead).size)
        }
    },
    "what belongs to a lead comes and goes" to {
        client { client ->
            val lead = client.createLead(newLead())
            client.editNotes(lead, "", "三月招标")
            client.removeContact(lead, client.addContact(lead, Contact(name = "张院长")))
            val done = client.addTodo(lead, "发手册")
            client.removeTodo(lead, client.addTodo(lead, "回访"))
            client.completeTodo(lead, done)
            client.tag(lead, "老客户")
            client.untag(lead, "老客户")
            val touch = Touch(TouchChannel.PHONE, TouchDirection.OUT, TouchOutcome.NO_REPLY, "无人接听", null)
            val call = client.logTouch(lead, touch)
            val proposal = client.proposeStage(lead, StageProposal(to = "方案", note = "已见院长"))
            client.retract(lead, call)
            val page = client.lead(lead)
            same(Triple("三月招标", 0, 0), Triple(page.notes, page.contacts.size, page.tags.size))
            same(listOf(done to true), page.todos.map { it.id to it.todo.done })
            same(listOf(proposal), page.timeline.map { it.id })
        }
    },
    "the rules speak without signal" to {
        client { client ->
            client.setNetwork(Network.OFFLINE)
            val fields = LeadFields(
                customerName = "华山医院", contactPhone = "13800000000", need = "采购", budgetMaxFen = 380_000_000,
            )
            val lead = client.createLead(fields)
            check("拜访摘要" in client.mayStartTalk(lead).refusal)
            val note = client.readNote("华山医院张院长倾向联影，预算380万", "2026-02-17")
            same(listOf("联影", 380_000_000L, listOf(lead)), listOf(note.brand, note.budgetMaxFen, note.leads.map { it.id }))
            check(client.firstContact("您目前最关注设备的哪个参数？").effective)
            val proposed = client.endOfTalk(lead, "上次报价太贵，再考虑考虑")
            val pack = client.talkPack(proposed.talkPacks.first())
            same(listOf("嫌贵", "五年总费用测算表"), listOf(pack.title, client.material(pack.materials.first().id).title))
            same(0, client.similarLostDeals(lead).size)
            check("payment-terms" in client.searchPlaybook("账期").packs.map { it.id })
            val talk = Talk.Visit(Visit(note = "CTO认可技术方案"))
            val done = client.finishTalk(
                lead, TalkPlan(talk, proposed.nextContact, proposed.todo, proposed.customerState),
            )
            same(done.entry, client.mayStartTalk(lead).shownBy)
            client.policy().lossTicks.forEach { client.tickLoss(lead, it.id) }
            client.logSignal(lead, Signal(kind = "chat", text = "想了解CT"))
            val proposal = client.proposeStage(lead, StageProposal(to = "quotation"))
            val judgement = client.judge(lead)
            same(8_200u, judgement.loss?.riskBp)
            val verdict = judgement.stage?.proposals?.single()?.verdict as ProposalOutcome.Lacks
            check("名称含 Quotation 的 PDF 报价单" in verdict.missing)
            client.answerQuestion(lead, judgement.questions!!.first().key, "已立项")
            same("已立项", client.judge(lead).questions!!.first().answer)
            check(client.home().top.any { it.atRiskText == "不处理影响：丢失380万元商机" })
            check(client.isVaguePurpose("沟通"))
            same(false, client.markRead(lead))
            val refused = runCatching { client.approve(lead, proposal) }.exceptionOrNull()
            same("leaders_only", (refused as? FieldbookException.Refused)?.code)
        }
    },
    "an account is made, found and edited" to {
        client { client ->
            val account = client.createAccount(AccountFields(name = "仁济集团", city = "上海"), notes = "三个院区")
            client.editAccount(account, AccountFields(phone = "021-00000000"), clear = listOf("city"))
            val fields = client.account(account).fields
            same(Triple("仁济集团", null, "021-00000000"), Triple(fields.name, fields.city, fields.phone))
            same(listOf(account), client.accounts("rjjt").map { it.id })
        }
    },
    "a file is attached" to {
        client { client ->
            val lead = client.createLead(newLead())
            val file = folder.resolve("form.pdf")
            Files.write(file, "%PDF-1.7".toByteArray())
            client.attachFile(lead, Attachment(name = "form.pdf", mime = "application/pdf"), file.toString())
            val piece = client.lead(lead).evidence.single()
            same("%PDF-1.7", client.evidence(lead, piece.hash).decodeToString())
        }
    },
    "today's blocks lie on the board" to {
        client { client ->
            val day = client.today().day
            val entry = client.planEntry(CalendarEntry(day = day, purpose = "确认场地", importance = "A类客户"))
            client.editEntry(entry, CalendarEntry(materials = "图纸"))
            check("确认场地" in client.sheet())
            val item = client.board().single { it.id == entry }
            same("图纸" to BoardCell(Importance.A, Urgency.TODAY), item.entry.materials to item.cell)
            client.completeEntry(entry)
            expect(client.board().none { it.id == entry }) { "done, and still on the board" }
            client.completeEntry(entry, done = false)
            client.removeEntry(entry)
            expect(client.board().none { it.id == entry }) { "removed, and still on the board" }
        }
    },
    "a phone is left and another is ended" to {
        client { client ->
            client.settle()
            client.maintain()
            same(0, client.kept().size)
            val gone = KeptItem("02".repeat(16), null, "", 1uL, "not_yours", "", listOf(), 0L)
            fails<FieldbookException.NotFound> { client.dismissKept(gone) }
            same("已取消。", client.sentence("cancelled"))
            client.createLead(newLead())
            val way = client.handover(long)
            expect(way.unsent > 0uL) { "$way" }
            FieldbookClient.open(config.copy(path = folder.resolve("third").toString())).use { third ->
                val device = third.enrol(way.invitation, "Kotlin 3", long).device
                client.endPhone(device, stolen = true, timeout = long)
                same("wiped", fails<FieldbookException.Enrolment> { third.syncNow(long) }.code)
            }
            FieldbookClient.open(config.copy(path = folder.resolve("fourth").toString())).use { fourth ->
                fourth.enrol(client.handover(long).invitation, "Kotlin 4", long)
                fourth.createLead(newLead())
                fails<FieldbookException.Invalid> { fourth.leave() }
                fourth.leave(discardUnsent = true)
                same(null, fourth.me())
            }
        }
    },
    "the calendar moves across months" to {
        client { client ->
            val entry = client.planEntry(
                CalendarEntry(day = "2026-03-31", purpose = "确认CT机安装场地尺寸", importance = "A类客户"),
            )
            client.moveEntry(entry, "2026-04-01")
            expect(client.calendar("2026-03").none { it.id == entry }) { "still in March" }
            expect(client.calendar("2026-04").any { it.id == entry }) { "not in April" }
            client.undo()
            expect(client.calendar("2026-03").any { it.id == entry }) { "not back in March" }
        }
    },
    "a standing connection sends by itself" to {
        client { client ->
            // Unconfined and undispatched: the subscription exists when `async` returns.
            val sent = async(Dispatchers.Unconfined, CoroutineStart.UNDISPATCHED) {
                client.changes.first { it is Change.Status && client.status().let { s -> s.online && s.unanswered == 0uL } }
            }
            client.createLead(newLead())
            client.startBackground()
            sent.await()
            client.stopBackground()
        }
    },
    "long calls time out in the library" to {
        client { client ->
            same("timed_out", fails<FieldbookException.Offline> { client.syncNow(Duration.ZERO) }.code)
        }
    },
    "cancelling the coroutine returns at once" to {
        client { client ->
            // A server that never answers: the address is of this machine, and nobody accepts there.
            java.net.ServerSocket(0, 1, java.net.InetAddress.getLoopbackAddress()).use { deaf ->
                FieldbookClient.open(Config(folder.resolve("deaf").toString(), key)).use { other ->
                    val took = measureTime {
                        fails<TimeoutCancellationException> {
                            withTimeout(50.milliseconds) { other.enrol("http://127.0.0.1:${deaf.localPort}/enrol#AAAA", "x") }
                        }
                    }
                    expect(took < 5.seconds) { "took $took" }
                }
            }
        }
    },
    "changes arrive in order and end with the client" to {
        client { client ->
            val seen = async(Dispatchers.Unconfined, CoroutineStart.UNDISPATCHED) {
                client.changes.filter { it is Change.Lead }.toList()
            }
            val ids = List(3) { client.createLead(newLead("customer $it")) }
            client.close()
            same(ids, seen.await().map { (it as Change.Lead).id })
        }
    },
    "a slow collector is told that it missed something" to {
        client { client ->
            val free = CompletableDeferred<Unit>()
            val seen = async(Dispatchers.Unconfined, CoroutineStart.UNDISPATCHED) {
                client.changes.onEach { free.await() }.toList()
            }
            repeat(CHANGES_HELD) { client.createLead(newLead("customer $it")) }
            client.close()
            free.complete(Unit)
            val all = seen.await()
            // The first one only says that the subscription stands.
            expect(all.drop(1).any { it is Change.Everything }) { "no gap told" }
            expect(all.size < CHANGES_HELD + 10) { "${all.size} changes were held" }
        }
    },
    "a listener that throws harms nobody" to {
        val raw = Fieldbook.open(config)
        val calls = AtomicInteger()
        val subscription = raw.subscribe(object : ChangeListener {
            override fun onChange(change: Change) {
                calls.incrementAndGet()
                error("the app's own bug")
            }
        })
        repeat(2) { raw.createLead(NewLead(newLead())) }
        // The end comes behind everything that was told: two changes an edit, and the end.
        raw.shutdown()
        same(5, calls.get())
        subscription.cancel()
    },
    "the quickstart does what its page says" to {
        client { client ->
            val path = folder.resolve("quickstart").toString()
            quickstartFirst(path, key, client.handover(long).invitation)
            client.syncNow(long)
            val lead = client.leads("rjyy").single { it.customerName == "瑞金医院" }.id

            client.editLead(lead, LeadFields(brand = "联影"))
            FieldbookClient.open(Config(path, key)).use { second ->
                second.editLead(lead, LeadFields(brand = "西门子"))
                second.syncNow(long)
            }
            client.syncNow(long)
            same(1, client.conflicts(lead).size)
            quickstartConflicts(client, lead)
            same(0, client.conflicts(lead).size)

            val photo = folder.resolve("photo.jpg").toFile()
            photo.writeBytes(ByteArray(3_002) { it.toByte() })
            quickstartEvidence(client, lead, client.lead(lead).timeline.first().id, photo)
            same(EvidencePlace.SAFE, client.lead(lead).evidence.single().place)

            val told = mutableListOf<String>()
            quickstartErrors(client, { told += it }, { code, _ -> told += code }, { told += it })
            same(0, told.size)
            FieldbookClient.open(Config(folder.resolve("fresh").toString(), key)).use { fresh ->
                quickstartErrors(fresh, { error(it) }, { code, _ -> error(code) }, { told += it })
            }
            same(1, told.size)

            val shown = Channel<List<String>>(Channel.UNLIMITED)
            // As an app's screen has one: it ends before the client does, or a read that is under way meets a closed client.
            val screen = CoroutineScope(coroutineContext + Job(coroutineContext[Job]))
            quickstartBackground(screen, client) { rows -> shown.send(rows.map { it.id }) }
            expect(lead in shown.receive()) { "the first list lacks the lead" }
            val made = client.createLead(newLead())
            while (made !in shown.receive()) Unit
            screen.coroutineContext.job.cancelAndJoin()
            client.close()
        }
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
    runBlocking {
        FieldbookClient.open(config).use { client ->
            same(null, client.me())
            client.enrol("$address/enrol#$code", "Kotlin", long)
            client.syncNow(long)
        }
    }
    for ((name, check) in checks) {
        try {
            runBlocking { withTimeout(240.seconds) { check() } }
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

private suspend fun client(story: suspend CoroutineScope.(FieldbookClient) -> Unit) =
    FieldbookClient.open(config).use { client -> coroutineScope { story(client) } }

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
