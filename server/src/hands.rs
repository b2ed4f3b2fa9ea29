//! Threads for work that core cuts into parts.

use std::num::NonZero;

use fieldbook_core::company::{Hands, Part};

/// A thread for each part.
#[derive(Debug, Clone, Copy)]
pub struct Threads;

impl Hands for Threads {
    fn count(&self) -> usize {
        std::thread::available_parallelism().map_or(1, NonZero::get).min(THREADS)
    }

    fn all(&self, mut parts: Vec<Part<'_>>) {
        // The last part needs no thread of its own: this one waits anyway.
        let mine = parts.pop();
        std::thread::scope(|scope| {
            parts.into_iter().for_each(|part| drop(scope.spawn(part)));
            mine.into_iter().for_each(|part| part());
        });
    }
}

/// Threads that work at once at the most.
const THREADS: usize = 4;
