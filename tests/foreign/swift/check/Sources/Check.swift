// The Swift client against the library and a real server: the same story as the Python and Kotlin checks tell.
// FIELDBOOK_ADDRESS is the server's base address, FIELDBOOK_CODE a one-time code for a phone of some rep.

import FieldbookKit
import Foundation

let address = ProcessInfo.processInfo.environment["FIELDBOOK_ADDRESS"] ?? ""
let code = ProcessInfo.processInfo.environment["FIELDBOOK_CODE"] ?? ""
let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
let key = Data(0..<32)
let config = Config(path: folder.appendingPathComponent("rep").path, storeKey: key)
let long = Duration.seconds(60)

func newLead(_ customer: String = "市第一人民医院 🩺") -> LeadFields {
    LeadFields(customerName: customer, contactPhone: "13800000000", need: "采购")
}

let checks: [(String, @Sendable () async throws -> Void)] = [
    ("wrong keys are typed errors", {
        do {
            _ = try await FieldbookClient.open(Config(path: config.path, storeKey: Data(count: 5)))
            throw Failure("it opened")
        } catch FieldbookError.Invalid(_, _, let detail) {
            try expect(detail.contains("32 bytes"), detail)
        }
        do {
            _ = try await FieldbookClient.open(Config(path: config.path, storeKey: Data(count: 32)))
            throw Failure("it opened")
        } catch FieldbookError.Storage(let code, _, _) {
            try same("wrong_key", code)
        }
    }),
    ("a refusal speaks the user's language", {
        for (language, expected) in [
            (Language.chinese, "请先填写：客户名称、联系人手机。"),
            (Language.english, "Please fill in: customer name, contact phone."),
        ] {
            let path = folder.appendingPathComponent("\(language)").path
            try await withClient(Config(path: path, storeKey: key, language: language)) { client in
                do {
                    _ = try await client.createLead(LeadFields(need: "采购"))
                    throw Failure("it was created")
                } catch FieldbookError.Invalid(let code, let text, _) {
                    try same(["missing", expected], [code, text])
                }
                do {
                    try await client.enrol("\(address)/enrol#\(code)", deviceName: "another", timeout: long)
                    throw Failure("it enrolled")
                } catch FieldbookError.Refused(let code, _, _) {
                    try same("code_used", code)
                }
            }
        }
    }),
    ("a bad id is a typed error", {
        try await withClient { client in
            do {
                _ = try await client.lead("no id")
                throw Failure("it was found")
            } catch FieldbookError.Invalid(_, let text, _) {
                try same("输入的内容无法保存，请检查后重试。", text)
            }
            do {
                _ = try await client.lead(String(repeating: "02", count: 16))
                throw Failure("it was found")
            } catch FieldbookError.NotFound {}
        }
    }),
    ("a day without signal goes up in one round", {
        try await withClient { client in
            try await client.setNetwork(.offline)
            let fields = LeadFields(
                customerName: "瑞金医院分院", contactPhone: "13800000000", need: "采购", hospital: "瑞金医院",
                budgetMaxFen: 380_000_000)
            let lead = try await client.createLead(fields)
            try same([lead], try await client.leads(matching: "rjyyfy").map(\.id))
            try await client.logVisit(lead, Visit(customerState: "3月启动招标", nextAction: "确认CT机安装场地尺寸"))
            try await client.tick(lead, row: "decision_maker")
            try await client.answer(lead, row: "budget_approval", "七成")
            let contact = try await client.addContact(lead, Contact(name: "张院长", role: "院长", attitude: "支持"))
            try await client.editContact(lead, id: contact, Contact(attitude: "观望"))
            try await client.addTodo(lead, title: "发送产品手册", due: "2026-01-05")
            try await client.tag(lead, "集采敏感", days: 3)
            let page = try await client.lead(lead)
            try same("确认CT机安装场地尺寸", page.fields.nextAction)
            try same(33, page.row.index)
            try same("观望", page.contacts.first?.contact.attitude)
            guard case .visit = page.timeline.first?.what else { throw Failure("no visit") }
            try same([true], page.tags.map(\.fresh))
            let due = try await client.today().todos.map(\.todo.title)
            try expect(due.contains("发送产品手册"), "\(due)")
            try same(8, try await client.status().unanswered)
            let report = try await client.syncNow(timeout: long)
            try same([8, 0], [report.up, report.setAside])
            try same(0, try await client.status().unanswered)
            // The server has ruled by now, at the latest after one more round.
            try await client.syncNow(timeout: long)
            try same(true, try await client.lead(lead).row.mine)
        }
    }),
    ("the last act is taken back", {
        try await withClient { client in
            let lead = try await client.createLead(newLead())
            try await client.editLead(lead, set: LeadFields(brand: "联影"))
            try await client.undo()
            try same(nil, try await client.lead(lead).fields.brand)
            try await client.deleteLead(lead)
            try same(false, try await client.leads(limit: 500).contains { $0.id == lead })
            let gone = try await client.leads(deleted: true).first { $0.id == lead }
            try same(false, gone?.editedSinceDeleted)
            try expect(gone?.deletedAtMs != nil, "no time of the deletion")
            try await client.restoreLead(lead)
            try same(true, try await client.leads(limit: 500).contains { $0.id == lead })
        }
    }),
    ("two phones keep both values and share a photograph", {
        try await withClient { client in
            let lead = try await client.createLead(newLead("浙大一院"))
            let photo = Data((0..<300_002).map { UInt8($0 % 251) })
            try await client.attach(lead, Attachment(name: "现场.jpg", mime: "image/jpeg"), bytes: photo)
            try same(1, try await client.syncNow(timeout: long).evidenceUp)
            let way = try await client.handover(timeout: long)
            let path = folder.appendingPathComponent("second").path
            try await withClient(Config(path: path, storeKey: key)) { second in
                let me = try await second.enrol(way.invitation, deviceName: "Swift 2", timeout: long)
                try same(try await client.me()?.user, me.user)
                try await second.syncNow(timeout: long)
                guard let piece = try await second.lead(lead).evidence.first else { throw Failure("no evidence") }
                try same(.elsewhere, piece.place)
                try same(photo, try await second.evidence(lead, hash: piece.hash, timeout: long))
                try await client.editLead(lead, set: LeadFields(brand: "联影"))
                try await second.editLead(lead, set: LeadFields(brand: "西门子"))
                try await client.syncNow(timeout: long)
                try await second.syncNow(timeout: long)
                let conflicts = try await second.conflicts(lead)
                try same(["倾向品牌"], conflicts.map(\.label))
                try same(["浙大一院"], conflicts.map(\.subject))
                try same(conflicts, try await second.allConflicts().filter { $0.lead == lead })
                try same([lead], try await second.leads(onlyConflicts: true).map(\.id))
                let mine = conflicts[0].values.firstIndex { $0.value == .text("联影") } ?? -1
                try await second.resolve(conflicts[0], choice: mine)
                do {
                    try await second.resolve(conflicts[0], choice: mine)
                    throw Failure("resolved twice")
                } catch FieldbookError.Invalid(let code, _, _) {
                    try same("stale", code)
                }
                try await second.syncNow(timeout: long)
                try same(["Swift", "Swift 2"], Set(try await second.phones(timeout: long).map(\.name)))
            }
            try await client.syncNow(timeout: long)
            try same("联影", try await client.lead(lead).fields.brand)
            try same(0, try await client.conflicts(lead).count)
        }
    }),
    ("an account is made, found and edited", {
        try await withClient { client in
            let account = try await client.createAccount(
                AccountFields(name: "仁济集团", city: "上海"), notes: "三个院区")
            try await client.editAccount(account, set: AccountFields(phone: "021-00000000"), clear: ["city"])
            let fields = try await client.account(account).fields
            try same(["仁济集团", nil, "021-00000000"], [fields.name, fields.city, fields.phone])
            try same([account], try await client.accounts(matching: "rjjt").map(\.id))
        }
    }),
    ("what belongs to a lead comes and goes", {
        try await withClient { client in
            let lead = try await client.createLead(newLead())
            try await client.editNotes(lead, base: "", text: "三月招标")
            let contact = try await client.addContact(lead, Contact(name: "张院长"))
            try await client.removeContact(lead, id: contact)
            let done = try await client.addTodo(lead, title: "发手册")
            let gone = try await client.addTodo(lead, title: "回访")
            try await client.completeTodo(lead, id: done)
            try await client.removeTodo(lead, id: gone)
            try await client.tag(lead, "老客户")
            try await client.untag(lead, "老客户")
            let touch = Touch(channel: .phone, direction: .out, outcome: .noReply, text: "无人接听", atMs: nil)
            let call = try await client.logTouch(lead, touch)
            let proposal = try await client.proposeStage(lead, StageProposal(to: "方案", note: "已见院长"))
            try await client.retract(lead, entry: call)
            let page = try await client.lead(lead)
            try same("三月招标", page.notes)
            try same([0, 0], [page.contacts.count, page.tags.count])
            try same([done], page.todos.map(\.id))
            try same([true], page.todos.map(\.todo.done))
            try same([proposal], page.timeline.map(\.id))
        }
    }),
    ("the rules speak without signal", {
        try await withClient { client in
            try await client.setNetwork(.offline)
            let fields = LeadFields(
                customerName: "华山医院", contactPhone: "13800000000", need: "采购", budgetMaxFen: 380_000_000)
            let lead = try await client.createLead(fields)
            let refusal = try await client.mayStartTalk(lead).refusal
            try expect(refusal.contains("拜访摘要"), refusal)
            let note = try await client.readNote("华山医院张院长倾向联影，预算380万", on: "2026-02-17")
            try same("联影", note.brand)
            try same(380_000_000, note.budgetMaxFen)
            try same([lead], note.leads.map { $0.id })
            try same(true, try await client.firstContact("您目前最关注设备的哪个参数？").effective)
            let proposed = try await client.endOfTalk(lead, text: "上次报价太贵，再考虑考虑")
            let pack = try await client.talkPack(proposed.talkPacks[0])
            try same(["嫌贵", "五年总费用测算表"], [pack.title, try await client.material(pack.materials[0].id).title])
            try same(0, try await client.similarLostDeals(lead).count)
            try same(true, try await client.searchPlaybook("账期").packs.map { $0.id }.contains("payment-terms"))
            let plan = TalkPlan(
                talk: .visit(visit: Visit(note: "CTO认可技术方案")), nextContact: proposed.nextContact,
                todo: proposed.todo, customerState: proposed.customerState)
            let done = try await client.finishTalk(lead, plan)
            try same(done.entry, try await client.mayStartTalk(lead).shownBy)
            for tick in try await client.policy().lossTicks { try await client.tickLoss(lead, tick.id) }
            try await client.logSignal(lead, Signal(kind: "chat", text: "想了解CT"))
            let proposal = try await client.proposeStage(lead, StageProposal(to: "quotation"))
            let judgement = try await client.judge(lead)
            try same(8_200, judgement.loss?.riskBp)
            guard case .lacks(let missing) = judgement.stage?.proposals.first?.verdict else {
                throw Failure("it counts")
            }
            try expect(missing.contains("名称含 Quotation 的 PDF 报价单"), "\(missing)")
            guard let question = judgement.questions?.first else { throw Failure("no question") }
            try await client.answerQuestion(lead, key: question.key, text: "已立项")
            try same("已立项", try await client.judge(lead).questions?.first?.answer)
            let atRisk = try await client.home().top.map(\.atRiskText)
            try expect(atRisk.contains("不处理影响：丢失380万元商机"), "\(atRisk)")
            try same(true, try await client.isVaguePurpose("沟通"))
            try same(false, try await client.markRead(lead))
            do {
                try await client.approve(lead, proposal: proposal)
                throw Failure("a rep approved")
            } catch FieldbookError.Refused(let code, _, _) {
                try same("leaders_only", code)
            }
        }
    }),
    ("a file is attached", {
        try await withClient { client in
            let lead = try await client.createLead(newLead())
            let file = folder.appendingPathComponent("form.pdf")
            try Data("%PDF-1.7".utf8).write(to: file)
            try await client.attach(lead, Attachment(name: "form.pdf", mime: "application/pdf"), file: file)
            guard let piece = try await client.lead(lead).evidence.first else { throw Failure("no evidence") }
            try same(Data("%PDF-1.7".utf8), try await client.evidence(lead, hash: piece.hash))
        }
    }),
    ("today's blocks lie on the board", {
        try await withClient { client in
            let day = try await client.today().day
            let entry = try await client.planEntry(
                CalendarEntry(day: day, purpose: "确认场地", importance: "A类客户"))
            try await client.editEntry(entry, CalendarEntry(materials: "图纸"))
            try same(true, try await client.sheet().contains("确认场地"))
            let item = try await client.board().first { $0.id == entry }
            try same("图纸", item?.entry.materials)
            try same(BoardCell(importance: .a, urgency: .today), item?.cell)
            try await client.completeEntry(entry)
            try same(false, try await client.board().contains { $0.id == entry })
            try await client.completeEntry(entry, done: false)
            try await client.removeEntry(entry)
            try same(false, try await client.board().contains { $0.id == entry })
        }
    }),
    ("a phone is left and another is ended", {
        try await withClient { client in
            try await client.settle()
            try await client.maintain()
            try same(0, try await client.kept().count)
            let gone = KeptItem(
                doc: String(repeating: "02", count: 16), lead: nil, customerName: "", number: 1, code: "not_yours", text: "",
                words: [], atMs: 0)
            do {
                try await client.dismiss(gone)
                throw Failure("it was found")
            } catch FieldbookError.NotFound {}
            try same("已取消。", client.sentence(for: "cancelled"))
            _ = try await client.createLead(newLead())
            let way = try await client.handover(timeout: long)
            try expect(way.unsent > 0, "\(way)")
            let third = folder.appendingPathComponent("third").path
            try await withClient(Config(path: third, storeKey: key)) { third in
                let device = try await third.enrol(way.invitation, deviceName: "Swift 3", timeout: long).device
                try await client.endPhone(device, stolen: true, timeout: long)
                do {
                    try await third.syncNow(timeout: long)
                    throw Failure("it synced")
                } catch FieldbookError.Enrolment(let code, _, _) {
                    try same("wiped", code)
                }
            }
            let fourth = folder.appendingPathComponent("fourth").path
            try await withClient(Config(path: fourth, storeKey: key)) { fourth in
                let next = try await client.handover(timeout: long)
                try await fourth.enrol(next.invitation, deviceName: "Swift 4", timeout: long)
                _ = try await fourth.createLead(newLead())
                do {
                    try await fourth.leave()
                    throw Failure("it left")
                } catch FieldbookError.Invalid {}
                try await fourth.leave(discardUnsent: true)
                try same(nil, try await fourth.me())
            }
        }
    }),
    ("the calendar moves across months", {
        try await withClient { client in
            let planned = CalendarEntry(day: "2026-03-31", purpose: "确认CT机安装场地尺寸", importance: "A类客户")
            let entry = try await client.planEntry(planned)
            try await client.moveEntry(entry, to: "2026-04-01")
            try same(false, try await client.calendar(month: "2026-03").contains { $0.id == entry })
            try same(true, try await client.calendar(month: "2026-04").contains { $0.id == entry })
            try await client.undo()
            try same(true, try await client.calendar(month: "2026-03").contains { $0.id == entry })
        }
    }),
    ("a standing connection sends by itself", {
        try await withClient { client in
            var changes = client.changes.makeAsyncIterator()
            _ = try await client.createLead(newLead())
            try await client.startBackground()
            while try await client.status().unanswered > 0 { _ = await changes.next() }
            try await client.stopBackground()
        }
    }),
    ("long calls time out in the library", {
        try await withClient { client in
            do {
                try await client.syncNow(timeout: .zero)
                throw Failure("it synced")
            } catch FieldbookError.Offline(let code, _, _) {
                try same("timed_out", code)
            }
        }
    }),
    ("cancelling the task returns at once", {
        try await withClient { client in
            let began = ContinuousClock.now
            let task = Task { try await client.syncNow(timeout: long) }
            task.cancel()
            do {
                _ = try await task.value
                throw Failure("it synced")
            } catch is CancellationError {}
            let took = ContinuousClock.now - began
            try expect(took < .seconds(5), "took \(took)")
        }
    }),
    ("changes arrive in order and end with the client", {
        try await withClient { client in
            var changes = client.changes.makeAsyncIterator()
            var ids: [String] = []
            for number in 0..<3 { ids.append(try await client.createLead(newLead("customer \(number)"))) }
            await client.close()
            var seen: [String] = []
            while let change = await changes.next() {
                if case .lead(let id) = change { seen.append(id) }
            }
            try same(ids, seen)
        }
    }),
    ("a slow reader is told that it missed something", {
        try await withClient { client in
            var changes = client.changes.makeAsyncIterator()
            for number in 0..<changesHeld { _ = try await client.createLead(newLead("customer \(number)")) }
            await client.close()
            var count = 0
            var gaps = 0
            while let change = await changes.next() {
                count += 1
                if case .everything = change { gaps += 1 }
            }
            // One for the gap, and the first one, which only says that the subscription stands.
            try same(2, gaps)
            try same(changesHeld + 2, count)
        }
    }),
    ("cancelling the reader ends its iteration", {
        try await withClient { client in
            let reader = Task {
                for await _ in client.changes {}
                return true
            }
            reader.cancel()
            try same(true, await reader.value)
        }
    }),
    ("a listener that throws harms nobody", {
        let raw = try Fieldbook.open(config: config)
        let broken = Broken()
        let subscription = try raw.subscribe(listener: broken)
        for _ in 0..<2 { _ = try raw.createLead(lead: NewLead(fields: newLead())) }
        // The end comes behind everything that was told: two changes an edit, and the end.
        raw.shutdown()
        try same(5, broken.calls)
        subscription.cancel()
    }),
    ("the quickstart does what its page says", {
        try await withClient { client in
            let path = folder.appendingPathComponent("quickstart").path
            try await quickstartFirst(path: path, key: key, invitation: client.handover(timeout: long).invitation)
            try await client.syncNow(timeout: long)
            let found = try await client.leads(matching: "rjyy").filter { $0.customerName == "瑞金医院" }
            try same(1, found.count)
            let lead = found[0].id

            try await client.editLead(lead, set: LeadFields(brand: "联影"))
            try await withClient(Config(path: path, storeKey: key)) { second in
                try await second.editLead(lead, set: LeadFields(brand: "西门子"))
                try await second.syncNow(timeout: long)
            }
            try await client.syncNow(timeout: long)
            try same(1, try await client.conflicts(lead).count)
            try await quickstartConflicts(client, lead: lead)
            try same(0, try await client.conflicts(lead).count)

            let photo = folder.appendingPathComponent("photo.jpg")
            try Data(count: 3_000).write(to: photo)
            try await quickstartEvidence(client, lead: lead, visit: client.lead(lead).timeline[0].id, photo: photo)
            try same(.safe, try await client.lead(lead).evidence[0].place)

            var told: [String] = []
            try await quickstartErrors(
                client, show: { told.append($0) }, log: { code, _ in told.append(code) },
                askForInvitation: { told.append($0) })
            try same(0, told.count)
            let fresh = Config(path: folder.appendingPathComponent("fresh").path, storeKey: key)
            try await withClient(fresh) { fresh in
                try await quickstartErrors(
                    fresh, show: { _ in }, log: { _, _ in }, askForInvitation: { told.append($0) })
            }
            try same(1, told.count)

            let (lists, continuation) = AsyncStream.makeStream(of: [DocId].self)
            try await quickstartBackground(client) { rows in continuation.yield(rows.map(\.id)) }
            var shown = lists.makeAsyncIterator()
            try expect(await shown.next()?.contains(lead) == true, "the first list lacks the lead")
            let made = try await client.createLead(newLead())
            while let rows = await shown.next(), !rows.contains(made) {}
        }
    }),
    ("a closed client answers closed", {
        try await withClient { client in
            await client.close()
            await client.close()
            do {
                _ = try await client.leads()
                throw Failure("it answered")
            } catch FieldbookError.Closed {}
            for await _ in client.changes { throw Failure("a change after the end") }
        }
    }),
]

@main
enum Check {
    static func main() async {
        var failed = 0
        do {
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            try await withClient { client in
                try same(nil, try await client.me())
                try await client.enrol("\(address)/enrol#\(code)", deviceName: "Swift", timeout: long)
                try await client.syncNow(timeout: long)
            }
        } catch {
            print("FAILED  enrolment: \(error)")
            exit(1)
        }
        for (name, check) in checks {
            do {
                try await check()
                print("ok      \(name)")
            } catch {
                failed += 1
                print("FAILED  \(name): \(error)")
            }
        }
        print("\(checks.count - failed) passed, \(failed) failed")
        exit(failed == 0 ? 0 : 1)
    }
}

/// A listener with a bug; called on one thread of the library.
final class Broken: ChangeListener, @unchecked Sendable {
    private let lock = NSLock()
    private var count = 0

    var calls: Int { lock.withLock { count } }

    func onChange(change: Change) throws {
        lock.withLock { count += 1 }
        throw Failure("the app's own bug")
    }
}

struct Failure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

func withClient(_ config: Config = config, _ story: (FieldbookClient) async throws -> Void) async throws {
    let client = try await FieldbookClient.open(config)
    do { try await story(client) } catch {
        await client.close()
        throw error
    }
    await client.close()
}

func expect(_ holds: Bool, _ why: String) throws {
    if !holds { throw Failure(why) }
}

func same<T: Equatable>(_ expected: T, _ actual: T) throws {
    try expect(expected == actual, "expected \(expected), got \(actual)")
}
