//! fieldbook-tests: what is tested beyond one crate. Owns the simulated [`world`]; refuses to be used by the product.

pub mod world;
