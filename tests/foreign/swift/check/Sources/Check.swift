// The Swift client against the library: the same story as the Python and Kotlin checks tell.

import FieldbookKit
import Foundation

let config = Config(
    folder: FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString).path,
    storeKey: Data(0..<32))

let checks: [(String, @Sendable () async throws -> Void)] = [
    ("a wrong key is a typed error with detail", {
        do {
            _ = try await FieldbookClient.open(Config(folder: config.folder, storeKey: Data(count: 5)))
            throw Failure("it opened")
        } catch FieldbookError.Invalid(let detail) {
            try expect(detail.contains("32 bytes"), detail)
        }
    }),
    ("Chinese text survives the border", {
        try await withClient { client in
            let lead = try await client.createLead(customer: "市第一人民医院 🩺")
            _ = try await client.createLead(customer: "Riverside Clinic")
            try same([lead], try await client.leads(matching: "第一"))
            try same(2, try await client.leads().count)
        }
    }),
    ("changes arrive in order and end with the client", {
        try await withClient { client in
            var changes = client.changes.makeAsyncIterator()
            var ids: [String] = []
            for number in 0..<3 { ids.append(try await client.createLead(customer: "account \(number)").id) }
            await client.close()
            var seen: [String] = []
            while let change = await changes.next() {
                if case .document(let id) = change { seen.append(id) }
            }
            try same(ids, seen)
        }
    }),
    ("a slow reader is told that it missed something", {
        try await withClient { client in
            var changes = client.changes.makeAsyncIterator()
            for number in 0..<(changesHeld + 10) { _ = try await client.createLead(customer: "account \(number)") }
            await client.close()
            var count = 0
            var gaps = 0
            while let change = await changes.next() {
                count += 1
                if case .everything = change { gaps += 1 }
            }
            try same(1, gaps)
            try same(changesHeld + 1, count)
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
    ("sync reports, and times out in the library", {
        try await withClient { client in
            _ = try await client.createLead(customer: "account")
            try same(1, try await client.syncNow(timeout: .seconds(10)).acknowledged)
            do {
                _ = try await client.syncNow(timeout: .milliseconds(20))
                throw Failure("it synced")
            } catch FieldbookError.Offline {}
        }
    }),
    ("cancelling the task returns at once", {
        try await withClient { client in
            let began = ContinuousClock.now
            let task = Task { try await client.syncNow() }
            task.cancel()
            do {
                _ = try await task.value
                throw Failure("it synced")
            } catch is CancellationError {}
            let took = ContinuousClock.now - began
            try expect(took < .milliseconds(150), "took \(took)")
        }
    }),
    ("a listener that throws harms nobody", {
        let raw = try Fieldbook.open(config: config)
        let broken = Broken()
        let subscription = try raw.subscribe(listener: broken)
        _ = try raw.createLead(customer: "one")
        _ = try raw.createLead(customer: "two")
        try same(2, broken.calls)
        subscription.cancel()
        _ = try raw.createLead(customer: "three")
        try same(2, broken.calls)
        raw.shutdown()
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

/// A listener with a bug; called on one thread at a time here.
final class Broken: ChangeListener, @unchecked Sendable {
    private(set) var calls = 0

    func onChange(change: Change) throws {
        calls += 1
        throw Failure("the app's own bug")
    }
}

struct Failure: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}

func withClient(_ story: (FieldbookClient) async throws -> Void) async throws {
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
