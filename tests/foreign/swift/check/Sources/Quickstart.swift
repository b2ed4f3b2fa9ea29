// The code of ffi/swift/README.md, word for word (tests/tests/quickstart.rs compares), each part as a function that Check.swift runs.

// snippet: imports
import FieldbookKit
import Foundation
// end

func quickstartFirst(path: String, key: Data, invitation: String) async throws {
    // snippet: first
    let book = try await FieldbookClient.open(Config(path: path, storeKey: key))
    try await book.enrol(invitation, deviceName: "我的手机")
    let lead = try await book.createLead(LeadFields(customerName: "瑞金医院", contactPhone: "021-00000000", need: "采购"))
    try await book.logVisit(lead, Visit(customerState: "方案沟通", nextAction: "确认CT机安装场地尺寸", expectedClose: "2026-12-20"))
    try await book.tick(lead, row: "decision_maker")
    print(try await book.leads(matching: "rjyy").map(\.customerName))
    print(try await book.syncNow())
    await book.close()
    // end
}

func quickstartBackground(_ book: FieldbookClient, show: @escaping @Sendable ([LeadRow]) async -> Void) async throws {
    // snippet: background
    Task {
        // `.everything` comes first, when the subscription stands.
        for await change in book.changes {
            switch change {
            case .lead, .everything: await show(try await book.leads())
            default: break
            }
        }
    }
    try await book.startBackground()
    // end
}

func quickstartErrors(
    _ book: FieldbookClient, show: (String) -> Void, log: (String, String) -> Void, askForInvitation: (String) -> Void
) async throws {
    // snippet: errors
    do {
        try await book.syncNow(timeout: .seconds(10))
    } catch FieldbookError.Offline {
        // It is all on the disk and goes up with the next contact.
    } catch FieldbookError.Enrolment(_, let text, _) {
        askForInvitation(text)
    } catch FieldbookError.Refused(let code, let text, let detail) {
        show(text)
        log(code, detail)
    }
    // end
}

func quickstartConflicts(_ book: FieldbookClient, lead: DocId) async throws {
    // snippet: conflicts
    for conflict in try await book.conflicts(lead) {
        for choice in conflict.values {
            print(conflict.label, choice.value, choice.userName, choice.deviceName)
        }
        try await book.resolve(conflict, choice: 0)
    }
    // end
}

func quickstartEvidence(_ book: FieldbookClient, lead: DocId, visit: EntryId, photo: URL) async throws {
    // snippet: evidence
    let what = Attachment(name: "单据.jpg", mime: "image/jpeg", event: visit, unmeteredOnly: true)
    try await book.attach(lead, what, file: photo)
    try await book.setNetwork(.unmetered)
    try await book.syncNow()
    let piece = try await book.lead(lead).evidence[0]
    print(piece.place, try await book.evidence(lead, hash: piece.hash).count)
    // end
}
