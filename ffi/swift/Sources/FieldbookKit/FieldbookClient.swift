// The Fieldbook of a Swift app: async functions and an AsyncSequence over the generated bindings.
// It adds threads, time-outs and cancellation, and decides nothing: every answer comes from the library.

import Foundation

/// The one handle of an app, usable from any task. Blocking calls run on a queue of their own, never on Swift's
/// cooperative threads. A call after `close()` throws `FieldbookError.Closed`.
public final class FieldbookClient: @unchecked Sendable {
    private let raw: Fieldbook

    private init(raw: Fieldbook) {
        self.raw = raw
    }

    /// Opens or makes the store.
    public static func open(_ config: Config) async throws -> FieldbookClient {
        FieldbookClient(raw: try await blocking { try Fieldbook.open(config: config) })
    }

    /// What to read again, from the start of the iteration until `close()`. Each iteration has its own subscription.
    public var changes: Changes { Changes(raw: raw) }

    /// Creates a lead; on the phone's disk when this returns.
    public func createLead(customer: String) async throws -> LeadSummary {
        try await blocking { [raw] in try raw.createLead(customer: customer) }
    }

    /// The leads whose customer contains `query`; an empty query finds all.
    public func leads(matching query: String = "") async throws -> [LeadSummary] {
        try await blocking { [raw] in try raw.leads(query: query) }
    }

    /// Exchanges edits with the server. Throws `FieldbookError.Offline` when it took longer than `timeout`; cancelling
    /// the task ends the exchange with `CancellationError`. Either way nothing is lost and the call may be repeated.
    public func syncNow(timeout: Duration = .seconds(30)) async throws -> SyncReport {
        try await cancellable { [raw] token in try raw.syncNow(timeoutMs: timeout.milliseconds32, cancel: token) }
    }

    /// Ends everything and frees the store; safe to repeat.
    public func close() async {
        try? await blocking { [raw] in raw.shutdown() }
    }
}
