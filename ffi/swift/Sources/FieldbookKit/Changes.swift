// A subscription as an AsyncSequence.

import Foundation

/// What to read again. An iteration begins with `.everything`, once its subscription stands: who reads then, and after
/// each change, misses nothing. One that falls more than `changesHeld` changes behind gets `.everything` instead of
/// what it missed; it ends when the client is closed or its task is cancelled.
public struct Changes: AsyncSequence, Sendable {
    public typealias Element = Change
    let raw: Fieldbook

    public func makeAsyncIterator() -> Iterator { Iterator(raw: raw) }

    public struct Iterator: AsyncIteratorProtocol {
        private let relay: Relay
        private var base: AsyncStream<Change>.Iterator
        private var held: Change?

        init(raw: Fieldbook) {
            let (stream, continuation) = AsyncStream.makeStream(
                of: Change.self, bufferingPolicy: .bufferingOldest(changesHeld))
            let relay = Relay(continuation)
            // A closed handle has no changes: the iteration ends at once.
            if let subscription = try? raw.subscribe(listener: relay) {
                held = .everything
                continuation.onTermination = { _ in subscription.cancel() }
            } else {
                continuation.finish()
            }
            self.relay = relay
            base = stream.makeAsyncIterator()
        }

        public mutating func next() async -> Change? {
            if let change = held {
                held = nil
                return change
            }
            guard let change = await base.next() else { return nil }
            // The gap is told before the changes behind it: what is read from now on contains what was missed.
            if relay.takeMissed() {
                held = change
                return .everything
            }
            return change
        }
    }
}

/// As many changes as a screen can sensibly be behind; more and reading everything again is cheaper.
public let changesHeld = 256

/// The listener: it hands over and returns, for it runs on a thread of the library.
private final class Relay: ChangeListener, @unchecked Sendable {
    private let continuation: AsyncStream<Change>.Continuation
    private let lock = NSLock()
    private var missed = false

    init(_ continuation: AsyncStream<Change>.Continuation) {
        self.continuation = continuation
    }

    func onChange(change: Change) throws {
        if case .closed = change {
            continuation.finish()
        } else if case .dropped = continuation.yield(change) {
            lock.lock()
            missed = true
            lock.unlock()
        }
    }

    func takeMissed() -> Bool {
        lock.lock()
        defer { lock.unlock() }
        let was = missed
        missed = false
        return was
    }
}
