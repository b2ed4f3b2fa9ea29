//! fieldbook-tests: what is tested beyond one crate. Owns the simulated [`world`]; refuses to be used by the product.

#[cfg(feature = "bench")]
pub mod flush;
pub mod world;
