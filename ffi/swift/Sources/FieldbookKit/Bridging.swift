// How blocking calls become async ones. Nothing here knows what a call means.

import Foundation

/// Calls block for a disk write or a network round trip, so they get threads that may block.
private let calls = DispatchQueue(label: "fieldbook.calls", attributes: .concurrent)

/// Runs a short call (at most a disk write) off the caller's thread. It is not cancellable: it is over in moments.
func blocking<T: Sendable>(_ call: @escaping @Sendable () throws -> T) async throws -> T {
    try await withCheckedThrowingContinuation { continuation in
        calls.async { continuation.resume(with: Result(catching: call)) }
    }
}

/// Runs a long call. Swift's cancellation never reaches the library by itself: here it cancels the token and resumes
/// the task at once; a result that comes too late is thrown away.
func cancellable<T: Sendable>(_ call: @escaping @Sendable (CancelToken) throws -> T) async throws -> T {
    let token = CancelToken()
    let waiting = Waiting<T>()
    return try await withTaskCancellationHandler {
        try await withCheckedThrowingContinuation { continuation in
            waiting.begin(continuation)
            calls.async { waiting.finish(Result { try call(token) }) }
        }
    } onCancel: {
        waiting.finish(.failure(CancellationError()))
        token.cancel()
    }
}

/// A continuation that the result or the cancellation resumes, whichever comes first, even before it is known.
private final class Waiting<T: Sendable>: @unchecked Sendable {
    private let lock = NSLock()
    private var continuation: CheckedContinuation<T, Error>?
    private var early: Result<T, Error>?
    private var finished = false

    func begin(_ new: CheckedContinuation<T, Error>) {
        lock.lock()
        let result = early
        if result == nil { continuation = new }
        lock.unlock()
        if let result { new.resume(with: result) }
    }

    func finish(_ result: Result<T, Error>) {
        lock.lock()
        let resumed = continuation
        continuation = nil
        if !finished && resumed == nil { early = result }
        finished = true
        lock.unlock()
        resumed?.resume(with: result)
    }
}

extension Duration {
    /// The library counts milliseconds in 32 bits; a longer time becomes the longest one, 49 days.
    var milliseconds32: UInt32 {
        let (seconds, attoseconds) = components
        guard seconds >= 0 else { return 0 }
        guard seconds < Int64(UInt32.max / 1000) else { return UInt32.max }
        return UInt32(seconds * 1000 + attoseconds / 1_000_000_000_000_000)
    }
}
